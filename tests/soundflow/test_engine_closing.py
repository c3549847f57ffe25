"""Instructions, cancelling and closing, and who waits for what then."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from soundflow.decoder import Speaking
from soundflow.engine_session import NotOpen
from soundflow.interaction import EndReason, Kind, Past, PastTurn, Piece, SessionSpec
from tests.soundflow.scripted import Bench, Script, ended, respond, running, says
from tests.waiting import DEADLINE_S, until


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


async def test_an_opening_that_nobody_waits_for_any_more_leaves_nothing_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, may_end, make = threading.Event(), threading.Event(), bench.decoder.open

    def slow(spec: SessionSpec, history: Sequence[PastTurn], memory: str = "") -> Script:
        entered.set()
        assert may_end.wait(DEADLINE_S)
        return make(spec, history, memory)

    monkeypatch.setattr(bench.decoder, "open", slow)
    opening = asyncio.create_task(bench.engine.open("a", SessionSpec(instruction="a")))
    await until(entered.is_set)
    opening.cancel()
    may_end.set()
    await bench.a_step_passes()
    assert opening.cancelled()
    assert bench.decoder.batches("close") == ["a"]


async def test_closing_goes_on_where_nobody_waits_for_it_any_more(bench: Bench) -> None:
    await bench.open("a")
    bench.decoder.hold()
    heard = bench.hear("a", 0)
    await bench.logged("listen", 1)
    closing = asyncio.create_task(bench.engine.close("a"))
    with pytest.raises(NotOpen):
        await asyncio.wait_for(heard, DEADLINE_S)
    closing.cancel()
    await asyncio.wait([closing])
    bench.decoder.release()
    await bench.a_step_passes()
    assert bench.decoder.batches("close") == ["a"]


async def test_the_decoder_is_stopped_with_the_engine() -> None:
    async with running() as bench:
        await bench.open("a")
        await bench.heard("a", 0)
    assert bench.decoder.batches("stop") == [None]
