"""What every session store promises (services/state/port.py), over each that there is."""

import asyncio
import dataclasses
import time
from collections.abc import Callable

import pytest

from services.core.clock import unix_us
from services.core.errors import Overloaded, SessionExists, SessionUnknown
from services.state.memory import MemorySessionStore
from services.state.port import Fenced, SessionRecord, SessionStore
from soundflow.interaction import Ability, Kind, OpenTurn, PastTurn, SessionSpec
from tests.services.state.conftest import CLOCKS_S, LEASE_S, expired

RECORD = SessionRecord(
    "s-1",
    SessionSpec("listen", frozenset({Ability.CHAT}), "de", "en", "acme", "cascade"),
    opened_unix_us=1_764_000_000_000_000,
    turns=(PastTurn(1, Kind.ANSWER, "yes"),),
)


def unwritten(record: SessionRecord) -> SessionRecord:
    """Return it without the time of its last write, which is the store's own."""
    return dataclasses.replace(record, updated_unix_us=0)


def numbered(number: int) -> SessionRecord:
    return dataclasses.replace(RECORD, session_id=f"s-{number}")


def close(record: SessionRecord) -> SessionRecord:
    return dataclasses.replace(record, closed="complete")


def take_over(record: SessionRecord) -> SessionRecord:
    return dataclasses.replace(record, owner="another", epoch=record.epoch + 1)


def test_the_newest_turn_may_be_over_before_an_older_one() -> None:
    assert SessionRecord("s-1", SessionSpec(), 0).newest_turn == 0
    assert RECORD.newest_turn == 1
    finished = (PastTurn(1, Kind.ANSWER, "yes"), PastTurn(3, Kind.NOTICE, "so it is"))
    waiting = (OpenTurn(2, Kind.ANSWER, chunk=4),)
    assert dataclasses.replace(RECORD, turns=finished, open_turns=waiting).newest_turn == 3
    assert dataclasses.replace(RECORD, open_turns=waiting).newest_turn == 2


async def test_a_record_is_found_as_it_was_kept(store: SessionStore) -> None:
    before = unix_us()
    await store.create(RECORD)
    kept = await store.get("s-1")
    assert unwritten(kept) == RECORD
    assert before <= kept.updated_unix_us <= unix_us()


async def test_an_id_can_be_taken_once(store: SessionStore) -> None:
    await store.create(RECORD)
    with pytest.raises(SessionExists, match="s-1"):
        await store.create(dataclasses.replace(RECORD, spec=SessionSpec()))
    assert unwritten(await store.get("s-1")) == RECORD


async def test_what_was_never_kept_is_unknown(store: SessionStore) -> None:
    with pytest.raises(SessionUnknown, match="s-2"):
        await store.get("s-2")
    with pytest.raises(SessionUnknown, match="s-2"):
        await store.update("s-2", lambda record: record)


async def test_an_update_replaces_the_record_and_returns_it(store: SessionStore) -> None:
    await store.create(RECORD)
    changed = await store.update("s-1", lambda old: dataclasses.replace(old, last_index=7))
    assert unwritten(changed) == dataclasses.replace(RECORD, last_index=7)
    assert await store.get("s-1") == changed


async def test_an_update_that_fails_changes_nothing(store: SessionStore) -> None:
    def fail(record: SessionRecord) -> SessionRecord:
        raise ValueError("no")

    await store.create(RECORD)
    with pytest.raises(ValueError, match="no"):
        await store.update("s-1", fail)
    assert unwritten(await store.get("s-1")) == RECORD


async def test_a_closed_record_can_still_be_read(store: SessionStore) -> None:
    await store.create(RECORD)
    await store.update("s-1", lambda old: dataclasses.replace(old, closed="complete"))
    assert (await store.get("s-1")).closed == "complete"


async def test_sessions_open_at_once_are_limited(make_store: Callable[..., SessionStore]) -> None:
    store = make_store(capacity=3)
    for number in range(3):
        await store.create(numbered(number))
    with pytest.raises(Overloaded, match="all 3 sessions are taken"):
        await store.create(numbered(3))
    with pytest.raises(SessionUnknown):
        await store.get("s-3")
    await store.update("s-1", close)
    await store.create(numbered(3))
    with pytest.raises(Overloaded):
        await store.create(numbered(4))


