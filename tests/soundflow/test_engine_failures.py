"""A decoder that fails, for all or for one."""

import pytest

from soundflow.decoder import Speaking, Stepped
from soundflow.interaction import Action, EndReason, Piece
from tests.soundflow.scripted import DONE, Bench, ended, respond, says


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
