"""How turns are said, and what a session does meanwhile."""

import asyncio

import pytest

from soundflow.decoder import Speaking, Verdict
from soundflow.engine_session import EngineError
from soundflow.engine_turns import KEPT_ENDED_TURNS
from soundflow.interaction import Action, Piece
from tests.soundflow.scripted import WAITING, Bench, ended, respond, says, taken
from tests.waiting import DEADLINE_S


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
