"""Real time: audio leaves no earlier than it would have, had it been heard just now."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from soundflow.audio import AudioFormat

STEP_MS = 100


@dataclass(frozen=True, slots=True)
class Pacer:
    """Holds audio back to the clock. `now_s` and `sleep` are the clock."""

    audio_format: AudioFormat
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def pace(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, int]]:
        """Give the audio in steps, each once its end is due, with its end in milliseconds.

        The clock starts with the first block. Audio that comes late is passed on at once.
        """
        step_bytes = self.audio_format.frame_bytes * self._frames_in(STEP_MS)
        started_s: float | None = None
        sent_bytes = 0
        async for block in blocks:
            started_s = started_s if started_s is not None else self.now_s()
            for start in range(0, len(block), step_bytes):
                step = block[start : start + step_bytes]
                sent_bytes += len(step)
                end_s = (
                    sent_bytes / self.audio_format.frame_bytes / self.audio_format.sample_rate_hz
                )
                await self.sleep(max(0.0, started_s + end_s - self.now_s()))
                yield step, int(end_s * 1000)

    def _frames_in(self, length_ms: int) -> int:
        return self.audio_format.sample_rate_hz * length_ms // 1000
