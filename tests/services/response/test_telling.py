"""A session's events on the way to the record, which may keep one and not say so."""

import pytest

from services.core.errors import Unavailable
from services.core.events import CallerEvent, ResponseEnded, ResponseStarted
from services.response.telling import Telling
from soundflow.interaction import EndReason, Kind
from tests.services.ingestion.caller import Caller
from tests.services.ingestion.rig import decision, make_rig, unread
from tests.waiting import until


async def test_an_event_that_was_kept_without_an_answer_is_told_before_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = make_rig()
    caller = await Caller("a").call(rig)
    caller.take()
    telling = Telling("a", rig.responses, rig.service)
    started, ended = ResponseStarted(1, 0, Kind.ANSWER), ResponseEnded(1, EndReason.COMPLETE)
    await telling.tell(decision(0))
    await telling.tell(started)
    keep = rig.responses.send

    async def keep_and_lose_the_answer(told: CallerEvent) -> int:
        await keep(told)
        raise Unavailable("transport_unavailable", "Kafka does not answer")

    monkeypatch.setattr(rig.responses, "send", keep_and_lose_the_answer)
    with pytest.raises(Unavailable):
        await telling.tell(ended)
    monkeypatch.setattr(rig.responses, "send", keep)
    await telling.tell(decision(1))
    await telling.tell(ended)  # as response does what it may not have done
    await until(lambda: decision(1) in unread(caller.outbox))
    assert unread(caller.outbox) == [decision(0), started, ended, decision(1)]
