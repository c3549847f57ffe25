"""What every session store promises (services/state/port.py), over each that there is."""

import dataclasses

import pytest

from services.core.clock import unix_us
from services.core.errors import SessionExists, SessionUnknown
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord, SessionStore
from soundflow.interaction import Ability, Kind, PastTurn, SessionSpec

RECORD = SessionRecord(
    "s-1",
    SessionSpec("listen", frozenset({Ability.CHAT}), "de", "en", "acme", "cascade"),
    opened_unix_us=1_764_000_000_000_000,
    turns=(PastTurn(1, Kind.ANSWER, "yes"),),
)


@pytest.fixture(params=["memory"])
def store(request: pytest.FixtureRequest) -> SessionStore:
    return {"memory": MemorySessionStore}[request.param]()


def unwritten(record: SessionRecord) -> SessionRecord:
    """Return it without the time of its last write, which is the store's own."""
    return dataclasses.replace(record, updated_unix_us=0)


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
