"""What a model's folder has to hold, and whether it does."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from soundflow.checkpoint.errors import ModelDamaged, ModelMissing

# Beside converted files, whose sums no table can know: what they were made of, and their sums.
RECORD = "made.json"


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a folder."""

    name: str
    size_bytes: int
    sha256: str


def check_size(folder: Path, content: Content) -> None:
    """Raise ModelMissing or ModelDamaged unless the file is there at its size."""
    path = folder / content.name
    if not path.is_file():
        raise ModelMissing(f"{path} is missing")
    size_bytes = path.stat().st_size
    if size_bytes != content.size_bytes:
        raise ModelDamaged(f"{path} has {size_bytes} bytes, expected {content.size_bytes}")


def check_sum(folder: Path, content: Content) -> None:
    """Raise ModelMissing or ModelDamaged unless the file is there with its SHA-256."""
    path = folder / content.name
    if not path.is_file():
        raise ModelMissing(f"{path} is missing")
    sha256 = _sha256(path)
    if sha256 != content.sha256:
        raise ModelDamaged(f"{path} has SHA-256 {sha256}, expected {content.sha256}")


def write_record(folder: Path, *, made_of: Iterable[Content]) -> None:
    """Note the sums of all files in the folder, and what they were made of."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    contents = [Content(path.name, path.stat().st_size, _sha256(path)) for path in files]
    record = {
        "made_of": [content.sha256 for content in made_of],
        "files": [asdict(content) for content in contents],
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1))


def read_record(folder: Path, *, made_of: Iterable[Content]) -> tuple[Content, ...]:
    """Return what the folder was noted to hold; ModelDamaged when it was made of other files."""
    path = folder / RECORD
    if not path.is_file():
        raise ModelMissing(f"{path} is missing")
    try:
        record = json.loads(path.read_text())
        sources, files = record["made_of"], record["files"]
        contents = tuple(Content(**file) for file in files)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDamaged(f"{path} is not a record of converted files") from error
    if sources != [content.sha256 for content in made_of]:
        raise ModelDamaged(f"{path} tells of another version of the model")
    return contents


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
