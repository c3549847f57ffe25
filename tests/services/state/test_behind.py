"""Changes written behind their callers: in order, merged, and kept while the store is away."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from services.core import metrics
from services.core.errors import Unavailable
from services.state.behind import KEPT_LAZY, Change, WriteBehind
from services.state.memory import MemorySessionStore
from services.state.port import SessionRecord
from soundflow.interaction import Kind, PastTurn, SessionSpec
from tests.waiting import DEADLINE_S, until

NEVER_S = 3600.0


class Store(MemorySessionStore):
    """One that can be away, and counts what it is asked to write."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.updates = 0

    async def update(
        self,
        session_id: str,
        change: Callable[[SessionRecord], SessionRecord],
        *,
        epoch: int | None = None,
    ) -> SessionRecord:
        await asyncio.sleep(0)  # others may run, as with a real one
        self.updates += 1
        if self.away:
            raise Unavailable("redis_away", "away")
        return await super().update(session_id, change, epoch=epoch)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def behind(store: Store) -> AsyncIterator[WriteBehind]:
    for session_id in ("a", "b"):
        await store.create(SessionRecord(session_id, SessionSpec(), 0))
    behind = WriteBehind(store, lazy_s=0.2)
    metrics.REDIS_BEHIND.set(0)  # whatever other tests of this process left behind
    yield behind
    await behind.close(within_s=1)
    assert metrics.REDIS_BEHIND._value.get() == 0


def heard(index: int) -> Change:
    return lambda record: dataclasses.replace(record, last_index=index)


def said(turn: int) -> Change:
    past = PastTurn(turn, Kind.ANSWER, "yes")
    return lambda record: dataclasses.replace(record, turns=(*record.turns, past))


async def test_an_urgent_change_waits_for_no_lazy_one(store: Store, behind: WriteBehind) -> None:
    behind.lazy_s = NEVER_S
    async with asyncio.timeout(DEADLINE_S):
        await behind.change("a", heard(3), now=True)
    assert (await store.get("a")).last_index == 3


async def test_lazy_changes_are_merged_into_one_write(store: Store, behind: WriteBehind) -> None:
    for index in range(4):
        last = behind.change("a", heard(index))
        await asyncio.sleep(0)
    assert store.updates == 0
    await last
    assert (await store.get("a")).last_index == 3
    assert store.updates == 1


async def test_an_urgent_change_takes_lazy_ones_along(store: Store, behind: WriteBehind) -> None:
    lazy = behind.change("a", heard(1))
    await behind.change("a", said(1), now=True)
    assert lazy.done()
    assert store.updates == 1


async def test_changes_of_a_session_are_applied_in_order(store: Store, behind: WriteBehind) -> None:
    written = []
    for turn in range(20):
        written.append(behind.change("a", said(turn), now=True))
        if turn % 3 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*written)
    assert [past.turn for past in (await store.get("a")).turns] == list(range(20))
    assert store.updates < 20


async def test_all_is_written_once_the_store_is_back(store: Store, behind: WriteBehind) -> None:
    store.away = True
    written = [behind.change("a", said(turn), now=True) for turn in (1, 2)]
    await until(lambda: store.updates > 2)
    written += [behind.change("a", said(3), now=True), behind.change("b", heard(7))]
    assert not any(one.done() for one in written)
    store.away = False
    await asyncio.gather(*written)
    assert [past.turn for past in (await store.get("a")).turns] == [1, 2, 3]
    assert (await store.get("b")).last_index == 7


async def test_what_waits_for_a_store_that_is_away_is_bounded(
    store: Store, behind: WriteBehind
) -> None:
    store.away = True
    for index in range(10_000):
        last = behind.change("a", heard(index))
    urgent = behind.change("a", said(1), now=True)
    assert behind.waiting == KEPT_LAZY + 1
    assert metrics.REDIS_BEHIND._value.get() == KEPT_LAZY + 1
    store.away = False
    await asyncio.gather(last, urgent)
    assert (await store.get("a")).last_index == 9_999


async def test_a_session_without_a_record_drops_its_changes(
    behind: WriteBehind, caplog: pytest.LogCaptureFixture
) -> None:
    await behind.change("nobody", heard(1), now=True)
    assert "nobody has no record" in caplog.text
    assert behind.waiting == 0


async def test_a_change_that_fails_costs_the_others_nothing(
    store: Store, behind: WriteBehind, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(record: SessionRecord) -> SessionRecord:
        raise ValueError("no")

    before, broken, after = (
        behind.change("a", change, now=True) for change in (heard(1), fail, said(1))
    )
    await asyncio.gather(before, after)
    with pytest.raises(ValueError, match="no"):
        await broken
    assert "a change is dropped" in caplog.text
    record = await store.get("a")
    assert (record.last_index, len(record.turns)) == (1, 1)


async def test_a_caller_that_no_longer_waits_costs_its_change_nothing(
    store: Store, behind: WriteBehind
) -> None:
    behind.change("a", heard(5), now=True).cancel()
    await behind.flush()
    assert (await store.get("a")).last_index == 5


async def test_closing_writes_lazy_changes_at_once(store: Store, behind: WriteBehind) -> None:
    behind.lazy_s = NEVER_S
    behind.change("a", heard(5))
    await behind.close(within_s=DEADLINE_S)
    assert (await store.get("a")).last_index == 5


async def test_closing_ends_in_time_and_tells_what_is_lost(
    store: Store, behind: WriteBehind, caplog: pytest.LogCaptureFixture
) -> None:
    store.away = True
    written = [behind.change("a", said(1), now=True), behind.change("b", heard(1))]
    async with asyncio.timeout(DEADLINE_S):
        with caplog.at_level(logging.ERROR):
            await behind.close(within_s=0.3)
    assert "2 changes of 2 session records are lost" in caplog.text
    for one in written:
        with pytest.raises(Unavailable):
            await one


async def test_nothing_is_kept_of_sessions_that_are_written(behind: WriteBehind) -> None:
    await asyncio.gather(*(behind.change("a", heard(index), now=True) for index in range(50)))
    await until(lambda: not behind._queues)
