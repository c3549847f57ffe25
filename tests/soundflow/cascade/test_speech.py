"""A session's speech as its tracker follows it: chunks made by hand, transcripts by a script."""

from collections.abc import Sequence
from itertools import count

import numpy as np
import pytest

from soundflow.audio import CHUNK_MS
from soundflow.cascade.speech import Pass, SpeechTracker
from soundflow.cascade.utterance import Reach, SpeechSettings
from soundflow.cascade.whisper_model import FRAME_MS, TimedWord, Transcript
from soundflow.interaction import EndReason, Piece
from tests.soundflow.cascade.stage import chunk

PAUSE = [False, False]  # the default pause is between one and two chunks long


@pytest.fixture
def tracker() -> SpeechTracker:
    return SpeechTracker(count(1).__next__)


def hear(tracker: SpeechTracker, speech: Sequence[bool], *, first: int = 0) -> None:
    for index, each in enumerate(speech, first):
        tracker.hear(chunk(index, speech=each))


def run(tracker: SpeechTracker, *texts: str) -> tuple[list[Pass], list[Piece]]:
    """Run every pass that is due; the script's last text is repeated."""
    passes: list[Pass] = []
    pieces: list[Piece] = []
    while due := tracker.next_pass():
        text = texts[min(len(passes), len(texts) - 1)]
        passes.append(due)
        pieces += tracker.take(due, Transcript(text, (TimedWord(text, 0, 300),)))
    return passes, pieces


def test_silence_asks_for_nothing(tracker: SpeechTracker) -> None:
    hear(tracker, [False] * 5)
    assert not tracker.turns
    assert tracker.next_pass() is None


def test_speech_asks_for_a_provisional_pass_over_all_of_it(tracker: SpeechTracker) -> None:
    hear(tracker, [False, True, True])
    assert tracker.turns == (1,)
    [due], [piece] = run(tracker, " hello")
    assert due.reach is Reach.PROVISIONAL
    window_ms = len(due.job.window.log_mel) * FRAME_MS
    # Two chunks, and some of the one before; the features are 10 ms late.
    assert 2 * CHUNK_MS <= window_ms <= 3 * CHUNK_MS
    assert (piece.turn, piece.text, piece.final) == (1, "hello", False)
    assert not tracker.turns


def test_chunks_heard_together_share_a_pass(tracker: SpeechTracker) -> None:
    hear(tracker, [True] * 6)
    passes, _ = run(tracker, " hello")
    assert len(passes) == 1


def test_no_second_pass_is_asked_for_while_one_is_out(tracker: SpeechTracker) -> None:
    hear(tracker, [True, True])
    assert tracker.next_pass() is not None
    hear(tracker, [True], first=2)
    assert tracker.next_pass() is None


def test_a_pause_ends_the_turn_with_a_pass_over_the_whole_utterance(tracker: SpeechTracker) -> None:
    hear(tracker, [True, True, True])
    run(tracker, " hello")
    hear(tracker, PAUSE, first=3)
    [due], [last, ended] = run(tracker, " hello there")
    assert (due.reach, due.job.urgent, due.job.window.word_times) == (Reach.LAST, True, True)
    assert len(due.job.window.log_mel) * FRAME_MS >= 3 * CHUNK_MS - FRAME_MS
    assert (last.text, last.final) == ("hello there", True)
    assert (ended.turn, ended.ended) == (1, EndReason.COMPLETE)
    assert not tracker.speaking


def test_the_end_of_the_audio_ends_the_turn(tracker: SpeechTracker) -> None:
    hear(tracker, [True, True])
    tracker.hear(chunk(2, speech=True, last=True))
    passes, _ = run(tracker, " hello")
    assert [due.reach for due in passes] == [Reach.LAST]


def test_each_utterance_is_a_turn_and_they_are_settled_in_order(tracker: SpeechTracker) -> None:
    hear(tracker, [True, True, *PAUSE, True, True, *PAUSE, True])
    assert tracker.turns == (1, 2, 3)
    passes, pieces = run(tracker, " one", " two", " three")
    assert [(due.turn, due.reach) for due in passes] == [
        (1, Reach.LAST),
        (2, Reach.LAST),
        (3, Reach.PROVISIONAL),
    ]
    assert [piece.text for piece in pieces if piece.text] == ["one", "two", "three"]


def test_missing_chunks_end_the_turn_and_the_next_one_is_placed_after_them(
    tracker: SpeechTracker,
) -> None:
    hear(tracker, [True, True])
    hear(tracker, [True, True], first=100)
    passes, pieces = run(tracker, " one", " two")
    assert [due.turn for due in passes] == [1, 2]
    [second] = [word for piece in pieces if piece.turn == 2 for word in piece.words]
    # No audio from before the gap may be part of it: it starts with its own first chunk.
    assert abs(second.start_ms - 100 * CHUNK_MS) <= FRAME_MS


