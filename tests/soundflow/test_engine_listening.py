"""What the engine hears, and which decision covers it."""

import asyncio

import pytest

from soundflow.decoder import Speaking
from soundflow.engine_session import KEPT_ANSWERS, NotOpen, OutOfOrder
from soundflow.interaction import Action, Overrun
from tests.soundflow.scripted import SILENT, Bench, ended, respond, running, says
from tests.waiting import DEADLINE_S


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


async def test_a_dropped_chunk_that_is_repeated_waits_for_the_decision_that_covers_it() -> None:
    async with running(queue_chunks=2) as bench:
        await bench.open("a")
        await bench.heard("a", 0)
        bench.decoder.hold()
        in_step = bench.hear("a", 1)
        await bench.logged("listen", 2)
        rest = [bench.hear("a", index) for index in range(2, 7)]
        repeats = [bench.hear("a", index) for index in (1, 2, 4, 5)]
        bench.decoder.release()
        answers = await asyncio.wait_for(asyncio.gather(in_step, *rest, *repeats), DEADLINE_S)
        assert [answer.decision.index for answer in answers] == [1, *[6] * 5, 1, *[6] * 3]


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
