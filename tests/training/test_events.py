from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from soundflow.audio import SAMPLE_RATE_HZ, AudioError, Pcm
from soundflow.cascade.sound_classes import CLASS_NAMES, places
from soundflow.cascade.vocabulary import SoundGroup, resolve_sound
from training.compose import Cue, Role, compose
from training.composition.timeline import Answer
from training.curation.events import Check, Decision, Grounded, Grounding, Step, parts_of, verify
from training.curation.recordings import Recording, Split, read_pcm, split_of
from training.curation.retrieval import Library, similarity
from training.curation.scenario import GrammarPlanner, Query, Scenario, SubEvent
from training.curation.tagging import RememberingTagger, Scores, YamnetTagger, score_of

DATA = Path(__file__).parents[1] / "data"
TRAIN = [name for name in map(str, range(200)) if split_of(name) is Split.TRAIN]


def tone(seconds: float, level: float = 0.3) -> Pcm:
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * 700 * time)).astype(np.float32)


def noise(seconds: float, level: float) -> Pcm:
    samples = round(seconds * SAMPLE_RATE_HZ)
    return (level * np.random.default_rng(0).normal(size=samples)).astype(np.float32)


def padded(pcm: Pcm, before_s: float, after_s: float) -> Pcm:
    return np.pad(pcm, (round(before_s * SAMPLE_RATE_HZ), round(after_s * SAMPLE_RATE_HZ)))


class Told:
    """A tagger that hears in everything what it was told."""

    def __init__(self, **scores: float) -> None:
        self._scores = {name.replace("_", " "): score for name, score in scores.items()}

    def scores(self, pcm_S: Pcm) -> Scores:  # noqa: N803 as the port has it
        heard = np.zeros(len(CLASS_NAMES), np.float32)
        for name, score in self._scores.items():
            heard[places([name])] = score
        return heard


BARKS = Told(Bark=0.8)
BARK = SubEvent(sound="dog barking", role=Role.FOREGROUND, duration_s=1.0)
QUERY = Query(text="dog barking", caption="A dog barks.")


class Shelf:
    """Recordings of which the sound is made up; label by label."""

    def __init__(self, *clips: tuple[str, Pcm | Exception]) -> None:
        self._clips = [clip for _, clip in clips]
        self.recordings = [
            Recording(Path(str(n)), label, TRAIN[n], "CC0-1.0")
            for n, (label, _) in enumerate(clips)
        ]

    def read(self, recording: Recording) -> Pcm:
        clip = self._clips[int(recording.path.name)]
        if isinstance(clip, Exception):
            raise clip
        return clip

    def grounding(self, tagger: Told, generator: "Maker | None" = None) -> Grounding:
        return Grounding(Library.of(self.recordings, Split.TRAIN), tagger, generator, self.read)


class Maker:
    """A generator that makes one tone, and remembers what it was asked for."""

    def __init__(self, pcm: Pcm | None) -> None:
        self.asked: list[tuple[str, float, int]] = []
        self._pcm = pcm

    def generate(self, caption: str, duration_s: float, seed: int) -> tuple[Recording, Pcm] | None:
        self.asked.append((caption, duration_s, seed))
        if self._pcm is None:
            return None
        return Recording(Path("made"), "made", "generator", "CC0-1.0"), self._pcm


def decided(grounded: Grounded) -> list[tuple[Decision, set[Check]]]:
    return [(step.decision, set(step.failed)) for step in grounded.steps]


def test_what_fits_is_accepted_as_it_is() -> None:
    clip = tone(1.0)
    grounded = Shelf(("dog barking", clip)).grounding(BARKS).ground_event(BARK, QUERY, 0)
    assert decided(grounded) == [(Decision.ACCEPT, set())]
    assert grounded.pcm_S is clip
    assert grounded.recording and grounded.recording.licence == "CC0-1.0"


def test_what_can_be_mended_is_curated_once() -> None:
    noisy = padded(tone(1.0), 2, 2) + noise(5, 0.01)
    grounded = Shelf(("dog barking", noisy)).grounding(BARKS).ground_event(BARK, QUERY, 0)
    failed = {Check.CLEANLINESS, Check.DURATION}
    assert decided(grounded) == [(Decision.REPROCESS, failed), (Decision.ACCEPT, set())]
    assert grounded.pcm_S is not None
    assert len(grounded.pcm_S) / SAMPLE_RATE_HZ == pytest.approx(1.2, abs=0.21)


def test_a_broken_sound_is_joined() -> None:
    broken = np.concatenate([tone(0.6), np.zeros(8000, np.float32), tone(0.6)])
    grounded = Shelf(("dog barking", broken)).grounding(BARKS).ground_event(BARK, QUERY, 0)
    assert decided(grounded) == [
        (Decision.REPROCESS, {Check.CONTINUITY}),
        (Decision.ACCEPT, set()),
    ]


