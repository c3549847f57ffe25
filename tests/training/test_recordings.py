from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundflow.audio import AudioError
from training.curation.recordings import (
    Entry,
    Kind,
    Recording,
    Split,
    read_pcm,
    read_table,
    seconds,
    split_of,
    text_source,
    write_table,
)


def test_a_split_is_of_the_source_and_stays() -> None:
    one = Recording(Path("a.wav"), "bark", "dogs.mp3", "CC0-1.0")
    other = Recording(Path("b.wav"), "howl", "dogs.mp3", "CC0-1.0")
    assert one.split is other.split is split_of("dogs.mp3")


@pytest.mark.parametrize(
    ("source", "sha256", "split"),
    # As sha256sum prints them, the first 8 bytes: another rule would move every corpus.
    [
        ("a", 0xCA978112CA1BBDCA, Split.TRAIN),
        ("k", 0x8254C329A92850F6, Split.DEV),
        ("hello world", 0xB94D27B9934D3E08, Split.TEST),
    ],
)
def test_the_split_is_by_hash_in_hundredths(source: str, sha256: int, split: Split) -> None:
    names = [*[Split.TEST] * 10, *[Split.DEV] * 10, *[Split.TRAIN] * 80]
    assert split_of(source) is names[sha256 % 100] is split


def test_any_file_is_read_as_16_khz_mono(tmp_path: Path) -> None:
    time = np.arange(44_100) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], axis=1), 44_100)
    pcm = read_pcm(tmp_path / "tone.wav")
    assert pcm.dtype == np.float32 and pcm.ndim == 1
    assert seconds(pcm) == pytest.approx(1.0, abs=0.001)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000, 12_000) / 16_000)
    assert np.abs(pcm[4000:12_000] - expected).max() < 0.01
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(AudioError, match="text.wav: no audio that can be read"):
        read_pcm(tmp_path / "text.wav")


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    bark = Recording(tmp_path / "a.wav", "bark, twice", "dogs.mp3", "CC0-1.0", 1.5)
    listed = [
        Entry(bark, warning="Mind the dog."),
        Entry(Recording(tmp_path / "deep" / "ü.ogg", "Дождь", "rain", "CC-BY-3.0"), Kind.PLACE),
        Entry(Recording(tmp_path / "s.wav", "Hola.", "s", "CC0"), Kind.SPEECH, "", "es", "hello"),
        Entry(Recording(Path(), "Go on.", text_source("Go on."), "CC0"), Kind.SENTENCE),
    ]
    assert write_table(tmp_path / "m.csv", listed) == len(listed)
    assert list(read_table(tmp_path / "m.csv")) == listed


def test_what_a_table_leaves_out_is_a_sound_of_unknown_length(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label,source,licence\na.wav,bark,dogs,CC0\n")
    [entry] = read_table(tmp_path / "m.csv")
    assert entry == Entry(Recording(tmp_path / "a.wav", "bark", "dogs", "CC0"), Kind.EVENT)


def test_a_table_out_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    text = "path,label,source,licence\r\na.wav,bark,dogs,CC0\r\n"
    (tmp_path / "m.csv").write_bytes(text.encode("utf-8-sig"))
    assert [entry.recording.label for entry in read_table(tmp_path / "m.csv")] == ["bark"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("path,label,source\na.wav,bark,dogs\n", "m.csv: there is no column licence"),
        ("path,label,source,licence\na.wav,,dogs,CC0\n", "line 2: a recording has a label"),
        ("path,label,source,licence\na.wav,b,c,d\n\ne.wav,f\n", "line 4: a recording has a"),
        ("path,label,source,licence,duration_s\na.wav,b,c,d,long\n", "line 2: .*long"),
        ("path,label,source,licence,kind\na.wav,b,c,d,smell\n", "line 2: .*smell"),
    ],
)
def test_a_bad_table_says_where(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ValueError, match=why):
        list(read_table(tmp_path / "m.csv"))
