"""A Triton repository that a platform serves from, and the versions of its model.

    encoder/config.pbtxt   decoder/config.pbtxt
    encoder/2/model.py     decoder/2/model.py     the code
    encoder/2/checkpoint   decoder/2/checkpoint   links to the weights
                           decoder/2/NAME/        the weights, in SoundFlow's own form

A server loads a version when it is told to, and the newest one when it starts.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from soundflow.checkpoint import CheckpointError, open_checkpoint
from soundflow.checkpoint.convert import convert
from soundflow.models import tensors_of
from soundflow.serving.versions import CHECKPOINT
from training.export import CODE, HEADER, decoder_config, encoder_config, with_lengths, write_code
from training.trial import try_out

PARTS = ("decoder", "encoder")  # the one that holds the weights comes first
CONFIGURATION = "config.pbtxt"
KEPT = 3
LOCK = ".lock"
ASIDE = ".next-"


class RepositoryMisfit(CheckpointError):
    """A repository that cannot take a checkpoint as its next version."""


def versions(repository: Path) -> list[int]:
    """Return the versions that are whole, oldest first."""
    found = (
        {int(code.parent.name) for code in (repository / part).glob(f"[0-9]*/{CODE}")}
        for part in PARTS
    )
    return sorted(set.intersection(*found))


def add(checkpoint: Path, repository: Path, *, kept: int = KEPT) -> int:
    """Put a checkpoint into a repository as its next version, and return the version's number.

    It is written aside, loaded from there and tried, and only then put into place; with it there,
    no more than `kept` versions stay. Who else adds one meanwhile waits. CheckpointError,
    RepositoryMisfit and TrialFailed among them.
    """
    # As a path: a word alone could be the name of a model.
    tensors = with_lengths(tensors_of(str(checkpoint.resolve())))
    configurations = {"decoder": decoder_config(tensors), "encoder": encoder_config(tensors)}
    for part in PARTS:
        _check_fit(repository / part / CONFIGURATION, configurations[part])
    try:
        repository.mkdir(parents=True, exist_ok=True)
        with FileLock(repository / LOCK):
            version = max(_numbers(repository), default=0) + 1
            _sweep(repository)
            with TemporaryDirectory(dir=repository, prefix=ASIDE) as work:
                aside = Path(work)
                _write(checkpoint.resolve(), aside, version)
                try_out(str(aside / "decoder" / CHECKPOINT), called=str(checkpoint))
                _put_into_place(aside, repository, version, configurations)
            prune(repository, kept=kept)
    except (OSError, NotImplementedError) as error:  # the latter where nothing can be locked
        raise RepositoryMisfit(f"cannot write {repository}: {error}") from error
    return version


def prune(repository: Path, *, kept: int = KEPT) -> Sequence[int]:
    """Remove all versions but the newest, and return which; a server that runs one runs on."""
    if kept < 1:
        raise ValueError(f"a repository keeps at least one version, not {kept=}")
    old = versions(repository)[:-kept]
    for version in old:
        for part in reversed(PARTS):  # so that none is left whose weights are gone
            shutil.rmtree(repository / part / str(version))
    return old


def _folders(repository: Path) -> list[Path]:
    """Return the folders of all versions, also of those that are not whole."""
    return [folder for part in PARTS for folder in (repository / part).glob("[0-9]*")]


def _numbers(repository: Path) -> set[int]:
    """Return what numbers are taken: a server may run a version that is not whole any more."""
    return {int(folder.name) for folder in _folders(repository)}


def _sweep(repository: Path) -> None:
    """Remove what was left by one that was killed; whoever holds the lock is alone with it."""
    whole = versions(repository)
    halves = [folder for folder in _folders(repository) if int(folder.name) not in whole]
    for left in (*repository.glob(f"{ASIDE}*"), *halves):
        shutil.rmtree(left)


def _check_fit(file: Path, needed: ModelConfig) -> None:
    """All versions share one configuration: it must know all that the new one's tensors need."""
    if not file.exists():
        return
    there = text_format.Parse(file.read_text(), ModelConfig())
    for kind in ("input", "output"):
        known = {tensor.name: tensor for tensor in getattr(there, kind)}
        for tensor in getattr(needed, kind):
            if known.get(tensor.name) != tensor:
                raise RepositoryMisfit(
                    f"{file} has no {kind} {tensor.name!r} of {list(tensor.dims)}: the checkpoint "
                    "is of another shape than what is served from there; give it a repository, "
                    "and a platform, of its own"
                )


def _write(checkpoint: Path, aside: Path, version: int) -> None:
    """Write both version folders, under the names of their parts."""
    for part in PARTS:
        write_code(part, aside / part)
    convert(open_checkpoint(checkpoint), aside / "decoder" / checkpoint.name)
    if checkpoint.name != CHECKPOINT:  # else it is there already, by its own name
        (aside / "decoder" / CHECKPOINT).symlink_to(checkpoint.name)
    weights = Path("..", "..", "decoder", str(version), checkpoint.name)
    (aside / "encoder" / CHECKPOINT).symlink_to(weights)


def _put_into_place(
    aside: Path, repository: Path, version: int, configurations: Mapping[str, ModelConfig]
) -> None:
    for part in PARTS:
        (repository / part).mkdir(exist_ok=True)
        file = repository / part / CONFIGURATION
        if not file.exists():
            file.write_text(HEADER + text_format.MessageToString(configurations[part]))
        (aside / part).rename(repository / part / str(version))