def test_candidates_are_tried_in_order_until_one_fits() -> None:
    shelf = Shelf(
        ("a dog barking", tone(5.0)),
        ("dog barking", AudioError("not_audio", "no")),
        ("dog barks loudly", tone(1.0)),
        ("a dog", tone(1.0)),
    )
    grounded = shelf.grounding(BARKS).ground_event(BARK, QUERY, 0)
    assert decided(grounded) == [
        (Decision.REJECT, {Check.READABLE}),
        (Decision.REPROCESS, {Check.DURATION}),
        (Decision.REJECT, {Check.DURATION}),
        (Decision.ACCEPT, set()),
    ]
    assert grounded.recording and grounded.recording.label == "dog barks loudly"


def test_the_wrong_sound_is_rejected_and_another_one_is_made() -> None:
    shelf = Shelf(*[("dog barking", tone(1.0))] * 5)
    maker = Maker(tone(1.0))
    grounded = shelf.grounding(Told(Meow=0.9), maker).ground_event(BARK, QUERY, 7)
    assert decided(grounded) == [
        *[(Decision.REJECT, {Check.IDENTITY})] * 3,
        (Decision.GENERATE, set()),
        (Decision.REJECT, {Check.IDENTITY}),
    ]
    assert maker.asked == [("A dog barks.", 1.0, 7)]
    assert grounded.recording is None and grounded.pcm_S is None


def test_what_is_made_is_verified_and_kept() -> None:
    grounded = Shelf(("piano", tone(1.0))).grounding(BARKS, Maker(tone(1.0)))
    found = grounded.ground_event(BARK, Query(text="xyzzy", caption="A dog barks."), 0)
    assert decided(found) == [(Decision.GENERATE, set()), (Decision.ACCEPT, set())]
    assert found.recording and found.recording.source == "generator"
    nothing = Shelf(("piano", tone(1.0))).grounding(BARKS, Maker(None))
    assert nothing.ground_event(BARK, Query(text="xyzzy", caption="A."), 0).steps == (
        Step(Decision.GENERATE),
    )


@pytest.mark.parametrize(
    ("clip", "failed"),
    [
        (tone(0.4), {Check.DURATION}),
        (tone(0.5), set()),
        (tone(2.0), set()),
        (tone(2.1), {Check.DURATION}),
        (np.clip(tone(1.0, 3.0), -1, 1), {Check.CLEANLINESS}),
        (padded(tone(1.0), 0.2, 0.2) + noise(1.4, 0.01), {Check.CLEANLINESS}),
        (padded(tone(1.0), 0.2, 0.2) + noise(1.4, 0.0003), set()),
        (noise(1.0, 0.1), set()),
        (np.zeros(16_000, np.float32), {Check.READABLE}),
        (np.zeros(0, np.float32), {Check.READABLE}),
        (np.full(16_000, np.nan, np.float32), {Check.READABLE}),
    ],
)
def test_each_check_has_its_bound(clip: Pcm, failed: set[Check]) -> None:
    assert set(verify(clip, BARK, BARKS)) == failed


def test_someone_who_talks_makes_a_clip_unclean_unless_speech_was_asked_for() -> None:
    assert verify(tone(1.0), BARK, Told(Bark=0.8, Speech=0.7)) == {Check.CLEANLINESS}
    speech = SubEvent(sound="speech", role=Role.FOREGROUND, duration_s=1.0)
    assert not verify(tone(1.0), speech, Told(Speech=0.7))


def test_a_sound_that_nobody_has_a_class_for_is_not_verified() -> None:
    event = SubEvent(sound="xyzzy", role=Role.FOREGROUND, duration_s=1.0)
    assert verify(tone(1.0), event, BARKS) == {Check.IDENTITY}


def test_of_a_long_bed_as_much_is_taken_as_is_needed() -> None:
    rain = SubEvent(sound="rain", role=Role.AMBIENT, duration_s=3.0)
    found = Shelf(("rain", noise(20.0, 0.1))).grounding(Told(Rain=0.9))
    grounded = found.ground_event(rain, Query(text="rain", caption="Rain."), 0)
    assert grounded.pcm_S is not None and len(grounded.pcm_S) == 3 * SAMPLE_RATE_HZ


def test_a_library_is_of_one_split_and_searched_by_meaning() -> None:
    shelf = Shelf(*[(label, tone(1.0)) for label in ("cat", "a dog barks", "rain", "dogs")])
    test_source = next(name for name in map(str, range(200)) if split_of(name) is Split.TEST)
    foreign = Recording(Path("t"), "dog barking", test_source, "CC0-1.0")
    library = Library.of([*shelf.recordings, foreign], Split.TRAIN)
    found: Sequence[Recording] = library.retrieve("dog barking")
    assert [each.label for each in found[:2]] == ["a dog barks", "dogs"]
    assert foreign not in library.recordings
    assert library.retrieve("xyzzy") == []
    with pytest.raises(ValueError, match="no recording of the split dev"):
        Library.of([foreign], Split.DEV)


