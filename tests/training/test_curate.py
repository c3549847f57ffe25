from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from training.curate import main

BARK = Path(__file__).parents[1] / "data" / "sounds" / "bark.flac"


def test_a_file_is_curated_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, picture = tmp_path / "clean.wav", tmp_path / "bark.png"
    assert main([str(BARK), "--to", str(clean), "--picture", str(picture)]) == 0
    assert "0.40 s -> 0.4 s" in capsys.readouterr().out
    pcm, rate_hz = soundfile.read(clean)
    assert (len(pcm), rate_hz) == (6400, 16_000)
    with Image.open(picture) as image:
        colours = image.convert("RGB").getcolors(maxcolors=1 << 20)
    assert colours is not None and len(colours) > 100


def test_the_picture_lies_beside_the_file_by_default(tmp_path: Path) -> None:
    file = tmp_path / "bark.flac"
    file.write_bytes(BARK.read_bytes())
    assert main([str(file), "--picture"]) == 0
    assert (tmp_path / "bark.curated.png").stat().st_size > 1000


def test_what_is_no_event_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16_000), 16_000)
    assert main([str(silent)]) == 1
    assert main([str(tmp_path / "missing.wav")]) == 1
    said = capsys.readouterr().err
    assert "silent" in said and "missing.wav" in said
