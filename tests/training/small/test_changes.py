from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from soundflow.cascade.policy import POLICY
from soundflow.unified.prompts import STANDARD_PROMPTS
from soundflow.unified.sound_groups import SOUND_GROUPS
from training.composition.rows import Clip
from training.composition.timeline import Answer, Response, Timeline
from training.small import changes
from training.small.features import About
from training.small.streams import Heard

GLASS, SIREN = 3, 5
CHUNKS = 12


def heard(*responses: Response, scene: str = "proactive response") -> Heard:
    rng = np.random.default_rng(0)
    about = About(
        name="one",
        kind="proactive",
        scene=scene,
        timeline=Timeline(CHUNKS, responses, "Warn me."),
        clips=(),
    )
    adapted = rng.normal(size=(CHUNKS, 10, 6)).astype(np.float32)
    return Heard(about, adapted, np.zeros((CHUNKS, len(SOUND_GROUPS)), np.float32))


def warned(chunk: int, danger: int) -> Response:
    return Response(chunk, Answer(POLICY[danger].advice, "urgent"))


def clip(start_s: float, end_s: float) -> Clip:
    said = {"label": "glass", "source": "one", "licence": "CC0", "role": "foreground"}
    return Clip(**said, start_s=start_s, end_s=end_s)


def said(stream: Heard) -> list[tuple[int, str]]:
    return [(each.chunk, each.answer.text) for each in stream.about.timeline.responses]


def test_the_first_groups_are_the_dangers_of_the_policy() -> None:
    for group, row in zip(SOUND_GROUPS.values(), POLICY, strict=False):
        assert all(name in group for alternative in row.evidence[:1] for name in alternative), row


def test_a_warning_comes_a_chunk_after_its_sound_is_heard_or_not_at_all() -> None:
    chunk_s = CHUNK_SAMPLES / SAMPLE_RATE_HZ
    end = Response(9, Answer(POLICY[GLASS].advice, "urgent"), 9 * CHUNK_SAMPLES)
    stream = heard(end, Response(10, Answer("hello")))
    clips = [(0.0, 2 * chunk_s), (4 * chunk_s, 9 * chunk_s)]
    about = stream.about.model_copy(
        update={"clips": tuple(clip(start_s, end_s) for start_s, end_s in clips)}
    )
    stream = replace(stream, about=about)
    stream.groups_NG[1, GLASS] = 0.9  # of another sound
    silent = changes.audible(stream, np.random.default_rng(0))
    assert said(silent) == [(10, "hello")]
    stream.groups_NG[6:8, GLASS] = 0.3, 0.4
    kept = changes.audible(stream, np.random.default_rng(0))
    assert said(kept) == [(7, POLICY[GLASS].advice), (10, "hello")]


def test_dangers_change_places_with_their_warnings() -> None:
    stream = heard(warned(3, GLASS), warned(8, SIREN), Response(10, Answer("hello")))
    stream.groups_NG[3, GLASS], stream.groups_NG[8, SIREN] = 0.5, 0.7
    stream.groups_NG[8, len(POLICY) + 1] = 0.6  # no danger, and stays where it is
    seen = set()
    for seed in range(40):
        changed = changes.swapped(stream, np.random.default_rng(seed))
        (_, first), (_, second), (_, third) = said(changed)
        column, other = changes.DANGERS[first], changes.DANGERS[second]
        assert third == "hello"
        assert changed.groups_NG[3, column] == pytest.approx(0.5)
        assert changed.groups_NG[8, other] == pytest.approx(0.7)
        assert changed.groups_NG[8, len(POLICY) + 1] == pytest.approx(0.6)
        assert changed.groups_NG.sum() == pytest.approx(stream.groups_NG.sum())
        seen.add(column)
    assert len(seen) > 5


@pytest.mark.parametrize(
    ("scene", "prompt"), [("real-time ASR", "PROACTIVE"), ("proactive response", "TRANSCRIBE")]
)
def test_another_ability_that_listens_is_silent(scene: str, prompt: str) -> None:
    stream = heard(warned(3, GLASS), scene=scene)
    streams = [changes.overheard(stream, np.random.default_rng(seed)) for seed in range(60)]
    silent = [each for each in streams if not said(each)]
    assert 2 <= len(silent) <= 20
    prompts = {ability.name: text for ability, text in STANDARD_PROMPTS.items()}
    assert {each.about.timeline.system for each in silent} == {prompts[prompt]}
    assert {each.about.timeline.chunks for each in silent} == {CHUNKS}


def test_what_is_hidden_is_hidden_of_the_copy() -> None:
    stream = heard()
    before = stream.adapted_NPW.copy()
    hidden = changes.masked(stream, np.random.default_rng(1)).adapted_NPW
    np.testing.assert_array_equal(stream.adapted_NPW, before)
    assert 0.05 < (hidden == 0).mean() < 0.6
    shown = hidden != 0
    np.testing.assert_allclose(hidden[shown], before[shown] / (1 - changes.DROPPED_SHARE), 1e-6)


@pytest.mark.parametrize("change", [changes.swapped, changes.overheard, changes.masked])
def test_a_change_is_the_same_for_the_same_draw(
    change: Callable[[Heard, np.random.Generator], Heard],
) -> None:
    stream = replace(heard(warned(3, GLASS)))
    one, other = (change(stream, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.whole(), other.whole())
    assert one.about == other.about