async def test_a_refused_id_takes_no_place(make_store: Callable[..., SessionStore]) -> None:
    store = make_store(capacity=2)
    await store.create(numbered(0))
    await store.update("s-0", close)
    for _ in range(3):
        with pytest.raises(SessionExists):
            await store.create(numbered(0))
    await store.create(numbered(1))
    with pytest.raises(SessionExists):
        await store.create(numbered(1))
    await store.create(numbered(2))


async def test_closing_twice_frees_one_place(make_store: Callable[..., SessionStore]) -> None:
    store = make_store(capacity=2)
    for number in range(2):
        await store.create(numbered(number))
    for _ in range(2):
        await store.update("s-0", close)
    await store.create(numbered(2))
    with pytest.raises(Overloaded):
        await store.create(numbered(3))


async def test_who_holds_an_older_epoch_is_fenced(store: SessionStore) -> None:
    await store.create(RECORD)
    await store.update("s-1", take_over, epoch=0)
    with pytest.raises(Fenced, match="s-1"):
        await store.update("s-1", lambda old: dataclasses.replace(old, last_index=9), epoch=0)
    assert (await store.get("s-1")).last_index == -1
    await store.update("s-1", lambda old: dataclasses.replace(old, last_index=9), epoch=1)
    assert (await store.get("s-1")).last_index == 9


async def test_only_the_newest_holder_can_renew(store: SessionStore) -> None:
    for number in range(4):
        await store.create(numbered(number))
    await store.update("s-1", take_over)
    await store.update("s-2", close)
    lost = await store.renew({"s-0": 0, "s-1": 0, "s-2": 0, "s-unknown": 0})
    assert lost == {"s-1", "s-2", "s-unknown"}
    assert await store.renew({"s-1": 1, "s-3": 0}) == frozenset()


async def test_a_session_that_nobody_renews_expires(store: SessionStore) -> None:
    began = time.monotonic()
    for number in range(3):
        await store.create(numbered(number))
    assert await expired(store, count=2, renewed={"s-0": 0}) == {"s-1": 0, "s-2": 0}
    assert time.monotonic() - began > LEASE_S - CLOCKS_S
    assert await store.expired() == {}  # they are given to one caller


async def test_what_its_taker_does_not_close_is_given_out_again(store: SessionStore) -> None:
    for number in range(2):
        await store.create(numbered(number))
    assert await expired(store, count=2) == {"s-0": 0, "s-1": 0}
    await store.update("s-0", close)
    assert await expired(store, count=1) == {"s-1": 0}


async def test_whoever_resumes_an_expired_session_keeps_it(store: SessionStore) -> None:
    await store.create(RECORD)
    taken = await expired(store, count=1)
    resumed = time.monotonic()
    await store.update("s-1", take_over)
    with pytest.raises(Fenced):
        await store.update("s-1", close, epoch=taken["s-1"])
    assert await expired(store, count=1) == {"s-1": 1}
    assert time.monotonic() - resumed > LEASE_S - CLOCKS_S


async def test_updates_side_by_side_lose_nothing(store: SessionStore) -> None:
    def add(record: SessionRecord) -> SessionRecord:
        return dataclasses.replace(record, window_start=record.window_start + 1)

    await store.create(RECORD)
    await asyncio.gather(*(store.update("s-1", add) for _ in range(30)))
    assert (await store.get("s-1")).window_start == 30


async def test_in_memory_the_oldest_closed_records_are_forgotten_open_ones_never() -> None:
    store = MemorySessionStore(kept_closed=2)
    for number in range(5):
        await store.create(dataclasses.replace(RECORD, session_id=f"s-{number}"))
    for number in range(1, 5):
        await store.update(f"s-{number}", lambda old: dataclasses.replace(old, closed="idle"))
    known = []
    for number in range(5):
        try:
            known.append((await store.get(f"s-{number}")).session_id)
        except SessionUnknown:
            continue
    assert known == ["s-0", "s-3", "s-4"]
