"""Which decoder a session is on: where there is room, and where the newer version is."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from services.core.messages import NO_ROOM
from services.decision import placement
from soundflow.decoder import DecoderFull
from soundflow.null import NullState
from tests.services.decision.rig import Rig, numbers
from tests.waiting import until


def fill(replica: str, rig: Rig, monkeypatch: pytest.MonkeyPatch, times: float = math.inf) -> None:
    """Let a replica's decoder have no room so many times."""
    decoder = rig.replicas.at(replica).engine._decoder
    opened: Callable[..., NullState] = decoder.open
    left = times

    def open_if_there_is_room(*args: Any) -> NullState:
        nonlocal left
        left -= 1
        if left >= 0:
            raise DecoderFull("all places are taken")
        return opened(*args)

    monkeypatch.setattr(decoder, "open", open_if_there_is_room)
    monkeypatch.setattr(placement, "FULL_RETRY_S", 0.01)
    monkeypatch.setattr(placement, "FULL_FOR_S", 0.5)


async def test_a_session_waits_a_moment_for_one_that_is_about_to_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("one", rig, monkeypatch, times=3)
    fill("two", rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    assert list(rig.engine._sessions) == ["a"]


async def test_a_session_goes_to_another_decoder_where_its_own_is_full(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("one", rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    assert (await rig.store.get("a")).decoder == "two"


async def test_the_record_names_no_decoder_that_had_no_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("two", rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    one, two = rig.replicas.replicas
    asked = two.opened
    one.lose()
    await rig.send("a", 1)
    await until(lambda: two.opened > asked)
    one.gone = False  # it was only cut off, and has its sessions still
    await rig.decided_up_to("a", 1)
    assert (await rig.store.get("a")).decoder == "one"


async def test_a_session_that_no_decoder_has_room_for_ends_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.keep_record("b")
    await rig.send("b", 0)
    await rig.decided_up_to("b", 0)
    for replica in ("one", "two"):
        fill(replica, rig, monkeypatch)
    await rig.keep_record("a")
    await rig.send("a", 0)
    assert (await rig.announced(NO_ROOM)).session_id == "a"
    await rig.send("b", 1)
    await rig.decided_up_to("b", 1)


async def test_a_session_that_moved_away_is_forgotten_and_found_again(rig: Rig) -> None:
    await rig.keep_record("a")
    for index in range(5):
        await rig.send("a", index)
        await rig.decided_up_to("a", index)
    rig.service.placement.forget_idle(idle_s=60)
    assert len(rig.service.placement) == 1
    await until(lambda: not rig.service.placement._placed["a"].pending)
    rig.service.placement.forget_idle(idle_s=0)
    assert len(rig.service.placement) == 0
    await rig.send("a", 5)
    assert numbers(await rig.decided_up_to("a", 5)) == [(5, [])]


async def test_a_session_changes_over_with_the_first_chunk_that_the_new_version_encoded(
    rig: Rig,
) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    one.version, two.version = 1, 2
    decided = []
    for index in range(12):
        await rig.send("a", index, version=2 if index >= 7 else 1)
        decided += await rig.decided_up_to("a", index)
        await until(lambda: not rig.service.placement._placed["a"].pending)
    assert [(m.decision.index, m.model_version) for m in decided] == [
        (index, 2 if index >= 7 else 1) for index in range(12)
    ]
    [first], [second] = [turns for _, turns in numbers(decided) if turns]  # of chunks 4 and 9
    assert first < second
    assert rig.store._records["a"].decoder == "two"
    # What says the older version's turn is left alone.
    assert [piece.text async for piece in one.speak("a", 1)] == ["chunk 4", ""]


async def test_a_session_stays_where_it_is_until_all_that_was_heard_is_decided(rig: Rig) -> None:
    await rig.keep_record("a")
    one, two = rig.replicas.replicas
    one.version, two.version = 1, 2
    await rig.send("a", 0)
    await rig.decided_up_to("a", 0)
    one.mute = True
    for index in (1, 2):
        await rig.send("a", index, version=index)
    await until(lambda: one.heard == [0, 1, 2])
    assert rig.store._records["a"].decoder == "one"
    one.lose()  # as where the older version is taken away in the end
    after = await rig.decided_up_to("a", 2)
    assert [(m.decision.index, m.model_version) for m in after][-1] == (2, 2)
