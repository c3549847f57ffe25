import json
from pathlib import Path

import numpy as np
from pytest import approx, mark, raises

from soundflow.audio import CHUNK_MS, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from tests.training.evaluation.saying import turn
from training.evaluation.figures import Figure
from training.evaluation.proactive import (
    IGNORE,
    RESPOND,
    Clip,
    Decision,
    Judged,
    domain_of,
    judge,
    parse,
    read_manifest,
    read_predictions,
    score,
    written,
)
from training.evaluation.subject import Heard
from training.evaluation.tiers import reactions, series, strays, stream_of


def rows(path: Path, *values: object) -> Path:
    path.write_text("\n".join(json.dumps(value) for value in values))
    return path


def figures(judged: list[Judged]) -> dict[str, Figure]:
    return {figure.name: figure for figure in score("single", judged).figures}


@mark.parametrize(
    ("reply", "decision"),
    [
        ("<Decision>RESPOND</Decision><Reply>Call 112.</Reply>", RESPOND),
        ("Well:\n<decision> ignore </decision>", IGNORE),
        ("RESPOND", None),
        ("", None),
        ("<Decision>RESPOND</Decision> or <Decision>IGNORE</Decision>", None),
        ("<Decision>MAYBE</Decision>", None),
    ],
)
def test_a_reply_says_what_it_decided_or_nothing(reply: str, decision: Decision | None) -> None:
    assert parse(reply) == decision


def test_what_we_write_reads_as_what_was_decided() -> None:
    assert parse(written(RESPOND, "<Decision>")) == RESPOND
    assert parse(written(IGNORE, "")) == IGNORE


def test_the_public_files(tmp_path: Path) -> None:
    manifest = rows(
        tmp_path / "manifest.jsonl",
        {"id": 1, "path": "Human_Cough/a.wav", "description": "a fit", "decision": "RESPOND"},
        {"id": 2, "path": "Music/b.wav", "description": "a tune", "decision": "IGNORE"},
        {"id": 3, "path": "Music/c.wav", "description": "a song", "decision": "IGNORE"},
    )
    predicted = rows(
        tmp_path / "predictions.jsonl",
        {"id": 1, "_raw_reply": "<Decision>RESPOND</Decision><Reply>Sit down.</Reply>"},
        {"id": 2, "_raw_reply": "I would say nothing"},
    )
    judged = judge(read_manifest(manifest), read_predictions(predicted))
    assert judged == [
        Judged("human", RESPOND, RESPOND),
        Judged("music", IGNORE, None),  # not clear
        Judged("music", IGNORE, None),  # not there
    ]
    found = figures(judged)
    assert found["plain accuracy"].value == approx(1 / 3)
    assert found["accuracy, public scorer"].value == 1.0
    assert "2 that could not be read" in found["accuracy, public scorer"].note
    assert found["balanced accuracy"].value == 0.5
    array = tmp_path / "manifest.json"
    array.write_text(json.dumps([json.loads(line) for line in manifest.read_text().splitlines()]))
    assert read_manifest(array) == read_manifest(manifest)


def test_saying_nothing_has_the_published_accuracy_and_half_the_balanced_one() -> None:
    judged = [Judged("human", RESPOND, IGNORE)] * 267 + [Judged("music", IGNORE, IGNORE)] * 377
    found = figures(judged)
    assert found["plain accuracy"].value == approx(0.585, abs=0.0005)
    assert found["balanced accuracy"].value == 0.5
    assert found["recall"].value == 0.0
    assert found["specificity"].value == 1.0


def test_recall_precision_and_domains() -> None:
    judged = [
        Judged("human", RESPOND, RESPOND),
        Judged("human", RESPOND, IGNORE),
        Judged("traffic", IGNORE, RESPOND),
        Judged("traffic", IGNORE, IGNORE),
        Judged("traffic", RESPOND, RESPOND),
    ]
    found = figures(judged)
    assert found["recall"].value == approx(2 / 3)
    assert found["precision"].value == approx(2 / 3)
    assert found["balanced accuracy"].value == approx((2 / 3 + 1 / 2) / 2)
    assert found["traffic: balanced accuracy"].value == 0.75
    assert found["human: plain accuracy"].value == 0.5
    assert "one decision only" in found["human: balanced accuracy"].note


