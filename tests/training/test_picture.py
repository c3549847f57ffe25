from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.corpus import made_row
from training.composition.picture import main
from training.composition.rows import Clip, OfflineRow, write_rows


def test_a_row_is_drawn(tmp_path: Path) -> None:
    clips = (
        Clip(label="bark", source="a", licence="CC0-1.0", role="foreground", start_s=0.4, end_s=1),
        Clip(label="rain", source="b", licence="CC0-1.0", role="ambient", start_s=0, end_s=2),
    )
    rows = [
        made_row(seed, tmp_path, turns=5).model_copy(update={"clips": clips}) for seed in (0, 1)
    ]
    write_rows(tmp_path / "base.jsonl", rows)
    pictures = [tmp_path / f"{number}.png" for number in range(2)]
    for number, picture in enumerate(pictures):
        options = ["--row", str(number), "--to", str(picture)]
        assert main([str(tmp_path / "base.jsonl"), *options]) == 0
        # Foreground blue and ambient olive, half-transparent on white.
        assert has_colour(picture, (143, 187, 218)) and has_colour(picture, (222, 222, 144))
    assert pictures[0].read_bytes() != pictures[1].read_bytes()


def has_colour(picture: Path, colour: tuple[int, int, int]) -> bool:
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
    return bool((np.abs(pixels - colour).max(axis=-1) <= 2).sum() > 100)


def test_what_is_no_stream_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "base.jsonl", [OfflineRow(user="Hi", assistant="Hello.")])
    for number in ("0", "7"):
        to = ["--row", number, "--to", str(tmp_path / "x.png")]
        assert main([str(tmp_path / "base.jsonl"), *to]) == 1
    assert "row 7 is no stream" in capsys.readouterr().err


def test_rows_that_are_not_there_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "absent.jsonl"), "--to", str(tmp_path / "x.png")]) == 1
    assert "absent.jsonl" in capsys.readouterr().err
