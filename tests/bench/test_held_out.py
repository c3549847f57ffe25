from pathlib import Path

import numpy as np
from pytest import raises

from bench import sounds_data
from bench.corpus_material import learnable
from bench.held_out_set import HeldOut


def test_of_each_danger_that_is_learnt_some_recordings_are_kept_for_the_test() -> None:
    clips = sounds_data.clips()
    learnt = learnable(clips)
    kept = [clip for clip in clips if clip not in learnt]
    assert kept and all(clip.row and clip.split == "test" for clip in kept)
    assert {clip.row for clip in kept} < {clip.row for clip in learnt}


def test_what_was_learnt_is_not_held_out(tmp_path: Path) -> None:
    made = HeldOut(tmp_path, frozenset({"pack/dog.ogg"}))
    made.add("cat.flac", np.zeros(800, np.float32), [("pack/cat.ogg", "CC0-1.0")])
    with raises(ValueError, match=r"dog.flac: pack/dog.ogg was learnt from"):
        made.add("dog.flac", np.zeros(800, np.float32), [("pack/dog.ogg", "CC0-1.0")])
    assert made.sources == [("cat.flac", "pack/cat.ogg", "CC0-1.0")]
    assert [path.name for path in tmp_path.iterdir()] == ["cat.flac"]
