"""How Faust fetches here: on the event loop of the process, and without tasks for each message.

Faust's own way costs several threads' turns for each fetch and four tasks for each message: more
than all that a service does with one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from aiokafka.errors import ConsumerStoppedError
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from mode import Service, ServiceT
from mode.utils.futures import maybe_async

ResultT = TypeVar("ResultT")

_FETCH_TIMEOUT_S = 1.0
_YIELD_EVERY = 100  # messages: others want the event loop too


class _LoopConsumer(driver.AIOKafkaConsumerThread):
    """What Faust has as a thread, as a part of the event loop that everything else runs on.

    Two threads of one interpreter hand its lock to and fro with every fetch, and a busy one keeps
    it from the other for milliseconds.
    """

    def __init__(self, consumer: "Consumer", **kwargs: Any) -> None:
        super().__init__(consumer, thread_loop=consumer.loop, **kwargs)

    async def start(self) -> None:
        self._thread_started.set()
        await self._default_start()

    async def stop(self) -> None:
        await Service.stop(self)

    async def on_stop(self) -> None:
        await self.on_thread_stop()
        self.set_shutdown()

    async def call_thread(
        self, fun: Callable[..., Awaitable[ResultT]], *args: Any, **kwargs: Any
    ) -> ResultT:
        result: ResultT = await maybe_async(fun(*args, **kwargs))
        return result

    def _stopped_set(self) -> None:
        self._stopped.set()

    def set_shutdown(self) -> None:
        self._shutdown.set()

    async def _stop_children(self) -> None:
        await self._default_stop_children()

    async def _stop_futures(self) -> None:
        await self._default_stop_futures()

    async def _stop_exit_stacks(self) -> None:
        await self._default_stop_exit_stacks()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go to what the group has committed, asked for in one request; else to the beginning.

        The client's own way asks for each partition, and leaves one where it is of which nothing
        was committed: what was fetched of it and thrown away in a rebalance would be lost.
        """
        consumer = self._ensure_consumer()
        tps = [tp for tp in consumer.assignment() if not self.consumer._is_changelog_tp(tp)]
        found = await consumer._coordinator.fetch_committed_offsets(tps)
        offsets = {tp: found[tp].offset for tp in tps if tp in found and found[tp].offset >= 0}
        if unknown := [tp for tp in tps if tp not in offsets]:
            offsets |= await consumer.beginning_offsets(unknown)
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)
        return offsets


class Consumer(driver.Consumer):
    """Takes what was fetched, message by message.

    It runs in an app that says whether whoever follows a topic has room for one more message of it.
    """

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._drain_fetched()
                await asyncio.sleep(0)
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.transport.app.should_stop:
                raise

    async def _drain_fetched(self) -> None:
        taken = 0
        async for tp, message in self.getmany(timeout=_FETCH_TIMEOUT_S):
            taken += 1
            if taken % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
            await self._take(tp, message)

    async def _take(self, tp: TP, message: Message) -> None:
        offset, read = message.offset, self._read_offset[tp]
        if read is not None and offset < read:
            return
        if read and offset - read > 1 and self.app.topics.acks_enabled_for(message.topic):
            await self._add_gap(tp, read + 1, offset)
        if cast(Any, self.app).has_room(tp.topic):
            await self.callback(message)
        else:  # until there is, or a rebalance begins
            await self.wait_first(self.callback(message), self.suspend_flow.wait())
        self._read_offset[tp] = offset

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109 - as Faust has it
    ) -> RecordMap:
        """Fetch of the partitions that are active now, where Faust looks at what they are later.

        When they are paused meanwhile, all at once, it would fetch of every partition, throw that
        away, and go on after it: after a table's recovery, messages would be lost.
        """
        active = set(active_partitions or ())
        return await super()._getmany(active, timeout) if active else {}

    async def verify_all_partitions_active(self) -> None:
        """Leave it to the watchdog: Faust's own check fails on a partition that just came."""

    def _new_consumer_thread(self) -> _LoopConsumer:
        return _LoopConsumer(self, loop=self.loop, beacon=self.beacon)
