"""The canonical source: files of a hub repository at a pinned commit."""

import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundflow.checkpoint.errors import SourceFailed
from soundflow.checkpoint.progress import FetchProgress, Report, Step
from soundflow.checkpoint.table import Entry

if TYPE_CHECKING:
    from tqdm.std import tqdm

REACH_TIMEOUT_S = 3.0


def download(name: str, entry: Entry, into: Path, report: Report) -> None:
    """Put the entry's files, unchecked, into the folder `into`."""
    # Only a fetch needs the client; it would cost every start 0.2 s.
    from huggingface_hub import constants, hf_hub_download

    if entry.hub is None:
        raise SourceFailed("the hub is not known to hold these very files")
    if constants.HF_HUB_OFFLINE or not reachable(constants.ENDPOINT):
        raise SourceFailed(f"the hub, {constants.ENDPOINT}, cannot be reached")
    progress_bar = _bar(name, entry.size_bytes, report)
    for file in entry.files:
        try:
            hf_hub_download(
                entry.hub.repository,
                file.name,
                revision=entry.hub.revision,
                local_dir=into,
                tqdm_class=progress_bar,  # type: ignore[arg-type, unused-ignore] # its stub wants one kind of tqdm
            )
        # The client lets errors of its HTTP library through, another one from version to version.
        except Exception as error:
            where = f"{entry.hub.repository}@{entry.hub.revision}"
            raise SourceFailed(f"{file.name} of {where}: {error}") from error


@cache
def reachable(endpoint: str) -> bool:
    """Ask once per process: the hub's client by itself retries for 20 s before it gives up."""
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=REACH_TIMEOUT_S).close()
    except urllib.error.HTTPError as answer:
        answer.close()
        return True
    except OSError:
        return False
    return True


def _bar(name: str, total_bytes: int, report: Report) -> "type[tqdm[Any]]":
    """Make a progress bar that draws nothing: the hub's client reports to no other thing."""
    from tqdm.std import tqdm

    done_bytes = 0

    class Bar(tqdm):  # type: ignore[type-arg]  # only its stubs know it as generic
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done_bytes
            done_bytes += int(n or 0)
            report(FetchProgress(name, Step.HUB, done_bytes, total_bytes))
            return None

    return Bar
