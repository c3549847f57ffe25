from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES
from soundflow.unified.settings import UnifiedSettings
from tests.training.corpus import CONTROL, PARTS, TEXTS, made_row
from training.composition.rows import SILENT, Row
from training.composition.sequence import TokenSequence, offline, read, sequences
from training.composition.timeline import (
    NEVER_LATE,
    Answer,
    Drain,
    Queueing,
    Response,
    Timeline,
    drains,
)
from training.data import hear

LATE = Queueing(0.6, 5, busy_share=1.0, tokens_per_chunk=2, crowded_share=0.0, cut_share=0.0)
CROWDED = replace(LATE, crowded_share=1.0)
AUDIO = {CONTROL.audio_begin, CONTROL.pad, CONTROL.audio_pad, CONTROL.audio_end, CONTROL.assistant}


def made_timeline(seed: int, chunks: int = 40) -> Timeline:
    rng = np.random.default_rng(seed)
    places = np.flatnonzero(rng.random(chunks) < rng.uniform(0.05, 0.5))
    joins = bool(rng.integers(2))
    responses = [
        Response(
            int(place),
            Answer(str(rng.choice(TEXTS)), str(rng.choice(["", "happy", "urgent"]))),
            evidence_samples=int(rng.integers((place + 1) * CHUNK_SAMPLES + 1)),
            joins=joins,
        )
        for place in places
    ]
    return Timeline(chunks, tuple(responses), "Say what you hear.")


def laid_out(timeline: Timeline, queueing: Queueing, seed: int = 0) -> TokenSequence:
    rng = np.random.default_rng(seed)
    drained = list(drains(timeline, queueing, rng))
    [sequence] = sequences(drained, timeline.system, PARTS, UnifiedSettings(positions=4096))
    return sequence


def turns_of(timeline: Timeline) -> list[tuple[int, str, str]]:
    """A row's turns again: how many chunks, what is said, and how."""
    turns, before = [], 0
    for response in timeline.responses:
        chunks = response.chunk + 1 - before
        turns.append((chunks, response.answer.text, response.answer.emotion))
        before = response.chunk + 1
    rest = timeline.chunks - before
    return turns + ([(rest, SILENT, "normal")] if rest else [])


