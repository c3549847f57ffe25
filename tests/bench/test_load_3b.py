from pathlib import Path

from bench.load_3b import run
from soundflow.unified.audio_tower import EncoderConfig
from soundflow.unified.config import DecoderConfig

SMALL_ENCODER = EncoderConfig(width=32, layers=2, heads=2, ffn=64, output_width=64)
SMALL_DECODER = DecoderConfig(layers=6, width=64, heads=4, kv_heads=2, head_width=16, ffn=128)


def test_what_it_writes_loads_and_answers_and_is_removed(tmp_path: Path) -> None:
    loaded = run(SMALL_ENCODER, SMALL_DECODER, tmp_path)
    assert loaded.written_gb > 0.039  # two tables of 151,936 x 64 bfloat16
    assert loaded.answered.action in ("silent", "respond")
    assert loaded.peak_gb > loaded.peak_own_gb > 0.039
    assert list(tmp_path.iterdir()) == []
