from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES
from tests.training.studio import SPEECH, made_studio
from training.compose import Role, Stream
from training.composition.timeline import response_chunk
from training.corpora.material import MaterialMissing
from training.curation.recordings import Kind, Split
from training.data import KINDS
from training.tasks.plan import Plan, Studio
from training.tasks.proactive import DISTRESS, EQUIPMENT
from training.tasks.table import SHARES, TABLE, Ability, drawn, named

SEEDS = range(12)
ENGLISH = [english for english, _ in SPEECH]
SPANISH = dict(SPEECH)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return made_studio(tmp_path_factory.mktemp("material"))


def planned(studio: Studio, name: str, seed: int) -> Plan:
    [task] = named([name])
    return task.plan(studio, np.random.default_rng(seed))


def said(stream: Stream) -> list[str]:
    return [response.answer.text for response in stream.timeline.responses]


def heard(plan: Plan) -> list[str]:
    return [part.recording.label for part in plan.foreground]


def test_there_are_four_sub_tasks_for_each_of_seven_abilities() -> None:
    assert len({task.name for task in TABLE}) == len(TABLE) == 28
    for ability in Ability:
        assert sum(task.ability is ability for task in TABLE) == 4
    assert sum(SHARES.values()) == pytest.approx(100)


def test_unknown_sub_tasks_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="there is no sub-task juggle, sing; there are narrate"):
        named(["narrate", "juggle", "sing"])


def test_abilities_are_drawn_by_their_shares() -> None:
    rng = np.random.default_rng(0)
    names = [drawn(TABLE, rng) for _ in range(4000)]
    for ability, share in SHARES.items():
        count = sum(task.ability is ability for task in names)
        assert count / 40 == pytest.approx(share, abs=3)


@pytest.mark.parametrize("name", [task.name for task in TABLE])
def test_a_sub_task_gives_the_same_stream_for_the_same_seed_and_others_for_others(
    studio: Studio, name: str
) -> None:
    streams = set()
    for seed in SEEDS:
        plan, again = planned(studio, name, seed), planned(studio, name, seed)
        stream, same = plan.composed(seed), again.composed(seed)
        np.testing.assert_array_equal(stream.pcm_S, same.pcm_S)
        assert stream.timeline == same.timeline and plan.system == again.system
        assert plan.system and plan.kind in KINDS
        assert {each.recording.split for each in stream.placed} == {Split.TRAIN}
        streams.add((plan.system, tuple(heard(plan))))
    assert len(streams) > 3


@pytest.mark.parametrize("name", [task.name for task in TABLE if task.name != "look-alikes"])
def test_whatever_is_answered_is_answered_as_soon_as_it_is_over(studio: Studio, name: str) -> None:
    for seed in SEEDS:
        plan = planned(studio, name, seed)
        stream = plan.composed(seed)
        whole = {
            response_chunk(placed.end)
            for placed, part in zip(stream.placed, plan.foreground, strict=False)
            if any(cue.end < 0 for cue in part.cues)
        }
        words = any(cue.end >= 0 for part in plan.foreground for cue in part.cues)
        chunks = {response.chunk for response in stream.timeline.responses}
        assert whole <= chunks if words else whole == chunks
        assert chunks


@pytest.mark.parametrize("name", ["asr-clean", "asr-noisy", "asr-telephone", "asr-long"])
def test_transcripts_say_every_word_once_in_order(studio: Studio, name: str) -> None:
    for seed in SEEDS:
        plan = planned(studio, name, seed)
        assert " ".join(said(plan.composed(0))) == " ".join(heard(plan))
        assert (plan.noises is not None) or name != "asr-noisy"
        assert (plan.composition.channel.line_share == 1.0) is (name == "asr-telephone")


def test_counting_says_each_number_when_its_sound_is_over(studio: Studio) -> None:
    for seed in SEEDS:
        plan = planned(studio, "count", seed)
        counted = [part for part in plan.foreground if part.cues]
        assert len({part.recording.label for part in counted}) == 1
        label = counted[0].recording.label
        assert heard(plan).count(label) == len(counted) >= 2
        assert said(plan.composed(0)) == [f"{n}." for n in range(1, len(counted) + 1)]


def test_translations_are_those_of_what_was_heard(studio: Studio) -> None:
    english = {spanish: text for text, spanish in SPEECH}
    for seed in SEEDS:
        plan = planned(studio, "from-english", seed)
        assert said(plan.composed(0)) == [SPANISH[text] for text in heard(plan)]
        plan = planned(studio, "into-english", seed)
        assert said(plan.composed(0)) == [english[text] for text in heard(plan)]
        plan = planned(studio, "by-sentence", seed)
        assert " ".join(said(plan.composed(0))) == " ".join(SPANISH[text] for text in heard(plan))
        assert len(said(plan.composed(0))) == 2 * len(plan.foreground)