def shown(row: Row, folder: Path) -> list[tuple[int, str, str]]:
    """A row's turns; silent ones are part of the next, as they are in a stream."""
    turns: list[tuple[int, str, str]] = []
    waiting = 0
    for turn in row.turns:
        waiting += len(hear(row.model_copy(update={"turns": (turn,)}), folder, RNG).pcm_S)
        if not turn.is_silent:
            turns.append((waiting // CHUNK_SAMPLES, turn.assistant, turn.emotion))
            waiting = 0
    return turns + ([(waiting // CHUNK_SAMPLES, SILENT, "normal")] if waiting else [])


def timeline_of(drained: Sequence[Drain]) -> Timeline:
    """Return the timeline that drains show: each answer at its queue's last chunk."""
    last = drained[-1]
    responses = [Response(d.first + d.chunks - 1, d.answer) for d in drained if d.answer]
    return Timeline(last.first + last.chunks, tuple(responses))


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("seed", range(8))
def test_a_row_read_back_from_its_tokens_is_the_row(seed: int, tmp_path: Path) -> None:
    row = made_row(seed, tmp_path)
    timeline = hear(row, tmp_path, RNG).timeline
    back = read(laid_out(timeline, NEVER_LATE), PARTS)
    assert back.system == row.system
    assert not back.past
    assert turns_of(timeline_of(back.drained)) == shown(row, tmp_path)


@pytest.mark.parametrize("seed", range(20))
def test_drained_queues_are_read_back(seed: int) -> None:
    timeline = made_timeline(seed)
    drained = list(drains(timeline, LATE, np.random.default_rng(seed)))
    assert any(drain.chunks > 1 for drain in drained)
    assert read(laid_out(timeline, LATE, seed), PARTS).drained == tuple(drained)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("queueing", [NEVER_LATE, LATE, CROWDED])
def test_nothing_is_said_before_its_evidence_and_nothing_is_lost(
    seed: int, queueing: Queueing
) -> None:
    timeline = made_timeline(seed)
    sequence = laid_out(timeline, queueing, seed)
    waiting = list(timeline.responses)
    for drain in read(sequence, PARTS).drained:
        heard_samples = (drain.first + drain.chunks) * CHUNK_SAMPLES
        due = [r for r in waiting if r.chunk < drain.first + drain.chunks]
        waiting = waiting[len(due) :]
        if not due:
            assert drain.answer is None
            continue
        assert drain.answer is not None
        assert drain.answer.text == " ".join(response.answer.text for response in due)
        joined = queueing is CROWDED or all(response.joins for response in due)
        assert len(due) == 1 or joined
        assert all(response.evidence_samples <= heard_samples for response in due)
    assert not waiting


@pytest.mark.parametrize("seed", range(20))
def test_audio_is_never_a_target_and_decisions_are_no_language(seed: int) -> None:
    sequence = laid_out(made_timeline(seed), LATE, seed)
    tokens = sequence.tokens_T
    targets = sequence.text_T | sequence.stream_T
    assert not AUDIO & set(tokens[targets].tolist())
    assert not (sequence.text_T & sequence.stream_T).any()
    assert set(tokens[sequence.stream_T].tolist()) <= {CONTROL.silence, CONTROL.text_begin}
    assert not {CONTROL.silence, CONTROL.text_begin} & set(tokens[sequence.text_T].tolist())
    assert (tokens == CONTROL.pad).sum() == 10 * len(sequence.blocks_N)
    # One decision behind each queue: where the token after an ASSISTANT begins no block.
    after = np.flatnonzero(tokens == CONTROL.assistant) + 1
    decided = after[tokens[after] != CONTROL.audio_begin]
    assert sequence.stream_T.nonzero()[0].tolist() == decided.tolist()


@pytest.mark.parametrize("seed", range(10))
def test_a_long_stream_makes_each_answer_a_target_once(seed: int) -> None:
    timeline = made_timeline(seed, chunks=150)
    drained = list(drains(timeline, LATE, np.random.default_rng(seed)))
    settings = UnifiedSettings(window_chunks=30, kept_chunks=10)
    found = list(sequences(drained, timeline.system, PARTS, settings))
    assert len(found) > 3
    targets: list[Drain] = []
    for sequence in found:
        back = read(sequence, PARTS)
        fresh = int(sequence.stream_T.sum())
        assert fresh
        assert sum(drain.chunks for drain in back.drained) <= 30
        targets += back.drained[-fresh:]
        first = np.flatnonzero(sequence.stream_T)[0]
        assert not sequence.text_T[:first].any()
    assert targets == drained
    assert any(read(sequence, PARTS).past for sequence in found)


@pytest.mark.parametrize("seed", range(10))
def test_a_reply_that_is_cut_ends_but_nobody_learns_to_end_it_there(seed: int) -> None:
    timeline = made_timeline(seed)
    cut = replace(NEVER_LATE, cut_share=0.7)
    sequence = laid_out(timeline, cut, seed)
    drained = list(drains(timeline, cut, np.random.default_rng(seed)))
    ends = np.flatnonzero(sequence.tokens_T == CONTROL.text_end)[1:]  # the first is the prompt's
    answers = [drain for drain in drained if drain.answer]
    if timeline.responses and timeline.responses[0].joins:
        assert all(drain.said == 1 for drain in answers)
    for end, drain, back in zip(
        ends, answers, [d for d in read(sequence, PARTS).drained if d.answer], strict=True
    ):
        assert drain.answer and back.answer
        assert sequence.text_T[end] == (drain.said == 1)
        assert sequence.text_T[end - 1]
        if drain.said == 1:
            assert back.answer == drain.answer
        else:
            assert back.answer.emotion == drain.answer.emotion
            assert drain.answer.text.startswith(back.answer.text.rstrip("\ufffd"))


@pytest.mark.parametrize("emotion", ["", "happy"])
def test_a_reply_of_one_token_that_is_cut_ends_once(emotion: str) -> None:
    drained = [Drain(0, answer=Answer("1", emotion), said=0.5), Drain(1)]
    [sequence] = sequences(drained, "Count.", PARTS, UnifiedSettings())
    ends = np.flatnonzero(sequence.tokens_T == CONTROL.text_end)
    assert len(ends) == 2  # the prompt's, and the reply's
    assert not sequence.text_T[ends].any()
    assert read(sequence, PARTS).drained[0].answer == Answer("1", emotion)


def test_the_layout_is_the_published_one() -> None:
    timeline = Timeline(3, (Response(1, Answer("hello", "happy")),), "the")
    sequence = laid_out(timeline, NEVER_LATE)
    c, encode = CONTROL, PARTS.text.encode
    block = [c.audio_begin, *[c.pad] * 10, c.assistant]
    said = [c.text_begin, c.happy, *encode("hello"), c.text_end]
    prefix = [c.online, c.english, c.system, c.text_begin, *encode("the"), c.text_end]
    assert sequence.tokens_T.tolist() == [
        *prefix, *block, c.silence, *block, *said, *block, c.silence
    ]  # fmt: skip
    assert sequence.blocks_N.tolist() == [0, 1, 2]
    assert sequence.tokens_T[sequence.text_T].tolist() == said[1:]


def test_a_question_without_a_stream_has_no_decision() -> None:
    sequence = offline("hello", "the", "wo", 2, PARTS)
    c, encode = CONTROL, PARTS.text.encode
    assert sequence.tokens_T.tolist() == [
        *[c.offline, c.english, c.system, c.text_begin, *encode("wo"), c.text_end],
        *[c.audio_begin, *[c.audio_pad] * 20, c.audio_end],
        *[c.user, c.text_begin, *encode("the"), c.text_end],
        *[c.assistant, c.text_begin, *encode("hello"), c.text_end],
    ]
    assert not sequence.stream_T.any()
    said = [c.text_begin, *encode("hello"), c.text_end]
    assert sequence.tokens_T[sequence.text_T].tolist() == said


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_becomes_a_control_token(text: str) -> None:
    ids = PARTS.answer_ids(Answer(text, "sad"))
    assert not CONTROL.ids & set(ids[2:-1])
    assert PARTS.answer(ids) == Answer(text, "sad")


def test_what_is_no_session_is_refused() -> None:
    sequence = laid_out(made_timeline(0), NEVER_LATE)
    cut = np.ones(len(sequence.tokens_T), np.bool_)
    cut[0] = False
    broken = TokenSequence(
        sequence.tokens_T[cut], sequence.text_T[cut], sequence.stream_T[cut], sequence.blocks_N
    )
    with pytest.raises(ValueError, match="no session begins with"):
        read(broken, PARTS)
    with pytest.raises(ValueError, match="no token for the emotion 'bored'"):
        PARTS.answer_ids(Answer("hello", "bored"))


def test_responses_lie_within_the_stream_and_after_their_evidence() -> None:
    with pytest.raises(ValueError, match="evidence has been heard"):
        Response(0, Answer("hello"), evidence_samples=CHUNK_SAMPLES + 1)
    with pytest.raises(ValueError, match="of 2 chunks"):
        Timeline(2, (Response(2, Answer("hello")),))
    with pytest.raises(ValueError, match="of 2 chunks"):
        Timeline(2, (Response(1, Answer("a")), Response(1, Answer("b"))))
    assert Drain(3).answer is None