def test_the_words_of_a_late_utterance_are_placed_in_the_session(tracker: SpeechTracker) -> None:
    hear(tracker, [False] * 50 + [True] * 3 + PAUSE)
    _, (last, _) = run(tracker, " hello")
    [word] = last.words
    pre_roll_ms = SpeechSettings().pre_roll_ms
    assert 50 * CHUNK_MS - pre_roll_ms - 32 <= word.start_ms <= 50 * CHUNK_MS - pre_roll_ms + 32


def test_a_cancelled_turn_says_so_and_its_pass_is_void(tracker: SpeechTracker) -> None:
    hear(tracker, [True, True])
    due = tracker.next_pass()
    assert due is not None
    [ended] = tracker.cancel(1)
    assert (ended.turn, ended.ended) == (1, EndReason.CANCELLED)
    assert tracker.take(due, Transcript(" hello")) == ()
    assert tracker.cancel(1) == ()


def test_speech_after_a_cancelled_turn_is_a_new_turn(tracker: SpeechTracker) -> None:
    hear(tracker, [True, True])
    tracker.cancel(1)
    hear(tracker, [True, True], first=2)
    assert tracker.turns == (2,)


def test_a_turn_whose_pass_failed_ends_with_an_error(tracker: SpeechTracker) -> None:
    hear(tracker, [True, True])
    due = tracker.next_pass()
    assert due is not None
    [ended] = tracker.fail(due)
    assert ended.ended is EndReason.ERROR
    assert not tracker.turns


def test_without_a_watcher_there_are_only_last_passes() -> None:
    tracker = SpeechTracker(count(1).__next__, watched=False)
    hear(tracker, [True, True])
    assert not tracker.turns
    hear(tracker, PAUSE, first=2)
    assert list(tracker.turns) == [1]


def language_of_next_pass(tracker: SpeechTracker, first: int) -> str:
    hear(tracker, [True, True, *PAUSE], first=first)
    due = tracker.next_pass()
    assert due is not None
    tracker.take(due, Transcript(" hola", language="es", language_probability=0.99))
    return due.job.window.language


def test_a_language_is_found_out_once() -> None:
    tracker = SpeechTracker(count(1).__next__, language="")
    assert [language_of_next_pass(tracker, first) for first in (0, 4)] == ["", "es"]


def test_a_doubtful_utterance_makes_the_language_open_again() -> None:
    tracker = SpeechTracker(count(1).__next__, language="")
    language_of_next_pass(tracker, 0)
    hear(tracker, [True, True, *PAUSE], first=4)
    due = tracker.next_pass()
    assert due is not None
    tracker.take(due, Transcript(" qwx", language="es", average_log_probability=-2.0))
    assert language_of_next_pass(tracker, 8) == ""


def test_memory_is_bounded_when_nobody_pauses_and_nothing_is_believed(
    tracker: SpeechTracker,
) -> None:
    settings = SpeechSettings()
    longest_ms = 0
    for index in range(150):
        tracker.hear(chunk(index, speech=True))
        while due := tracker.next_pass():
            longest_ms = max(longest_ms, len(due.job.window.log_mel) * FRAME_MS)
            tracker.take(due, Transcript(" noise" * 50, compression_ratio=30.0))
    assert longest_ms <= settings.full_ms + CHUNK_MS


def test_the_windows_of_an_endless_speaker_cover_every_frame(tracker: SpeechTracker) -> None:
    """Each chunk's frames carry its number: all are heard, in order, whatever is cut."""
    heard: list[float] = []
    for index in range(100):
        features = chunk(index, speech=True)
        features.tensors["log_mel"][:] = index
        tracker.hear(features)
        while due := tracker.next_pass():
            frames = due.job.window.log_mel[:, 0]
            assert np.all(np.diff(frames) >= 0)
            heard += sorted(set(frames.tolist()) - set(heard))
            words = tuple(
                TimedWord(f" {i}", i * 400, (i + 1) * 400) for i in range(len(frames) // 40)
            )
            done = len(due.job.window.prefix.split())
            tracker.take(due, Transcript("".join(w.text for w in words[done:]), words[done:]))
    assert heard == [float(index) for index in range(100)]


def test_a_minute_heard_at_once_is_seen_window_by_window(tracker: SpeechTracker) -> None:
    hear(tracker, [True] * 150 + PAUSE)
    passes, _ = run(tracker, " word")
    assert [due.reach for due in passes[:-1]] == [Reach.FULL] * (len(passes) - 1)
    assert passes[-1].reach is Reach.LAST
    longest_ms = max(len(due.job.window.log_mel) * FRAME_MS for due in passes)
    assert longest_ms <= SpeechSettings().full_ms