@pytest.mark.parametrize(
    ("one", "near", "far"),
    [
        ("barking", "bark", "barrel organ"),
        ("glass breaking", "breaking a glass", "brass"),
        ("a siren", "ambulance siren", "singing"),
    ],
)
def test_kin_is_nearer_than_like_spelling(one: str, near: str, far: str) -> None:
    assert similarity(one, near) > similarity(one, far)
    assert similarity(one, one) >= similarity(one, near)


def test_a_clip_is_heard_once() -> None:
    heard: list[float] = []

    class Counting(Told):
        def scores(self, pcm_S: Pcm) -> Scores:  # noqa: N803 as the port has it
            heard.append(float(pcm_S.max()))
            return super().scores(pcm_S)

    tagger = RememberingTagger(Counting(Bark=0.8))
    clip = tone(1.0)
    assert not verify(clip, BARK, tagger) and not verify(clip.copy(), BARK, tagger)
    assert not verify((clip / 2).astype(np.float32), BARK, tagger)
    assert heard == [pytest.approx(0.3, abs=1e-3), pytest.approx(0.15, abs=1e-3)]


@pytest.mark.models
def test_the_tagger_knows_real_sounds() -> None:
    tagger = YamnetTagger()
    clips = {name: read_pcm(DATA / f"sounds/{name}.flac") for name in ("bark", "glass")}
    bark = SubEvent(sound="dog barking", role=Role.FOREGROUND, duration_s=0.4)
    glass = SubEvent(sound="glass breaking", role=Role.FOREGROUND, duration_s=0.5)
    assert Check.IDENTITY not in verify(clips["bark"], bark, tagger)
    assert Check.IDENTITY not in verify(clips["glass"], glass, tagger)
    assert Check.IDENTITY in verify(clips["bark"], glass, tagger)
    assert Check.IDENTITY in verify(clips["glass"], bark, tagger)
    assert tagger.scores(clips["bark"]).shape == (521,)


@pytest.mark.models
def test_a_scenario_becomes_a_stream_of_real_recordings() -> None:
    names = {"dog barking": "bark.flac", "glass breaking": "glass.flac", "music": "hold_music.ogg"}
    recordings = [
        Recording(DATA / "sounds" / file, label, TRAIN[n], "CC0-1.0")
        for n, (label, file) in enumerate(names.items())
    ]
    events = [
        SubEvent(sound="glass breaking", role=Role.FOREGROUND, duration_s=0.5, after=(1,)),
        SubEvent(sound="dog barking", role=Role.FOREGROUND, duration_s=0.4),
        SubEvent(sound="music", role=Role.AMBIENT, duration_s=3.0),
    ]
    scenario = Scenario(title="burglary", events=tuple(events))
    grounding = Grounding(Library.of(recordings, Split.TRAIN), YamnetTagger())
    grounded = grounding.ground(scenario, GrammarPlanner(), 0)
    assert [each.recording for each in grounded] == [recordings[1], recordings[0], recordings[2]]
    parts = parts_of(scenario, grounded, lambda event: (Cue(Answer(f"I hear {event.sound}.")),))
    stream = compose(parts[Role.FOREGROUND], 0, ambient=parts[Role.AMBIENT])
    said = [response.answer.text for response in stream.timeline.responses]
    assert said == ["I hear dog barking.", "I hear glass breaking."]
    assert [placed.role for placed in stream.placed] == [
        Role.FOREGROUND,
        Role.FOREGROUND,
        Role.AMBIENT,
    ]


def test_parts_keep_order_and_what_was_not_found_is_left_out() -> None:
    shelf = Shelf(("dog barking", tone(1.0)))
    late = BARK.model_copy(update={"after": (1,)})
    behind = SubEvent(sound="dog", role=Role.BACKGROUND, duration_s=1.0, apart_from=(0,))
    unknown = SubEvent(sound="xyzzy", role=Role.FOREGROUND, duration_s=1.0)
    scenario = Scenario(title="", events=(late, unknown, behind))
    grounded = shelf.grounding(BARKS).ground(scenario, GrammarPlanner(), 0)
    assert grounded[1].pcm_S is None
    parts = parts_of(scenario, grounded, lambda event: (Cue(Answer("Woof.")),))
    [front], [back] = parts[Role.FOREGROUND], parts[Role.BACKGROUND]
    assert front.cues and not back.cues
    assert back.apart_from == {"dog barking"}
    assert score_of(BARKS.scores(tone(1.0)), _group("dog barking")) == pytest.approx(0.8)


def _group(sound: str) -> SoundGroup:
    group = resolve_sound(sound)
    assert group
    return group