def test_translation_is_silent_before_it_is_asked_for_and_after_it_is_stopped(
    studio: Studio,
) -> None:
    for seed in SEEDS:
        on = False
        for part in planned(studio, "switched", seed).foreground:
            label = part.recording.label
            if label not in ENGLISH:
                on = "top" not in label
                assert len(part.cues) == 1
            else:
                wanted = [SPANISH[label]] if on else []
                assert [cue.answer.text for cue in part.cues] == wanted


def test_only_dangers_are_warned_of(studio: Studio) -> None:
    warnings = {each.recording.label: each.warning for each in studio.material.events()}
    names = {each.recording.label: each.name for each in studio.material.events()}
    fits: dict[str, Callable[[str], bool]] = {
        "distress": lambda name: name in DISTRESS,
        "equipment": lambda name: name in EQUIPMENT,
        "hazards": lambda name: name not in DISTRESS | EQUIPMENT,
    }
    for task, fit in fits.items():
        for seed in SEEDS:
            plan = planned(studio, task, seed)
            dangers = [label for label in heard(plan) if warnings[label]]
            assert [fit(names[label]) for label in dangers] == [True]
            stream = plan.composed(0)
            assert said(stream) == [warnings[label] for label in dangers]
            assert {each.answer.emotion for each in stream.timeline.responses} == {"urgent"}
            assert plan.kind == "proactive"
    for seed in SEEDS:
        plan = planned(studio, "look-alikes", seed)
        assert not said(plan.composed(0)) and not any(warnings[label] for label in heard(plan))
        assert plan.kind == "silent"


def test_a_condition_is_met_only_by_its_sound(studio: Studio) -> None:
    names = {each.recording.label: each.name for each in studio.material.events()}
    for seed in SEEDS:
        plan = planned(studio, "conditional", seed)
        for part in plan.foreground:
            awaited = f"hear {names[part.recording.label]}," in plan.system
            assert len(part.cues) == awaited
            assert all(cue.answer.text in plan.system for cue in part.cues)


def test_what_is_asked_again_was_said_three_rounds_back(studio: Studio) -> None:
    for seed in SEEDS:
        plan = planned(studio, "history-review", seed)
        assert len(plan.foreground) >= 4
        told = plan.foreground[0].recording.label.rstrip(".")
        key = told.split()[-1]
        assert key in said(plan.composed(0))[-1]
        assert key not in plan.foreground[-1].recording.label
        assert plan.kind == "history"


def test_a_reply_to_feelings_has_their_emotion(studio: Studio) -> None:
    emotions = set()
    for seed in range(30):
        stream = planned(studio, "emotion", seed).composed(0)
        emotions |= {response.answer.emotion for response in stream.timeline.responses}
    assert {"happy", "sad", "surprise"} <= emotions


def test_answers_that_are_called_off_do_not_come(studio: Studio) -> None:
    stopped = 0
    for seed in range(30):
        plan = planned(studio, "changed", seed)
        off = [n for n, label in enumerate(heard(plan)) if "stop answering" in label]
        for number, part in enumerate(plan.foreground):
            assert bool(part.cues) is (not off or number <= off[0])
        stopped += bool(off)
    assert 5 < stopped < 25


@pytest.mark.parametrize("name", ["count", "conditional", "questions"])
def test_one_kind_of_sound_is_too_little_to_tell_it_from_others(studio: Studio, name: str) -> None:
    kept = tuple(
        each
        for each in studio.material.sounds
        if each.kind is not Kind.EVENT or each.recording.label == "dog"
    )
    few = replace(studio, material=replace(studio.material, sounds=kept))
    for seed in SEEDS:
        with pytest.raises(MaterialMissing, match="has no event but a dog barking"):
            planned(few, name, seed)


@pytest.mark.parametrize("name", ["behind", "describe"])
def test_what_is_said_of_a_place_is_to_be_heard(studio: Studio, name: str) -> None:
    for seed in SEEDS:
        stream = planned(studio, name, seed).composed(0)
        behind = [
            each.recording.label
            for each in stream.placed
            if each.role in (Role.NOISE, Role.AMBIENT)
        ]
        assert behind and behind[0] in said(stream)[-1]


@pytest.mark.parametrize("split", [Split.DEV, Split.TEST])
def test_each_sub_task_can_be_made_in_each_split(tmp_path: Path, split: Split) -> None:
    other = made_studio(tmp_path, split)
    for task in TABLE:
        stream = task.plan(other, np.random.default_rng(1)).composed(0)
        assert stream.split is split
        assert len(stream.pcm_S) % CHUNK_SAMPLES == 0
