from pathlib import Path

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Pcm
from training.compose import Composition, Cue, Part, Role, Stream, compose
from training.composition.channel import Channel
from training.composition.mixing import QUIETEST_DB, at_level, faded, level_db, tiled
from training.composition.rows import broken_rows, read_rows, write_rows
from training.composition.saved import save_stream
from training.composition.timeline import Answer
from training.curation.recordings import Recording, Split, read_pcm, split_of
from training.data import hear

DATA = Path(__file__).parents[1] / "data"


def recording(label: str, split: Split = Split.TRAIN) -> Recording:
    source = next(name for name in map(str, range(200)) if split_of(name) is split)
    return Recording(Path(f"{label}.wav"), label, source, "CC0-1.0")


def beep(seconds: float, hz: float = 440.0) -> Pcm:
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.4 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def hiss(seconds: float, seed: int = 0) -> Pcm:
    samples = round(seconds * SAMPLE_RATE_HZ)
    return (0.1 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def part(label: str, pcm: Pcm, *cues: Cue) -> Part:
    return Part(recording(label), pcm, cues)


def events(seed: int) -> list[Part]:
    rng = np.random.default_rng(seed)
    bark, glass = (read_pcm(DATA / f"sounds/{name}.flac") for name in ("bark", "glass"))
    made = [bark, glass, beep(float(rng.uniform(0.1, 2))), hiss(float(rng.uniform(0.1, 2)))]
    picked = [made[int(rng.integers(len(made)))] for _ in range(rng.integers(1, 8))]
    return [
        part(f"event {number}", pcm, *([Cue(Answer(f"Event {number}."))] * bool(rng.integers(2))))
        for number, pcm in enumerate(picked)
    ]


def composed(seed: int) -> Stream:
    return compose(
        events(seed),
        seed,
        background=[part("behind", beep(1.0, 900))],
        ambient=[part("around", hiss(3.0, 1))],
        noises=(part("clatter", hiss(2.0, 2)), part("hum", beep(1.5, 60))),
    )


@pytest.mark.parametrize("seed", range(12))
def test_every_response_comes_when_its_event_is_over_and_not_a_chunk_later(seed: int) -> None:
    stream = composed(seed)
    assert len(stream.pcm_S) == stream.timeline.chunks * CHUNK_SAMPLES
    answered = {response.answer.text: response for response in stream.timeline.responses}
    foreground = [each for each in stream.placed if each.role is Role.FOREGROUND]
    cued = [each for each, made in zip(foreground, events(seed), strict=True) if made.cues]
    assert len(answered) == len(cued)
    free = -1  # the chunk of the response before: two are not said at once
    for placed in cued:
        response = answered[f"{placed.recording.label.capitalize()}."]
        assert response.evidence_samples == placed.end
        assert (response.chunk + 1) * CHUNK_SAMPLES >= placed.end
        due = -(-placed.end // CHUNK_SAMPLES) - 1
        assert response.chunk == max(due, free + 1)
        free = response.chunk
        assert response.chunk < stream.timeline.chunks


@pytest.mark.parametrize("seed", range(6))
def test_the_same_seed_makes_the_same_stream_and_another_one_another(seed: int) -> None:
    one, same = composed(seed), composed(seed)
    assert (one.pcm_S == same.pcm_S).all()
    assert (one.timeline, one.placed) == (same.timeline, same.placed)
    other = compose(events(seed), seed + 100)
    assert one.placed[0].start != other.placed[0].start


@pytest.mark.parametrize("seed", range(6))
def test_foreground_clips_follow_one_another_on_the_grid_of_curation(seed: int) -> None:
    placed = [each for each in composed(seed).placed if each.role is Role.FOREGROUND]
    assert all((each.end - each.start) % (SAMPLE_RATE_HZ // 5) == 0 for each in placed)
    pauses = [
        (later.start - earlier.end) / SAMPLE_RATE_HZ
        for earlier, later in zip(placed, placed[1:], strict=False)
    ]
    assert all(0.3 <= pause <= 1.5 for pause in pauses)


def alone(stream: Stream, role: Role) -> Pcm:
    [placed] = [each for each in stream.placed if each.role is role]
    return stream.pcm_S[placed.start : placed.end]


def test_gains_are_below_the_foreground() -> None:
    quiet = Composition(level_db=(-20.0, -20.0), lead_s=(3.0, 3.0), tail_chunks=(2, 2))
    front = compose([part("a", beep(2))], 0, composition=quiet)
    assert level_db(alone(front, Role.FOREGROUND)) == pytest.approx(-20, abs=0.3)
    nothing = [Part(recording("a"), np.zeros(32_000, np.float32), as_it_is=True)]
    behind = compose(nothing, 0, background=[part("b", beep(1))], composition=quiet)
    assert level_db(alone(behind, Role.BACKGROUND)) == pytest.approx(-26, abs=0.3)
    around = compose(nothing, 0, ambient=[part("b", beep(1))], composition=quiet)
    assert level_db(alone(around, Role.AMBIENT)) == pytest.approx(-32, abs=0.3)


@pytest.mark.parametrize("seed", range(8))
def test_noise_lies_5_to_20_db_below_and_the_ambient_one_5_db_lower(seed: int) -> None:
    level = Composition(level_db=(-20.0, -20.0))
    nothing = [Part(recording("a"), np.zeros(64_000, np.float32), as_it_is=True)]
    # Two tones, so that the beds can be told apart in the mix.
    noises = (part("n", beep(1.3, 1000)), part("m", beep(1.7, 3000)))
    stream = compose(nothing, seed, noises=noises, composition=level)
    middle = stream.pcm_S[8000:-8000]
    spectrum = np.square(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))))
    hz = np.fft.rfftfreq(len(middle), 1 / SAMPLE_RATE_HZ)
    event_like, ambient = (spectrum[abs(hz - tone) < 200].sum() for tone in (1000, 3000))
    assert 10 * np.log10(event_like / ambient) == pytest.approx(5, abs=0.7)
    total_db = level_db(middle)
    both = 10 * np.log10(1 + 10**-0.5)  # what the ambient one adds
    assert -40.7 <= total_db - both <= -24.3


def test_parts_of_different_splits_are_never_in_one_stream() -> None:
    foreign = Part(recording("b", Split.TEST), beep(1))
    with pytest.raises(ValueError, match="one split, got .*test.*train"):
        compose([part("a", beep(1))], 0, background=[foreign])
    assert compose([foreign], 0).split is Split.TEST


def test_what_must_not_sound_together_does_not() -> None:
    siren = [part("siren", beep(2))]
    shy = Part(recording("music"), beep(0.4, 900), apart_from=frozenset({"siren"}))
    for seed in range(10):
        stream = compose(siren, seed, background=[shy])
        front, *behind = stream.placed
        assert len(behind) + len(stream.left_out) == 1
        assert all(each.end <= front.start or each.start >= front.end for each in behind)
    never = Part(recording("music"), beep(30), apart_from=frozenset({"siren"}))
    assert compose(siren, 0, background=[never]).left_out == (never.recording,)


def test_one_background_sounds_at_a_time() -> None:
    behind = [part(f"behind {n}", beep(0.8, 500 + 100 * n)) for n in range(6)]
    for seed in range(5):
        stream = compose([part("front", beep(4))], seed, background=behind)
        placed = sorted(
            (each.start, each.end) for each in stream.placed if each.role is Role.BACKGROUND
        )
        assert all(one[1] <= other[0] for one, other in zip(placed, placed[1:], strict=False))
        assert len(placed) + len(stream.left_out) == 6
        assert len(placed) > 1


def test_words_fall_due_where_they_end_and_join_within_a_chunk() -> None:
    cues = [
        Cue(Answer("one"), 3000, joins=True),
        Cue(Answer("two"), 6000, joins=True),
        Cue(Answer("three"), 12_000, joins=True),
    ]
    spoken = Part(recording("prompt"), beep(1), tuple(cues), as_it_is=True)
    sharp = Composition(lead_s=(0.0, 0.0))
    responses = compose([spoken], 0, composition=sharp).timeline.responses
    assert [(each.chunk, each.answer.text) for each in responses] == [(0, "one two"), (1, "three")]
    assert [each.evidence_samples for each in responses] == [6000, 12_000]
    with pytest.raises(ValueError, match="moves the places"):
        Part(recording("prompt"), beep(1), tuple(cues))


def test_answers_that_are_no_words_wait_for_the_next_chunk() -> None:
    cues = (Cue(Answer("A."), 3000), Cue(Answer("B."), 6000), Cue(Answer("C.")))
    spoken = Part(recording("x"), beep(0.4), cues, as_it_is=True)
    stream = compose([spoken], 0, composition=Composition(lead_s=(0.0, 0.0), tail_chunks=(0, 0)))
    assert [response.chunk for response in stream.timeline.responses] == [0, 1, 2]
    assert stream.timeline.chunks == 3


def test_a_loud_mix_is_turned_down_as_a_whole() -> None:
    loud = Composition(level_db=(0.0, 0.0))
    assert np.abs(compose([part("a", beep(1))], 0, composition=loud).pcm_S).max() <= 0.9901


def test_a_channel_changes_the_sound_and_no_time() -> None:
    worst = Composition(channel=Channel(1.0, 1.0, 1.0))
    clear, carried = compose(events(3), 3), compose(events(3), 3, composition=worst)
    assert (clear.timeline, clear.placed) == (carried.timeline, carried.placed)
    assert np.abs(clear.pcm_S - carried.pcm_S).max() > 0.01
    again = compose(events(3), 3, composition=worst)
    assert (again.pcm_S == carried.pcm_S).all()


def test_a_saved_stream_is_heard_as_it_was(tmp_path: Path) -> None:
    stream = composed(5)
    row = save_stream(stream, tmp_path, "s-5", scene_type="events", system="Listen.")
    write_rows(tmp_path / "base.jsonl", [row])
    assert not list(broken_rows(tmp_path / "base.jsonl"))
    assert list(read_rows(tmp_path / "base.jsonl")) == [row]
    heard = hear(row, tmp_path, np.random.default_rng(0))
    np.testing.assert_allclose(heard.pcm_S, stream.pcm_S, atol=1e-4)
    due = [(response.chunk, response.answer.text) for response in heard.timeline.responses]
    assert due == [(each.chunk, each.answer.text) for each in stream.timeline.responses]
    # What is heard in a turn stands in it; so each event is named once.
    named = ", ".join(turn.user for turn in row.turns if turn.user)
    front = [each for each in stream.placed if each.role is Role.FOREGROUND]
    assert named == ", ".join(each.recording.label for each in front)
    assert {clip.licence for clip in row.clips} == {"CC0-1.0"}
    assert [clip.source for clip in row.clips] == [each.recording.source for each in stream.placed]
    assert row.split == "train"


def test_levels_are_of_what_sounds() -> None:
    assert level_db(beep(1)) == pytest.approx(20 * np.log10(0.4 / np.sqrt(2)), abs=0.05)
    paused = np.concatenate([beep(1), np.zeros(32_000, np.float32)])
    assert level_db(paused) == pytest.approx(level_db(beep(1)), abs=0.05)
    assert level_db(np.zeros(100, np.float32)) == QUIETEST_DB
    assert level_db(at_level(paused, -33.0)) == pytest.approx(-33, abs=0.05)
    assert not at_level(np.zeros(100, np.float32), -20).any()


def test_fades_begin_and_end_in_silence() -> None:
    once = faded(np.ones(1000, np.float32))
    assert max(once[0], once[-1]) < 1e-4
    assert (once[320:-320] == 1).all()
    assert np.isfinite(faded(np.ones(1, np.float32))).all()


@pytest.mark.parametrize("start", [0, 1, 9999, 100_000])
def test_a_bed_is_as_long_as_asked_and_has_no_gap(start: int) -> None:
    bed = tiled(hiss(1.0), 100_000, start)
    assert len(bed) == 100_000
    frames = bed[: 100_000 // 800 * 800].reshape(-1, 800).std(axis=1)
    assert 0.08 < frames.min() <= frames.max() < 0.12
    assert np.abs(np.diff(tiled(beep(1.0, 100.0), 50_000))).max() < 0.05


def test_a_recording_says_where_it_is_from() -> None:
    with pytest.raises(ValueError, match="a source and a licence"):
        Recording(Path("a.wav"), "a", "source", "")
    shares = [split_of(f"recording {number}") for number in range(2000)]
    assert 0.07 < shares.count(Split.TEST) / 2000 < 0.13
    assert 0.07 < shares.count(Split.DEV) / 2000 < 0.13
