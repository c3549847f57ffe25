import struct
import zlib

import pytest

from bench.sounds_data import _font_samples, _qt_resources, clips
from soundflow.cascade.policy import POLICY


def test_the_manifest_is_sound() -> None:
    listed = clips()
    rows = {row.name for row in POLICY}
    assert len({(clip.package, clip.file) for clip in listed}) == len(listed)
    for clip in listed:
        assert clip.split in ("dev", "test"), clip
        assert clip.row in rows | {""}, clip
        assert clip.licence, clip


def qt_resources(files: dict[str, tuple[bytes, int]]) -> bytes:
    """Lay out a resource file: header, a root folder with files, their names, their contents."""
    nodes, names, contents = [], b"", b""
    for name, (content, flags) in files.items():
        nodes.append(struct.pack(">IHHHIQ", len(names), flags, 0, 0, len(contents), 0))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        contents += struct.pack(">I", len(content)) + content
    root = struct.pack(">IHIIQ", 0, 2, len(files), 1, 0)
    tree = root + b"".join(nodes)
    header = struct.pack(">4s4I", b"qres", 2, 20, 20 + len(tree), 20 + len(tree) + len(contents))
    return header + tree + contents + names


def test_sounds_come_out_of_qt_resources() -> None:
    packed = struct.pack(">I", 5) + zlib.compress(b"meow!")
    data = qt_resources({"bark.ogg": (b"woof", 0), "cat.wav": (packed, 1), "dog.png": (b"", 0)})
    assert _qt_resources(data) == {"bark.ogg": b"woof", "cat.wav": b"meow!"}


@pytest.mark.parametrize("name", ["Dog Bark", "A/B"])
def test_samples_come_out_of_a_sound_font(name: str) -> None:
    pool = struct.pack("<8h", *range(8))
    header = struct.pack("<20s5I6x", name.encode(), 2, 6, 3, 5, 22_050)
    end = struct.pack("<20s5I6x", b"EOS", 0, 0, 0, 0, 0)
    data = b"smpl" + struct.pack("<I", len(pool)) + pool
    data += b"shdr" + struct.pack("<I", len(header + end)) + header + end
    [(file, wav)] = _font_samples(data).items()
    assert file == f"{name.replace('/', '-')}.wav"
    assert wav.endswith(struct.pack("<4h", 2, 3, 4, 5))
    assert struct.unpack_from("<I", wav, 24) == (22_050,)
