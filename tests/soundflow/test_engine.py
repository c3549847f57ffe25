"""The engine's rules, around a decoder that does what the test tells it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from soundflow.decoder import Speaking, Stepped, Verdict
from soundflow.engine_session import KEPT_ANSWERS, EngineError, NotOpen, OutOfOrder
from soundflow.engine_turns import KEPT_ENDED_TURNS
from soundflow.interaction import (
    Action,
    EndReason,
    Kind,
    Overrun,
    Past,
    PastTurn,
    Piece,
    SessionSpec,
)
from tests.soundflow.scripted import (
    DONE,
    SILENT,
    WAITING,
    Bench,
    ended,
    respond,
    running,
    says,
    taken,
)
from tests.waiting import DEADLINE_S


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with running() as bench:
        yield bench


# Listening


async def test_what_queued_up_is_drained_into_one_decision_on_the_newest(bench: Bench) -> None:
    await bench.open("a")
    bench.decoder.hold()
    first = bench.hear("a", 0)
    await bench.logged("listen", 1)
    rest = [bench.hear("a", index) for index in (1, 2, 3)]
    bench.decoder.release()
    answers = await asyncio.wait_for(asyncio.gather(first, *rest), DEADLINE_S)
    assert bench.decoder.batches("listen") == [{"a": [0]}, {"a": [1, 2, 3]}]
    assert [answer.decision.index for answer in answers] == [0, 3, 3, 3]


async def test_one_step_serves_all_sessions_that_wait(bench: Bench) -> None:
    for name in "abc":
        await bench.open(name)
    bench.decoder.hold()
    heard = [bench.hear("a", 0)]
    await bench.logged("listen", 1)
    heard += [bench.hear("a", 1), bench.hear("b", 0), bench.hear("c", 0)]
    bench.decoder.release()
    await asyncio.wait_for(asyncio.gather(*heard), DEADLINE_S)
    assert bench.decoder.batches("listen")[1] == {"a": [1], "b": [0], "c": [0]}


async def test_a_repeated_chunk_is_not_heard_again_and_gets_the_decision_that_covers_it(
    bench: Bench,
) -> None:
    await bench.open("a", verdicts=[SILENT, respond(1), SILENT])
    bench.decoder.hold()
    first = bench.hear("a", 0)
    await bench.logged("listen", 1)
    rest = [bench.hear("a", 1), bench.hear("a", 2)]
    bench.decoder.release()
    answers = await asyncio.wait_for(asyncio.gather(first, *rest), DEADLINE_S)
    await bench.heard("a", 3)
    assert [await bench.heard("a", index) for index in range(3)] == answers
    assert [answer.decision.turns for answer in answers] == [(), *[respond(1).turns] * 2]
    assert bench.decoder.batches("listen") == [{"a": [0]}, {"a": [1, 2]}, {"a": [3]}]


async def test_a_chunk_older_than_what_is_kept_gets_the_oldest_kept(bench: Bench) -> None:
    await bench.open("a")
    for index in range(KEPT_ANSWERS + 3):
        await bench.heard("a", index)
    assert (await bench.heard("a", 0)).decision.index == 3
    assert (await bench.heard("a", 4)).decision.index == 4


async def test_a_chunk_dropped_in_an_overrun_is_covered_by_the_decision_after_it() -> None:
    async with running(queue_chunks=2) as bench:
        await bench.open("a")
        bench.decoder.hold()
        in_step = bench.hear("a", 0)
        await bench.logged("listen", 1)
        rest = [bench.hear("a", index) for index in range(1, 5)]
        bench.decoder.release()
        answers = await asyncio.wait_for(asyncio.gather(in_step, *rest), DEADLINE_S)
        assert await bench.heard("a", 1) == answers[-1]


async def test_a_chunk_repeated_while_it_waits_gets_the_same_decision(bench: Bench) -> None:
    await bench.open("a")
    bench.decoder.hold()
    in_step = bench.hear("a", 0)
    await bench.logged("listen", 1)
    queued = bench.hear("a", 1)
    repeats = [bench.hear("a", 0), bench.hear("a", 1)]
    bench.decoder.release()
    answers = await asyncio.wait_for(asyncio.gather(in_step, queued, *repeats), DEADLINE_S)
    assert [answer.decision.index for answer in answers] == [0, 1, 0, 1]


async def test_a_chunk_that_skips_one_is_refused_and_the_right_one_still_taken(
    bench: Bench,
) -> None:
    await bench.open("a")
    await bench.heard("a", 0)
    with pytest.raises(OutOfOrder, match="expects chunk 1, got 2"):
        bench.hear("a", 2)
    assert (await bench.heard("a", 1)).decision.index == 1


async def test_an_overrun_drops_the_oldest_says_so_and_answers_everyone() -> None:
    async with running(queue_chunks=3) as bench:
        await bench.open("a")
        bench.decoder.hold()
        in_step = bench.hear("a", 0)
        await bench.logged("listen", 1)
        rest = [bench.hear("a", index) for index in range(1, 7)]
        bench.decoder.release()
        answers = await asyncio.wait_for(asyncio.gather(in_step, *rest), DEADLINE_S)
        assert bench.decoder.batches("listen") == [{"a": [0]}, {"a": [4, 5, 6]}]
        assert [answer.decision.index for answer in answers] == [0, 6, 6, 6, 6, 6, 6]
        assert answers[-1].dropped == Overrun(1, 3)
        assert (await bench.heard("a", 7)).dropped is None


async def test_what_is_not_decided_yet_is_stepped_on_before_anything_new_is_drained(
    bench: Bench,
) -> None:
    await bench.open(
        "a", verdicts=[None, None, respond(1)], speech=[says(ended(1), then=Speaking.DONE)]
    )
    bench.decoder.hold()
    slow = bench.hear("a", 0)
    await bench.logged("listen", 1)
    queued, repeated = bench.hear("a", 1), bench.hear("a", 0)
    bench.decoder.release()
    answers = await asyncio.wait_for(asyncio.gather(slow, repeated, queued), DEADLINE_S)
    assert [answer.decision.index for answer in answers] == [0, 0, 1]
    assert [answer.decision.action for answer in answers[1:]] == [Action.RESPOND, Action.SILENT]
    assert bench.decoder.batches("listen") == [{"a": [0]}, {"a": []}, {"a": []}, {"a": [1]}]


async def test_one_that_is_not_decided_yet_holds_up_nobody(bench: Bench) -> None:
    await bench.open("slow", verdicts=[None, None, None])
    await bench.open("quick")
    bench.decoder.hold()
    slow = bench.hear("slow", 0)
    await bench.logged("listen", 1)
    quick = bench.hear("quick", 0)
    bench.decoder.let(2)
    assert (await asyncio.wait_for(quick, DEADLINE_S)).decision.index == 0
    assert not slow.done()
    bench.decoder.release()
    assert (await asyncio.wait_for(slow, DEADLINE_S)).decision.index == 0


async def test_one_that_is_closed_before_it_is_decided_answers_that_it_is_not_open(
    bench: Bench,
) -> None:
    await bench.open("a", verdicts=[None, respond(1)])
    bench.decoder.hold()
    heard = bench.hear("a", 0)
    await bench.logged("listen", 1)
    closing = asyncio.create_task(bench.engine.close("a"))
    with pytest.raises(NotOpen):
        await asyncio.wait_for(heard, DEADLINE_S)
    bench.decoder.release()
    await closing
    assert bench.decoder.batches("listen") == [{"a": [0]}]


# Speaking


async def test_a_session_that_speaks_is_shown_what_waits_in_its_queue(bench: Bench) -> None:
    script = await bench.open("a", verdicts=[respond(1)], speech=[WAITING])
    await bench.heard("a", 0)
    await bench.logged("speak", 1)
    queued = [bench.hear("a", 1), bench.hear("a", 2)]
    bench.decoder.ready(script)
    await asyncio.wait_for(asyncio.gather(*queued), DEADLINE_S)
    assert bench.decoder.batches("overhear") == [{"a": []}, {"a": [1, 2]}]
    assert bench.decoder.batches("listen") == [{"a": [0]}, {"a": [1, 2]}]


async def test_a_session_that_speaks_does_not_touch_its_queue(bench: Bench) -> None:
    script = await bench.open("a", verdicts=[respond(1)], speech=[WAITING])
    await bench.heard("a", 0)
    queued = [bench.hear("a", 1), bench.hear("a", 2)]
    await bench.a_step_passes()
    assert not any(future.done() for future in queued)
    bench.decoder.ready(script)  # the next step says that the burst is done
    answers = await asyncio.wait_for(asyncio.gather(*queued), DEADLINE_S)
    assert [answer.decision.index for answer in answers] == [2, 2]


async def test_a_turn_is_followed_from_start_to_end(bench: Bench) -> None:
    spoken = [Piece(1, 0, "a"), Piece(1, 1, " b"), ended(1)]
    await bench.open(
        "a",
        verdicts=[respond(1)],
        speech=[says(spoken[0]), says(spoken[1]), says(spoken[2], then=Speaking.DONE)],
    )
    await bench.heard("a", 0)
    assert await bench.pieces("a", 1) == spoken


async def test_who_follows_a_turn_gets_all_of_it_however_often_and_beside_whom(
    bench: Bench,
) -> None:
    script = await bench.open("a", verdicts=[respond(1)], speech=[says(Piece(1, 0, "a"))])
    script.speech += [WAITING]
    await bench.heard("a", 0)
    first = bench.engine.speak("a", 1)
    assert (await anext(first)).text == "a"
    second = asyncio.create_task(bench.pieces("a", 1))
    rest = asyncio.create_task(taken(first))
    await bench.logged("speak", 2)
    script.speech += [says(Piece(1, 1, " b"), ended(1), then=Speaking.DONE)]
    bench.decoder.ready(script)
    spoken = [Piece(1, 0, "a"), Piece(1, 1, " b"), ended(1)]
    assert await asyncio.wait_for(rest, DEADLINE_S) == spoken[1:]
    assert await second == spoken
    assert await bench.pieces("a", 1) == spoken


async def test_a_follower_that_has_read_a_provisional_piece_gets_what_replaces_it(
    bench: Bench,
) -> None:
    guess = Piece(1, 0, "hell", final=False)
    script = await bench.open(
        "a", verdicts=[respond(1)], speech=[says(guess, then=Speaking.WAITING)]
    )
    await bench.heard("a", 0)
    following = bench.engine.speak("a", 1)
    assert await anext(following) == guess
    script.speech += [says(Piece(1, 0, "hello"), ended(1), then=Speaking.DONE)]
    bench.decoder.ready(script)
    assert await asyncio.wait_for(taken(following), DEADLINE_S) == [Piece(1, 0, "hello"), ended(1)]


async def test_turns_that_ended_are_forgotten_after_a_while(bench: Bench) -> None:
    turns = range(1, KEPT_ENDED_TURNS + 2)
    await bench.open(
        "a",
        verdicts=[respond(turn) for turn in turns],
        speech=[says(ended(turn), then=Speaking.DONE) for turn in turns],
    )
    for turn in turns:
        await bench.heard("a", turn - 1)
        assert await bench.pieces("a", turn) == [ended(turn)]
    assert await bench.pieces("a", 2) == [ended(2)]
    with pytest.raises(EngineError, match="no turn 1"):
        await bench.pieces("a", 1)


async def test_sessions_speak_in_one_batch(bench: Bench) -> None:
    for name in "ab":
        await bench.open(name, verdicts=[respond(1)], speech=[says(ended(1), then=Speaking.DONE)])
    bench.decoder.hold()
    await bench.open("c")
    first = bench.hear("c", 0)
    await bench.logged("listen", 1)
    heard = [bench.hear("a", 0), bench.hear("b", 0)]
    bench.decoder.release()
    await asyncio.wait_for(asyncio.gather(first, *heard), DEADLINE_S)
    await bench.logged("speak", 1)
    assert bench.decoder.batches("speak")[0] == ["a", "b"]


async def test_a_session_that_waits_is_not_stepped_until_it_is_ready(bench: Bench) -> None:
    script = await bench.open("a", verdicts=[respond(1)], speech=[WAITING])
    await bench.heard("a", 0)
    await bench.logged("speak", 1)
    await bench.a_step_passes()
    await bench.a_step_passes()
    assert bench.decoder.batches("speak") == [["a"]]
    script.speech = [says(ended(1), then=Speaking.DONE)]
    bench.decoder.ready(script)
    assert await bench.pieces("a", 1) == [ended(1)]


async def test_what_is_unsettled_is_worked_out_before_the_session_listens_again(
    bench: Bench,
) -> None:
    unsettled = Verdict(Action.SILENT, unsettled=True)
    script = await bench.open("a", verdicts=[unsettled], speech=[WAITING])
    assert (await bench.heard("a", 0)).decision.action is Action.SILENT
    queued = bench.hear("a", 1)
    await bench.a_step_passes()
    assert not queued.done()
    bench.decoder.ready(script)
    assert (await asyncio.wait_for(queued, DEADLINE_S)).decision.index == 1


async def test_ready_may_come_while_the_step_runs(bench: Bench) -> None:
    script = await bench.open(
        "a", verdicts=[respond(1)], speech=[WAITING, says(ended(1), then=Speaking.DONE)]
    )
    bench.decoder.hold()
    heard = bench.hear("a", 0)
    bench.decoder.let(1)
    await asyncio.wait_for(heard, DEADLINE_S)
    await bench.logged("speak", 1)
    bench.decoder.ready(script)
    bench.decoder.release()
    assert await bench.pieces("a", 1) == [ended(1)]


async def test_unread_provisional_text_gives_way_to_what_replaces_it(bench: Bench) -> None:
    def provisional(sequence: int, text: str) -> Piece:
        return Piece(1, sequence, text, final=False)

    steps = [
        says(provisional(0, "h"), provisional(0, "he")),
        says(Piece(1, 0, "hello")),
        says(provisional(1, " wor")),
        says(ended(1), then=Speaking.DONE),
    ]
    await bench.open("a", verdicts=[respond(1)], speech=steps)
    await bench.heard("a", 0)
    await bench.heard("a", 1)  # only listened to once the burst is over
    assert await bench.pieces("a", 1) == [Piece(1, 0, "hello"), provisional(1, " wor"), ended(1)]


async def test_a_turn_goes_on_when_a_later_decision_names_it_again(bench: Bench) -> None:
    await bench.open(
        "a",
        verdicts=[respond(1), respond(1)],
        speech=[
            says(Piece(1, 0, "one"), then=Speaking.DONE),
            says(Piece(1, 1, " two"), ended(1), then=Speaking.DONE),
        ],
    )
    await bench.heard("a", 0)
    await bench.heard("a", 1)
    assert [piece.text for piece in await bench.pieces("a", 1)] == ["one", " two", ""]


# Instructions, cancelling, closing


async def test_history_and_instructions_reach_the_decoder(bench: Bench) -> None:
    past = Past((PastTurn(1, Kind.ANSWER, "the hour is late"),))
    await bench.engine.open("a", SessionSpec(instruction="a"), past)
    await bench.engine.instruct("a", "count the bells")
    assert bench.decoder.scripts["a"].asked == ["the hour is late", "count the bells"]


async def test_cancelling_ends_a_turn_and_lets_the_session_listen_again(bench: Bench) -> None:
    await bench.open(
        "a", verdicts=[respond(1)], speech=[says(Piece(1, 0, "long"), then=Speaking.WAITING)]
    )
    await bench.heard("a", 0)
    await bench.logged("speak", 1)
    await bench.engine.cancel("a", 1)
    assert await bench.pieces("a", 1) == [
        Piece(1, 0, "long"),
        ended(1, reason=EndReason.CANCELLED),
    ]
    assert (await bench.heard("a", 1)).decision.index == 1


async def test_cancelling_a_turn_that_is_over_asks_nobody(bench: Bench) -> None:
    await bench.open("a")
    await bench.engine.cancel("a", 7)
    assert bench.decoder.batches("cancel") == []


async def test_opening_twice_at_once_makes_one_session(bench: Bench) -> None:
    await asyncio.gather(bench.open("a"), bench.open("a"))
    await bench.heard("a", 0)
    opened = len(bench.decoder.batches("open"))
    closed = len(bench.decoder.batches("close"))
    assert opened - closed == 1


async def test_closing_while_speaking_ends_the_turn_as_cancelled(bench: Bench) -> None:
    await bench.open(
        "a", verdicts=[respond(1)], speech=[says(Piece(1, 0, "so"), then=Speaking.WAITING)]
    )
    await bench.heard("a", 0)
    following = bench.engine.speak("a", 1)
    assert (await anext(following)).text == "so"
    await bench.engine.close("a")
    assert [piece.ended async for piece in following] == [EndReason.CANCELLED]
    assert bench.decoder.batches("close") == ["a"]


async def test_closing_answers_all_who_wait_that_the_session_is_not_open(bench: Bench) -> None:
    await bench.open("a")
    bench.decoder.hold()
    in_step = bench.hear("a", 0)
    await bench.logged("listen", 1)
    queued = bench.hear("a", 1)
    repeated = bench.hear("a", 1)
    closing = asyncio.create_task(bench.engine.close("a"))
    for waiter in (in_step, queued, repeated):
        with pytest.raises(NotOpen):
            await asyncio.wait_for(waiter, DEADLINE_S)
    bench.decoder.release()
    await closing
    with pytest.raises(NotOpen):
        bench.hear("a", 2)


async def test_closing_what_is_not_open_is_no_error(bench: Bench) -> None:
    await bench.engine.close("nobody")
    assert bench.decoder.batches("close") == []


async def test_a_closed_session_is_never_stepped_again(bench: Bench) -> None:
    await bench.open("a", verdicts=[respond(1)], speech=[says()])
    await bench.open("b")
    bench.decoder.hold()
    heard = [bench.hear("a", 0)]
    bench.decoder.let(1)  # a is heard; its speech is in the step that waits now
    await bench.logged("speak", 1)
    heard.append(bench.hear("b", 0))
    closing = asyncio.create_task(bench.engine.close("a"))
    bench.decoder.release()
    await asyncio.wait_for(asyncio.gather(closing, *heard), DEADLINE_S)
    await bench.a_step_passes()
    after_close = bench.decoder.log[bench.decoder.log.index(("close", "a")) :]
    assert ("speak", ["a"]) not in after_close


async def test_who_stopped_waiting_is_no_trouble_to_others(bench: Bench) -> None:
    await bench.open("a")
    bench.decoder.hold()
    in_step = bench.hear("a", 0)
    await bench.logged("listen", 1)
    queued, repeated = bench.hear("a", 1), bench.hear("a", 1)
    for waiter in (in_step, queued):
        waiter.cancel()
    bench.decoder.release()
    assert (await asyncio.wait_for(repeated, DEADLINE_S)).decision.index == 1
    assert (await bench.heard("a", 2)).decision.index == 2


async def test_closing_passes_over_who_stopped_waiting(bench: Bench) -> None:
    await bench.open("a")
    bench.decoder.hold()
    in_step = bench.hear("a", 0)
    await bench.logged("listen", 1)
    cancelled, waiting = bench.hear("a", 1), bench.hear("a", 2)
    cancelled.cancel()
    closing = asyncio.create_task(bench.engine.close("a"))
    for waiter in (in_step, waiting):
        with pytest.raises(NotOpen):
            await asyncio.wait_for(waiter, DEADLINE_S)
    bench.decoder.release()
    await closing


async def test_the_decoder_is_stopped_with_the_engine() -> None:
    async with running() as bench:
        await bench.open("a")
        await bench.heard("a", 0)
    assert bench.decoder.batches("stop") == [None]


# Failures


async def test_a_failed_batch_leaves_every_session_listening(bench: Bench) -> None:
    await bench.open("a")
    await bench.open("b")
    bench.decoder.raises = RuntimeError("out of memory")
    answers = [await bench.heard(name, 0) for name in "ab"]
    assert [answer.decision.action for answer in answers] == [Action.SILENT] * 2
    bench.decoder.raises = None
    assert (await bench.heard("a", 1)).decision.index == 1


async def test_one_session_that_fails_is_silent_and_ends_its_turns_alone(bench: Bench) -> None:
    for name, second in (("bad", RuntimeError("no")), ("good", respond(1))):
        await bench.open(
            name,
            verdicts=[respond(1), second],
            speech=[DONE, says(ended(1), then=Speaking.DONE)],
        )
        await bench.heard(name, 0)
    assert (await bench.heard("bad", 1)).decision.action is Action.SILENT
    assert (await bench.heard("good", 1)).decision.action is Action.RESPOND
    assert [piece.ended for piece in await bench.pieces("bad", 1)] == [EndReason.ERROR]
    assert [piece.ended for piece in await bench.pieces("good", 1)] == [EndReason.COMPLETE]


async def test_speech_that_fails_ends_as_error_and_the_session_listens_again(
    bench: Bench,
) -> None:
    await bench.open("a", verdicts=[respond(1)], speech=[says(Piece(1, 0, "so")), ValueError("x")])
    await bench.heard("a", 0)
    assert [piece.ended for piece in await bench.pieces("a", 1)] == [None, EndReason.ERROR]
    assert (await bench.heard("a", 1)).decision.index == 1


async def test_a_decoder_that_answers_for_fewer_sessions_fails_that_step_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.open("a")
    with monkeypatch.context() as patched:
        patched.setattr(bench.decoder, "step", lambda hearing, speaking: Stepped((), ()))
        assert (await bench.heard("a", 0)).decision.action is Action.SILENT
    assert (await bench.heard("a", 1)).decision.index == 1
