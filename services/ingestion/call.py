"""One caller's live stream: bytes in at the caller's pace, events out, whatever the protocol."""

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from services.core import metrics
from services.core.clock import seconds_since
from services.core.errors import BadRequest, ProtocolBroken, SoundFlowError
from services.core.events import CloseReason, ErrorEvent, Event, Gap
from services.ingestion.live import LiveSession
from services.ingestion.outbox import Outbox
from services.ingestion.resuming import Accepted, Claim
from services.ingestion.service import IngestionService
from soundflow import intake
from soundflow.audio import CHUNK_MS, AudioError, AudioFormat
from soundflow.intake import AudioIntake, IntakeResult
from soundflow.interaction import SessionSpec

TICK_S = CHUNK_MS / 1000


class Call:
    """A live call of one session, or of one a channel. Use as a context manager.

    Iterate over `events` in one task and feed audio in another; leaving the context keeps what is
    still open for a while, for a caller whose connection broke.
    want: what is to be opened; or, for each channel, what an earlier call opened.
    broken: how the caller broke the protocol, if it did; the call ends with that.
    """

    def __init__(
        self,
        ingestion: IngestionService,
        want: SessionSpec | Sequence[Claim],
        audio_format: AudioFormat,
        *,
        face: str,
        split_channels: bool = False,
    ) -> None:
        self._ingestion = ingestion
        self._want = want
        self._face = face
        self._format = audio_format
        count = audio_format.channels if split_channels else 1
        self.session_ids = (
            [ingestion.new_id() for _ in range(count)]
            if isinstance(want, SessionSpec)
            else [claim.session_id for claim in want]
        )
        _check_channels(self.session_ids, audio_format)
        self.events = Outbox(
            capacity=ingestion.config.outbox_events, sessions=len(self.session_ids)
        )
        self._intake = AudioIntake(self.session_ids, audio_format)
        self._sessions: dict[str, LiveSession] = {}
        self._lock = asyncio.Lock()  # the caller's audio and the clock's silence take turns
        self.broken: ProtocolBroken | None = None
        self._finished = False
        self._parted = False
        self._quiet: intake.Gap | None = None
        self._started_at = self._audio_at = time.monotonic()
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the sessions, or go on with them. Overloaded, BadRequest, Unavailable."""
        if isinstance(self._want, SessionSpec):
            sessions = await self._ingestion.open(
                self._want, self.session_ids, self.events, face=self._face
            )
        else:
            resumed = await self._ingestion.resume(self._want, self.events)
            sessions = list(resumed.sessions)
            self._go_on(resumed.audio)
        self._sessions = {session.session_id: session for session in sessions}
        self._watch = asyncio.create_task(self._watch_clock())
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Keep what is open, as whoever leaves before the end has lost its connection."""
        if self._watch:
            self._watch.cancel()
        try:
            if self._parted:
                await self.close(CloseReason.CLIENT_GONE)
            left = [session for session in self._sessions.values() if not session.ended.is_set()]
            if left:
                await self._ingestion.keep(left)
        finally:
            self.events.shut()  # nobody reads them now; what is still to be told waits for nobody

    async def push(self, data: bytes, timestamp_ms: int | None = None) -> None:
        """Take audio; wait while it runs ahead of the clock by more than the burst allowed.

        BadRequest when the audio cannot be used: nothing of the message is taken, the call goes on.
        ProtocolBroken when the message is too large.
        """
        if self._finished:
            raise BadRequest("audio_after_end", "the audio was ended; open a new session for more")
        if len(data) > self._ingestion.config.max_message_bytes:
            raise ProtocolBroken(
                "message_too_large",
                f"one message may hold {self._ingestion.config.max_message_bytes} bytes of audio, "
                f"this one has {len(data)}; send smaller ones",
            )
        async with self._lock:
            if self._position_ms == 0:  # a session's clock starts with its first audio
                self._started_at = time.monotonic()
            try:
                taken = self._take(data, timestamp_ms)
                self._report_quiet()
                await self._pass_on(taken)
            finally:
                self._audio_at = time.monotonic()
        ahead_s = (self._position_ms - self._elapsed_ms - self._ingestion.config.burst_ms) / 1000
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)

    async def instruct(self, text: str) -> None:
        """Give every channel a new instruction."""
        for session_id in self.session_ids:
            await self._ingestion.instruct(session_id, text)

    async def cancel(self, turn: int) -> None:
        """Ask for a turn to end."""
        for session_id in self.session_ids:
            await self._ingestion.cancel(session_id, turn)

    async def finish(self) -> None:
        """The caller sends no more audio; what is left to say follows, then `session.closed`."""
        if self._finished:
            return
        async with self._lock:
            self._finished = True
            self._report_quiet()
            try:
                await self._pass_on(self._intake.finish())
            except AudioError as error:  # half a sample at the end costs nothing else
                await self._pass_on(self._intake.finish())
                raise BadRequest(error.code, str(error)) from error

    async def complain(self, error: SoundFlowError) -> None:
        """Tell the caller what is wrong; the sessions go on."""
        metrics.REQUEST_ERRORS.labels(error.code).inc()
        self._tell_all(ErrorEvent(error.code, error.message))

    def part(self) -> None:
        """Note that the caller said goodbye: it will not be back."""
        self._parted = True

    async def close(self, reason: CloseReason) -> None:
        """End the sessions now; those that ended already stay as they are."""
        self._finished = True
        for session in self._sessions.values():
            if not session.ended.is_set():
                await self._ingestion.close(session.session_id, reason)

    @property
    def let_go(self) -> SoundFlowError | None:
        """Why the call ends although its sessions go on; None when it does not."""
        reasons = (session.let_go for session in self._sessions.values())
        return next(filter(None, reasons), None)

    async def ended(self) -> None:
        """Wait until every session of the call is closed, for whatever reason."""
        for session in self._sessions.values():
            await session.ended.wait()

    @property
    def _position_ms(self) -> int:
        return self._intake.placed_ms

    @property
    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self._started_at) * 1000

    def _go_on(self, audio: Accepted) -> None:
        """Take audio from where it was cut off; what was spoken meanwhile need not be waited for.

        The session's clock stands where it would, had the connection not been lost.
        """
        self._intake = AudioIntake(self.session_ids, self._format, first_chunk=audio.chunk)
        heard_s = audio.chunk * CHUNK_MS / 1000
        self._started_at = time.monotonic() - heard_s - seconds_since(audio.captured_unix_us)
        self._finished = audio.ended

    def _take(self, data: bytes, timestamp_ms: int | None) -> IntakeResult:
        try:
            return self._intake.push(data, timestamp_ms)
        except AudioError as error:
            raise BadRequest(error.code, str(error)) from error

    async def _pass_on(self, taken: IntakeResult) -> None:
        if taken.gap:
            self._report_gap(taken.gap)
        for chunk in taken.chunks:
            session = self._sessions[chunk.session_id]
            if not session.ended.is_set():
                await self._ingestion.send(session, chunk)

    def _report_quiet(self) -> None:
        """Report the silence that the clock put in as one gap, now that it is over."""
        if self._quiet:
            self._report_gap(self._quiet)
            self._quiet = None

    def _report_gap(self, gap: intake.Gap) -> None:
        chunks = -(-gap.end_ms // CHUNK_MS) - gap.start_ms // CHUNK_MS
        metrics.AUDIO_GAP_SECONDS.inc((gap.end_ms - gap.start_ms) / 1000)
        self._tell_all(Gap(gap.start_ms, gap.end_ms, chunks))

    def _tell_all(self, event: Event) -> None:
        for session in self._sessions.values():
            if not session.ended.is_set():
                self._ingestion.tell(session, event)

    async def _watch_clock(self) -> None:
        """Hear a sender that falls silent as silence, and close one that stays so."""
        config = self._ingestion.config
        while not self._finished:
            await asyncio.sleep(TICK_S)
            async with self._lock:  # whose audio waits for the platform is not silent
                if self._finished:
                    return
                quiet_s = time.monotonic() - self._audio_at
                behind_ms = int(self._elapsed_ms) - self._position_ms
                if self._position_ms and quiet_s * 1000 > config.quiet_after_ms and behind_ms > 0:
                    await self._fill(behind_ms)
            if quiet_s > config.idle_close_s:
                await self.close(CloseReason.IDLE)
                return

    async def _fill(self, silence_ms: int) -> None:
        filled = self._intake.silence(silence_ms)
        start_ms = self._quiet.start_ms if self._quiet else self._position_ms - silence_ms
        self._quiet = intake.Gap(start_ms, self._position_ms)
        await self._pass_on(IntakeResult(filled.chunks))


def _check_channels(session_ids: Sequence[str], audio_format: AudioFormat) -> None:
    """Refuse what is neither one session for all channels nor one for each. BadRequest."""
    if len(session_ids) not in {1, audio_format.channels}:
        raise BadRequest(
            "bad_channels",
            f"{len(session_ids)} sessions for {audio_format.channels} channels: "
            "resume one session, or one for each channel",
        )