@mark.parametrize(
    ("path", "domain"),
    [
        ("human_distress/x.wav", "human"),
        ("clips/03-Daily-Living_kitchen/x.wav", "daily living"),
        ("Equipment/alarm/x.wav", "equipment"),
        ("bells/x.wav", "nature"),
        ("unheard of/x.wav", "other"),
        ("music.wav", "other"),
    ],
)
def test_the_domain_is_that_of_a_folder(path: str, domain: str) -> None:
    assert domain_of(path, {"Bells": "nature"}) == domain


def test_a_broken_manifest_row_is_named(tmp_path: Path) -> None:
    broken = rows(tmp_path / "m.jsonl", {"id": 1, "path": "a.wav", "decision": "PERHAPS"})
    with raises(ValueError, match=r"m.jsonl, row 1"):
        read_manifest(broken)


CLIPS = [Clip(str(n), f"{'ab'[n % 2]}/{n}.wav", "", RESPOND) for n in range(11)]


def test_the_multiple_tier_joins_three_and_five_of_one_category() -> None:
    streams = list(series(CLIPS))
    assert sorted(len(clips) for clips in streams) == [3, 3, 3, 5, 5]  # of 6 and of 5
    assert all(len({clip.category for clip in clips}) == 1 for clips in streams)
    assert list(series(CLIPS)) == streams
    for size in (3, 5):  # within a size nothing comes twice
        ids = [clip.id for clips in streams if len(clips) == size for clip in clips]
        assert len(ids) == len(set(ids))


def test_between_clips_lie_0_8_to_2_4_seconds() -> None:
    audio = [np.full(3000 + 100 * n, 0.5, np.float32) for n in range(3)]
    pcm, placed = stream_of(CLIPS[:3], audio)
    assert len(pcm) % CHUNK_SAMPLES == 0
    for before, after in zip(placed, placed[1:], strict=False):
        assert 0.8 <= (after.start - before.end) / SAMPLE_RATE_HZ <= 2.4
    for one, clip in zip(placed, audio, strict=True):
        assert (pcm[one.start : one.end] == clip).all()
    assert (pcm != 0).sum() == sum(map(len, audio))


def test_a_reply_belongs_to_the_clip_that_began_last() -> None:
    audio = [np.full(CHUNK_SAMPLES, 0.5, np.float32)] * 3
    pcm, placed = stream_of(CLIPS[:3], audio)
    second = placed[1].start // CHUNK_SAMPLES  # the chunk at whose close it has begun
    heard = Heard(len(pcm) // CHUNK_SAMPLES, (turn(0), turn(second), turn(second + 2)))
    said = reactions(placed, heard)
    assert [(one.decision, one.reply) for one in said] == [
        (IGNORE, ""),
        (RESPOND, "ok ok"),
        (IGNORE, ""),
    ]
    delay_ms = (second + 1) * CHUNK_MS - placed[1].start * 1000 / SAMPLE_RATE_HZ
    assert said[1].delay_ms == approx(delay_ms)
    assert 0 < delay_ms <= CHUNK_MS
    assert strays(placed, heard) == 1


def test_what_is_said_before_the_sound_begins_is_no_answer_to_it() -> None:
    late = Clip("late", "a/late.wav", "", RESPOND, onset_s=2.0)
    pcm, placed = stream_of([late], [np.full(8 * CHUNK_SAMPLES, 0.5, np.float32)])
    before = Heard(len(pcm) // CHUNK_SAMPLES, (turn(3),))  # closes at 1.6 s, 0.8 s into the clip
    assert [one.decision for one in reactions(placed, before)] == [IGNORE]
    assert strays(placed, before) == 1
    after = Heard(len(pcm) // CHUNK_SAMPLES, (turn(7),))  # closes at 3.2 s
    assert [one.delay_ms for one in reactions(placed, after)] == [approx(3200 - 2800)]


def test_each_reply_to_what_calls_for_none_is_a_false_alarm() -> None:
    judged = [
        Judged("music", IGNORE, RESPOND, replies=3, delay_ms=400.0),
        Judged("human", RESPOND, RESPOND, replies=2, delay_ms=1200.0),
        Judged("human", RESPOND, IGNORE),
    ]
    found = {each.name: each for each in score("x", judged, seconds=1800.0, strays=1).figures}
    assert found["false alarms"].value == approx(8.0)
    assert found["reply delay, median"].value == 1200.0
    assert found["reply delay, median"].of == 1
