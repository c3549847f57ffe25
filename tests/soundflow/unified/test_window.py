"""What stays in a session's sequence, and that hours of it cost what minutes do."""

import random
from dataclasses import replace

import numpy as np
import pytest

from soundflow.interaction import Action
from soundflow.unified.settings import BLOCK_POSITIONS, UnifiedSettings
from soundflow.unified.window import Entry, Window
from tests.soundflow.unified.hashed_model import HashedModel
from tests.soundflow.unified.play import SMALL, Play, chunk, make_decoder
from tests.soundflow.unified.told_model import RESPOND, SILENT
from tests.soundflow.unified.told_stage import BLOCK, CONTROL, LETTERS, Stage

SILENCE = (CONTROL.silence,)
FRAMES = np.zeros((10, 4), np.float32)


def turn(*tokens: int) -> tuple[int, ...]:
    return (CONTROL.text_begin, *tokens, CONTROL.text_end)


def window(*entries: Entry, settings: UnifiedSettings = SMALL) -> Window:
    prefix = CONTROL.prefix_ids([])
    return Window(CONTROL, settings, 4, prefix, entries=list(entries))


def entry(first: int, answer: tuple[int, ...] = SILENCE, blocks: int = 1) -> Entry:
    return Entry(first, [FRAMES] * blocks, answer)


def firsts(window: Window) -> list[int]:
    return [entry.first for entry in window.entries]


# What leaves


def test_there_is_room_up_to_the_window() -> None:
    full = window(*map(entry, range(7)))
    assert full.has_room(1)
    assert not full.has_room(2)


def test_the_oldest_silent_chunks_leave_first() -> None:
    answered = {0, 3, 6}
    held = window(*(entry(i, turn(1) if i in answered else SILENCE) for i in range(8)))
    held.make_room(1)
    assert firsts(held) == [0, 3, 5, 6, 7]
    assert not held.past


def test_then_the_oldest_answered_ones_and_their_text_stays() -> None:
    held = window(*(entry(i, turn(i + 1)) for i in range(8)))
    held.make_room(1)
    assert firsts(held) == [3, 4, 5, 6, 7]
    assert list(held.past) == [turn(1), turn(2), turn(3)]


def test_what_was_heard_just_now_stays_though_it_is_silent() -> None:
    held = window(*(entry(i, turn(i + 1) if i < 6 else SILENCE) for i in range(8)))
    held.make_room(1)
    assert firsts(held) == [3, 4, 5, 6, 7]
    assert list(held.past) == [turn(1), turn(2), turn(3)]


def test_a_long_queue_takes_the_room_of_all_that_was() -> None:
    held = window(*(entry(i, turn(i + 1)) for i in range(4)))
    held.make_room(8)
    assert firsts(held) == []
    assert list(held.past) == [turn(i + 1) for i in range(4)]
    assert held.has_room(8)


def test_where_answered_chunks_must_leave_all_old_ones_leave_together() -> None:
    often = window(*(entry(i, SILENCE if i in (8, 9) else turn(i + 1)) for i in range(10)))
    assert often.make_room(1) == 0
    assert firsts(often) == [5, 6, 7, 8, 9]
    ancient = window(entry(3, turn(1)), entry(15, turn(2)), *(entry(i) for i in range(19, 25)))
    assert ancient.make_room(1) == 0
    assert firsts(ancient) == [20, 21, 22, 23, 24]
    assert list(ancient.past) == [turn(1), turn(2)]
    kept = window(entry(3, turn(1)), entry(15, turn(2)), *(entry(i) for i in range(17, 23)))
    assert kept.make_room(1) == 2
    assert firsts(kept) == [3, 15, 20, 21, 22]


def test_long_replies_leave_though_there_are_few_chunks() -> None:
    long = turn(*range(40))
    held = window(*(entry(i, long) for i in range(4)))
    assert not held.has_room(1)
    held.make_room(1)
    assert held.has_room(1)
    assert 0 < len(held.entries) < 4


def test_what_is_too_old_leaves_whatever_was_answered() -> None:
    held = window(entry(3, turn(1)), *(entry(i) for i in range(30, 37)))
    held.make_room(1)
    assert 3 not in firsts(held)
    assert list(held.past) == [turn(1)]


def test_of_chunks_that_were_heard_together_the_newest_stay() -> None:
    held = window(entry(0, blocks=4), *map(entry, range(4, 8)))
    held.make_room(1)
    assert firsts(held) == [3, 4, 5, 6, 7]
    assert held.blocks == 5


def test_past_text_is_bounded_and_one_long_turn_leaves_room_for_others() -> None:
    held = window(settings=replace(SMALL, past_tokens=40))
    for number in range(20):
        held.remember(turn(number, number))
    held.remember(turn(*range(100)))
    assert sum(len(answer) + 1 for answer in held.past) <= 40
    assert list(held.past)[-1] == turn(*range(7))
    assert list(held.past)[:-1] == [turn(n, n) for n in range(15, 20)]


def test_of_too_many_past_turns_half_leave_at_once() -> None:
    held = window(settings=replace(SMALL, past_tokens=40))
    lengths = []
    for number in range(20):
        held.remember(turn(number, number))
        lengths.append(len(held.past))
    assert lengths[:9] == [1, 2, 3, 4, 5, 6, 7, 8, 4]  # each takes 5 positions
    assert lengths[9:14] == [5, 6, 7, 8, 4]


def test_a_turn_without_text_is_not_kept() -> None:
    held = window()
    held.remember(turn())
    assert not held.past


# As a session lives on


