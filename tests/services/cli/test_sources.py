import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from services.cli.errors import CliError
from services.cli.sources import MicrophoneSource, open_source, probe, title_of
from soundflow.audio import SAMPLE_RATE_HZ, AudioFormat, Encoding

RAW = AudioFormat()


async def heard(path: Path, *, split_channels: bool) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return all frames that a file gives, `(n, channels)`."""
    with open_source(str(path), RAW, split_channels=split_channels) as source:
        assert source.audio_format.encoding is Encoding.PCM_F32LE
        assert source.audio_format.sample_rate_hz == SAMPLE_RATE_HZ
        data = b"".join([block async for block in source.blocks()])
        return np.frombuffer(data, "<f4").reshape(-1, source.audio_format.channels)


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    """One second, the left channel at 0.25 and the right one at -0.5."""
    path = tmp_path / "call.wav"
    frames = np.tile(np.array([0.25, -0.5], np.float32), (SAMPLE_RATE_HZ, 1))
    soundfile.write(path, frames, SAMPLE_RATE_HZ)
    return path


async def test_a_files_channels_are_mixed(stereo: Path) -> None:
    frames = await heard(stereo, split_channels=False)

    np.testing.assert_allclose(frames, np.full((SAMPLE_RATE_HZ, 1), -0.125), atol=1e-4)


async def test_a_files_channels_stay_apart_and_in_their_order(stereo: Path) -> None:
    frames = await heard(stereo, split_channels=True)

    np.testing.assert_allclose(frames, np.tile([0.25, -0.5], (SAMPLE_RATE_HZ, 1)), atol=1e-4)


async def test_a_file_is_brought_to_our_rate(tmp_path: Path) -> None:
    path = tmp_path / "call.flac"
    soundfile.write(path, np.zeros(8_000 * 2, np.float32), 8_000)

    assert len(await heard(path, split_channels=False)) == pytest.approx(2 * SAMPLE_RATE_HZ, abs=1)
    assert probe(path).duration_ms == 2000


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_a_file_that_is_no_audio_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.wav"
    path.write_bytes(content)

    with pytest.raises(CliError, match=r"notes\.wav: "):
        probe(path)
    with (
        pytest.raises(CliError, match=r"notes\.wav: "),
        open_source(str(path), RAW, split_channels=False),
    ):
        pass


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"gone\.wav: No such file"):
        probe(tmp_path / "gone.wav")


async def test_a_file_with_bad_samples_fails_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    samples = np.zeros(SAMPLE_RATE_HZ, np.float32)
    samples[12_000] = np.nan
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="FLOAT")

    with pytest.raises(CliError, match=r"nan\.wav: .*12000"):
        await heard(path, split_channels=False)


def test_a_truncated_file_is_told_about(stereo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stereo.write_bytes(stereo.read_bytes()[:5000])
    with open_source(str(stereo), RAW, split_channels=False):
        pass

    assert "call.wav: " in capsys.readouterr().err


class PortAudioError(Exception):
    """As sounddevice names it."""


class Recorder:
    """Stands in for `sounddevice.RawInputStream`: a thread records ten blocks, as PortAudio's."""

    def __init__(self, **asked: Any) -> None:
        if asked["samplerate"] == 96_000:
            raise PortAudioError("Invalid sample rate")
        self._asked = asked

    def __enter__(self) -> None:
        threading.Thread(target=self._record).start()

    def __exit__(self, *_: object) -> None:
        pass

    def _record(self) -> None:
        for number in range(10):
            block = np.full(self._asked["blocksize"] * self._asked["channels"], number, "<i2")
            self._asked["callback"](block.tobytes(), len(block), None, None)


@pytest.fixture
def sounddevice() -> ModuleType:
    module = ModuleType("sounddevice")
    module.RawInputStream = Recorder  # type: ignore[attr-defined]
    module.PortAudioError = PortAudioError  # type: ignore[attr-defined]
    return module


async def test_the_microphone_gives_its_blocks_in_order(sounddevice: ModuleType) -> None:
    source = MicrophoneSource(AudioFormat(sample_rate_hz=8000, channels=2), sounddevice)
    blocks = source.blocks()
    recorded = [np.frombuffer(await anext(blocks), "<i2") for _ in range(10)]
    await blocks.aclose()

    assert [set(block.tolist()) for block in recorded] == [{number} for number in range(10)]
    assert len(recorded[0]) == 8000 * 2 // 10  # 100 ms


async def test_a_microphone_that_refuses_says_why(sounddevice: ModuleType) -> None:
    source = MicrophoneSource(AudioFormat(sample_rate_hz=96_000), sounddevice)

    with pytest.raises(CliError, match="Invalid sample rate"):
        await anext(source.blocks())


def test_titles_are_words_for_a_person() -> None:
    assert title_of("mic") == "microphone"
    assert title_of("-") == "standard input"
    assert title_of("calls/one.wav") == "one.wav"
