"""Tasks: the same loop over a finished recording, in lock-step and faster than real time.

A session's next chunk is sent once the one before is decided on, so that the outcome depends on
nothing but the recording, and no other session has to wait.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.core.errors import BadRequest, Failed, NoDecoder, ShuttingDown, SoundFlowError
from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    Gap,
    SessionClosed,
)
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.ingestion.service import IngestionService
from soundflow.audio import CHUNK_MS, SAMPLE_RATE_HZ, AudioError, Chunk
from soundflow.intake import IntakeResult
from soundflow.interaction import SessionSpec
from soundflow.media import Media, open_media
from soundflow.media_readers import MediaWarning

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a recording was heard. total_ms: its length, 0 where unknown."""

    done_ms: int
    total_ms: int


async def run_task(
    ingestion: IngestionService,
    spec: SessionSpec,
    source: Path,
    *,
    split_channels: bool = False,
    face: str = "task",
) -> AsyncGenerator[CallerEvent | Progress]:
    """Hear a recording; yield its events, and after each decision how far it has come.

    A slow consumer slows the task down. Close the generator to give it up.
    BadRequest before the first event when the file cannot be read; after the last one when that
    turned out later, which is an `error` event too. Failed, NoDecoder or ShuttingDown, after the
    last event, when it was the platform that ended it.
    """
    async with _open(source) as recording:
        count = recording.channels if split_channels else 1
        session_ids = [ingestion.new_id() for _ in range(count)]
        outbox = Outbox(capacity=ingestion.config.outbox_events, sessions=count)
        opened = await ingestion.open(spec, session_ids, outbox, face=face, resumable=False)
        feed = _Feed(ingestion, recording, {live.session_id: _Fed(live) for live in opened})
        feeding = asyncio.create_task(feed.run())
        try:
            async for told in outbox:
                yield told
                if isinstance(told.event, DecisionMade):
                    feed.decided(told.session_id, told.event)
                    yield feed.progress
                elif isinstance(told.event, SessionClosed):
                    feed.closed(told.event)
            if fault := feed.fault or feed.let_go:
                raise fault
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await feed.close(CloseReason.CLIENT_GONE)


class _Recording:
    """A file, read on a thread of its own: it is never closed while it is being read."""

    def __init__(self, media: Media, thread: Executor) -> None:
        self._media = media
        self._thread = thread
        self._told = 0

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return self._media.info.channels

    @property
    def duration_ms(self) -> int:
        """Its length; 0 where unknown."""
        return self._media.info.duration_ms or 0

    async def read(self, session_ids: Sequence[str]) -> AsyncIterator[IntakeResult]:
        """Read it once. AudioError."""
        loop = asyncio.get_running_loop()
        results = self._media.read(session_ids)
        while result := await loop.run_in_executor(self._thread, _next, results):
            yield result

    def new_warnings(self) -> Sequence[MediaWarning]:
        """Return what was found wrong since the last time."""
        warnings = self._media.warnings[self._told :]
        self._told += len(warnings)
        return warnings


@asynccontextmanager
async def _open(source: Path) -> AsyncIterator[_Recording]:
    loop = asyncio.get_running_loop()
    stack = ExitStack()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="task") as thread:
        try:
            media = await loop.run_in_executor(thread, stack.enter_context, open_media(source))
            yield _Recording(media, thread)
        except AudioError as error:
            raise BadRequest(error.code, str(error)) from error
        finally:
            await loop.run_in_executor(thread, stack.close)


@dataclass(slots=True)
class _Fed:
    """A session of the task, and how far it has come. sent: chunks so far. end_ms: of the last."""

    live: LiveSession
    sent: int = 0
    end_ms: int = 0
    done_ms: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Feed:
    """Sends a recording's chunks, never more than one undecided chunk of a session.

    fault: why the recording could not be heard to its end.
    """

    ingestion: IngestionService
    recording: _Recording
    sessions: dict[str, _Fed]
    fault: SoundFlowError | None = None

    async def run(self) -> None:
        """Send all; what is wrong with the recording closes its sessions, and is told."""
        try:
            async for result in self.recording.read(list(self.sessions)):
                self._warn()
                await self._send(result)
            self._warn()
        except AudioError as error:
            self.fault = BadRequest(error.code, str(error))
            self._tell(ErrorEvent(error.code, str(error)))
            await self.close(CloseReason.ERROR)
        except Exception:  # a fault of ours: nobody is left waiting
            log.exception("a task failed")
            await self.close(CloseReason.ERROR)

    def decided(self, session_id: str, decision: DecisionMade) -> None:
        """Note that all that was sent of a session is decided on."""
        fed = self.sessions[session_id]
        if decision.chunk == fed.sent - 1:
            fed.done_ms = fed.end_ms
            fed.ready.set()

    def closed(self, closed: SessionClosed) -> None:
        """Note why a session is over, if not because all was heard."""
        if closed.reason is CloseReason.SHUTDOWN:
            self.fault = ShuttingDown()
        elif closed.reason is CloseReason.OVERLOADED:
            self.fault = NoDecoder()
        elif closed.reason is CloseReason.ERROR and self.fault is None:
            self.fault = Failed()

    @property
    def progress(self) -> Progress:
        """How far the slowest session has come."""
        done_ms = min(fed.done_ms for fed in self.sessions.values())
        return Progress(done_ms, self.recording.duration_ms)

    @property
    def let_go(self) -> SoundFlowError | None:
        """Why a session went elsewhere, which only a mistake can make it do."""
        return next(filter(None, (fed.live.let_go for fed in self.sessions.values())), None)

    async def close(self, reason: CloseReason) -> None:
        """Close what is still open."""
        for fed in self.sessions.values():
            if not fed.live.ended.is_set():
                await self.ingestion.close(fed.live.session_id, reason)

    async def _send(self, result: IntakeResult) -> None:
        if result.gap:
            start_ms, end_ms = result.gap.start_ms, result.gap.end_ms
            self._tell(Gap(start_ms, end_ms, -(-end_ms // CHUNK_MS) - start_ms // CHUNK_MS))
        for chunk in result.chunks:
            await self._send_chunk(self.sessions[chunk.session_id], chunk)

    async def _send_chunk(self, fed: _Fed, chunk: Chunk) -> None:
        if fed.sent:
            await fed.ready.wait()
        fed.ready.clear()
        fed.sent += 1
        fed.end_ms = chunk.start_ms + chunk.samples * 1000 // SAMPLE_RATE_HZ
        await self.ingestion.send(fed.live, chunk)

    def _warn(self) -> None:
        for warning in self.recording.new_warnings():
            self._tell(ErrorEvent(warning.code, warning.message))

    def _tell(self, event: ErrorEvent | Gap) -> None:
        for fed in self.sessions.values():
            if not fed.live.ended.is_set():
                self.ingestion.tell(fed.live, event)


def _next(results: Iterator[IntakeResult]) -> IntakeResult | None:
    """Read on until there is something to send; None at the end."""
    for result in results:
        if result.chunks or result.gap:
            return result
    return None