def test_past_turns_stand_as_text_where_their_chunks_have_left() -> None:
    stage = Stage()
    session = stage.open()
    stage.hear(RESPOND)
    for _ in range(60):
        stage.hear(SILENT)
    held = stage.held(session)
    assert held[:8] == [CONTROL.assistant, *turn(*LETTERS)]
    blocks, rest = divmod(len(held) - 8, len(BLOCK) + 1)
    assert rest == len(BLOCK)
    assert held[8:] == [*BLOCK, CONTROL.silence] * blocks + BLOCK
    assert blocks < SMALL.window_chunks


def test_a_queue_longer_than_the_window_is_heard_by_its_end() -> None:
    stage = Stage()
    session = stage.open()
    stage.hear(*[RESPOND] * 11, SILENT)
    stage.hear(SILENT)
    kept = SMALL.kept_chunks
    assert [v.action for v in session.verdicts] == [Action.SILENT] * 2
    assert [verdict.window_start for verdict in session.verdicts] == [12 - kept] * 2
    assert stage.held(session) == [*BLOCK * kept, CONTROL.silence, *BLOCK]


def test_the_sequence_is_laid_out_anew_before_the_next_chunk_is_there() -> None:
    stage = Stage()
    session = stage.open()
    for _ in range(SMALL.window_chunks):
        stage.hear(SILENT)
    assert session.verdicts[-1].unsettled
    stage.lm.batches.clear()
    stage.hear(SILENT)
    assert stage.lm.batches == [[1 + BLOCK_POSITIONS]]


def fed(stage: Stage, code: float) -> int:
    """Hear a chunk; return how many positions the model was given."""
    stage.lm.batches.clear()
    stage.hear(code)
    return sum(map(sum, stage.lm.batches))


def test_a_new_layout_feeds_the_kept_chunks_and_not_the_text_before_them() -> None:
    stage = Stage()
    session = stage.open()
    fed(stage, RESPOND)
    costs = [fed(stage, SILENT) for _ in range(60)]
    usual = 1 + BLOCK_POSITIONS
    # The text's last position, then what is kept but for the last answer, which is owed.
    layout = 1 + SMALL.kept_chunks * usual - 1
    assert set(costs[-30:]) == {usual, usual + layout}
    assert costs[-30:].count(usual + layout) == 30 // (SMALL.window_chunks - SMALL.kept_chunks)
    prefix = stage.lm.tokens_of(session.state.lane)[: -len(stage.held(session))]
    assert len(prefix) + len(turn(*LETTERS)) > 10


def test_a_new_layout_does_not_feed_again_what_stays_in_front() -> None:
    stage = Stage()
    session = stage.open()
    fed(stage, RESPOND)
    costs = [fed(stage, SILENT) for _ in range(SMALL.window_chunks - 1)]
    usual = 1 + BLOCK_POSITIONS
    layout = (SMALL.kept_chunks - 1) * usual - 1  # without the answered one, and what is owed
    assert costs[1:] == [usual] * (SMALL.window_chunks - 3) + [usual + layout]
    silent = [*BLOCK, *SILENCE] * (SMALL.kept_chunks - 1)
    assert stage.held(session) == [*BLOCK, *turn(*LETTERS), *silent[:-1]]


def test_a_new_instruction_or_a_failure_has_the_text_fed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    session = stage.open()
    stage.hear(SILENT)
    usual, prefix = 1 + BLOCK_POSITIONS, session.state.lane.length - BLOCK_POSITIONS
    stage.play.instruct("a", "x")
    typed = fed(stage, SILENT) - 2 * BLOCK_POSITIONS - 1
    assert 0 < typed < prefix  # from where the prompt has become another one
    assert fed(stage, SILENT) == usual
    session.queue += [replace(stage.sounds["a"].chunk(SILENT), tensors={})]
    stage.play.run("a")
    assert len(session.errors) == 1
    assert fed(stage, SILENT) == usual  # nothing had begun
    with monkeypatch.context() as broken:
        broken.setattr(stage.lm, "_next", lambda rows: 1 // 0)
        stage.hear(SILENT)
    assert len(session.errors) == 2
    again = fed(stage, SILENT)
    assert again == session.state.lane.length
    assert stage.held(session) == ([*BLOCK, *SILENCE] * 5)[:-1]


@pytest.mark.parametrize("responds", [5, 60])
def test_thousands_of_chunks_cost_what_the_first_hundreds_did(responds: int) -> None:
    lm = HashedModel(responds=responds)
    decoder, cache = make_decoder(lm.cast(), sessions=1)
    play = Play(decoder)
    session = play.open("a")
    chance = random.Random(responds)
    costs, index = [], 0
    for _ in range(2000):
        burst = chance.choice([1, 1, 1, 1, 2])
        lm.batches.clear()
        play.run("a", [chunk("a", index + place) for place in range(burst)])
        index += burst
        costs.append(sum(map(sum, lm.batches)) / burst)
        assert session.state.lane.length <= SMALL.positions
        assert len(session.state._window.entries) <= SMALL.window_chunks
        assert len(session.verdicts[-1].memory) < 2000
        start = session.verdicts[-1].window_start
        assert start is not None
        assert index - start <= SMALL.span_chunks + SMALL.window_chunks
    assert np.mean(costs[1100:]) / np.mean(costs[100:1100]) <= 1.05
    assert cache.free_pages == cache.pages - len(session.state.lane.pages)


def test_the_memory_of_a_full_window_is_a_few_kilobytes() -> None:
    lm = HashedModel(responds=100, ends=3, odd=0)
    settings = UnifiedSettings()
    decoder, _ = make_decoder(lm.cast(), settings, sessions=1)
    play = Play(decoder)
    session = play.open("a")
    for index in range(150):
        play.run("a", [chunk("a", index)])
        play.instruct("a", f"instruction {index} " * 20)
    assert max(len(verdict.memory) for verdict in session.verdicts) < 10_000
