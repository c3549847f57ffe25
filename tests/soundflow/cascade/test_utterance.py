"""What of an utterance's passes is shown, settled and taken back, with passes made by hand."""

from dataclasses import replace

import numpy as np

from soundflow.cascade.utterance import Reach, SpeechSettings, Utterance
from soundflow.cascade.whisper_model import FRAME_MS, MELS, TimedWord, Transcript
from soundflow.interaction import EndReason, Piece, Word

SETTINGS = SpeechSettings(settle_ms=1_000, cut_ms=8_000, overlap_words=3, full_ms=12_000)
TURN = 7


def utterance(window_ms: int, start_ms: int = 0) -> Utterance:
    """One whose whole window has been seen by a pass."""
    frames = window_ms // FRAME_MS
    return Utterance(TURN, start_ms, np.zeros((frames, MELS), np.float32), seen_frames=frames)


def said(text: str, *, word_ms: int = 500) -> Transcript:
    """A pass that heard these words, one after the other."""
    words = [
        TimedWord(f" {word}", i * word_ms, (i + 1) * word_ms) for i, word in enumerate(text.split())
    ]
    return Transcript(f" {text}" if text else "", tuple(words))


def take(spoken: Utterance, *texts: str, reach: Reach = Reach.PROVISIONAL) -> list[Piece]:
    return [piece for text in texts for piece in spoken.take(reach, said(text), SETTINGS)]


def test_a_pass_shows_all_its_text_at_once_and_the_next_replaces_it() -> None:
    pieces = take(utterance(800), "hello", "hollow word")
    assert [(p.sequence, p.text, p.final) for p in pieces] == [
        (0, "hello", False),
        (0, "hollow word", False),
    ]


def test_text_that_did_not_change_is_not_sent_again() -> None:
    assert len(take(utterance(800), "hello", "hello")) == 1


def test_the_last_pass_settles_everything() -> None:
    spoken = utterance(1_000, start_ms=5_000)
    take(spoken, "hollow")
    last, ended = spoken.take(Reach.LAST, said("hello world"), SETTINGS)
    assert (last.sequence, last.text, last.final) == (0, "hello world", True)
    assert last.words == (Word("hello", 5_000, 5_500), Word("world", 5_500, 6_000))
    assert ended == Piece(TURN, 1, ended=EndReason.COMPLETE)


def test_a_word_settles_when_two_passes_agree_on_it_and_it_is_old() -> None:
    spoken = utterance(2_600)
    [_, settled, rest] = take(spoken, "One two, free far", "one two three four five")
    assert (settled.sequence, settled.text, settled.final) == (0, "one two", True)
    assert (rest.sequence, rest.text, rest.final) == (1, " three four five", False)


def test_agreement_on_what_was_just_said_settles_nothing() -> None:
    pieces = take(utterance(1_400), "one two", "one two")
    assert not any(piece.final for piece in pieces)


def test_what_is_settled_is_given_to_the_next_pass_as_its_beginning() -> None:
    spoken = utterance(2_600)
    take(spoken, "one two three", "one two three")
    assert spoken.prefix == " one two three"
    last, _ = spoken.take(Reach.LAST, said("four"), SETTINGS)
    assert (last.sequence, last.text) == (1, " four")


def test_a_long_window_loses_what_is_settled_of_it_but_for_a_few_words() -> None:
    spoken = utterance(8_000, start_ms=1_000)
    take(spoken, "a b c d e f g h i j", "a b c d e f g h i j")
    assert (spoken.prefix, spoken.start_ms, spoken.window_ms) == (" h i j", 4_500, 4_500)
    assert spoken.seen_frames == len(spoken.log_mel)
    after = Transcript(" k", (TimedWord(" k", 1_500, 2_000),))
    last, _ = spoken.take(Reach.LAST, after, SETTINGS)
    assert last.words == (Word("k", 6_000, 6_500),)


def test_a_full_window_settles_all_but_its_last_word_unasked() -> None:
    spoken = utterance(12_000)
    settled, rest = take(spoken, "a b c", reach=Reach.FULL)
    assert (settled.text, settled.final, rest.text, rest.final) == ("a b", True, " c", False)
    assert spoken.window_ms == 11_000


def test_a_full_window_without_words_is_dropped() -> None:
    spoken = utterance(12_000)
    assert take(spoken, "", reach=Reach.FULL) == []
    assert spoken.window_ms == SETTINGS.settle_ms


def test_text_that_turns_out_empty_is_taken_back() -> None:
    spoken = utterance(800)
    take(spoken, "you")
    last, ended = spoken.take(Reach.LAST, said(""), SETTINGS)
    assert (last.sequence, last.text, last.final) == (0, "", True)
    assert ended.ended is EndReason.COMPLETE


def test_an_utterance_that_never_had_text_only_ends() -> None:
    assert take(utterance(800), "", reach=Reach.LAST) == [Piece(TURN, 0, ended=EndReason.COMPLETE)]


def test_imagined_words_are_not_shown() -> None:
    doubtful = replace(said("thank you"), no_speech_probability=0.9, average_log_probability=-1.5)
    assert utterance(800).take(Reach.PROVISIONAL, doubtful, SETTINGS) == ()


def test_a_last_pass_that_repeats_itself_leaves_what_was_shown_before() -> None:
    spoken = utterance(2_000)
    take(spoken, "press zero for help")
    looping = replace(said("press zero " * 20), compression_ratio=9.0)
    last, _ = spoken.take(Reach.LAST, looping, SETTINGS)
    assert (last.text, last.final) == ("press zero for help", True)


def test_what_is_left_as_shown_after_a_cut_lies_where_it_was_said() -> None:
    spoken = utterance(8_000, start_ms=1_000)
    take(spoken, "a b c d e f g h i j k l m n o p", "a b c d e f g h i j k l m n o p")
    assert spoken.start_ms > 1_000
    looping = replace(said("o " * 20), compression_ratio=9.0)
    last, _ = spoken.take(Reach.LAST, looping, SETTINGS)
    assert last.words == (Word("o", 8_000, 8_500), Word("p", 8_500, 9_000))
