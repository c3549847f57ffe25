"""Who may not come back to a session: without its token, or where it never was."""

import pytest

from services.core.errors import BadRequest, SessionUnknown, ShuttingDown
from services.ingestion.outbox import Outbox
from services.ingestion.resuming import Claim
from tests.services.ingestion.caller import Caller
from tests.services.ingestion.rig import decision, make_rig, play, replica_of, unread


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_another_token_is_refused_and_changes_nothing(token: str) -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    with pytest.raises(BadRequest) as refused:
        await rig.service.resume([Claim("a", token)], Outbox(capacity=10, sessions=1))
    assert refused.value.code == "bad_token"
    assert rig.service.holds("a")
    await play(rig, "a", decision(0))
    assert unread(caller.outbox) == [decision(0)]


async def test_one_wrong_token_of_two_takes_neither() -> None:
    rig = make_rig()
    caller = await Caller("left", "right").call(rig)
    claims = [Claim("left", caller.tokens["left"]), Claim("right", caller.tokens["left"])]
    with pytest.raises(BadRequest):
        await rig.service.resume(claims, Outbox(capacity=10, sessions=2))
    assert [session.ended.is_set() for session in caller.sessions] == [False, False]


async def test_the_record_does_not_hold_the_token() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    assert caller.tokens["a"] not in repr(await rig.store.get("a"))


async def test_a_session_that_never_was_is_unknown() -> None:
    with pytest.raises(SessionUnknown):
        await make_rig().service.resume([Claim("a", "x")], Outbox(capacity=10, sessions=1))


async def test_a_replica_that_drains_takes_nobody_back() -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    rig.service.drain()
    with pytest.raises(ShuttingDown):
        await caller.back(rig)
    await caller.back(replica_of(rig, "other"))
