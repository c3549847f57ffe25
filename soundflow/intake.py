"""From a sender's messages to chunks: decode, place in time, resample, one session per channel.

Pure computation: no clock, no I/O. `AudioIntake` is what a live stream calls for each message;
`FrameCutter` is its second half, which files share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soundflow.audio import (
    CHUNK_MS,
    SAMPLE_RATE_HZ,
    AudioError,
    AudioFormat,
    Chunk,
    Chunker,
    FrameDecoder,
    Pcm,
    StreamResampler,
)

JITTER_MS = 20  # no more than a usual packet, so that one lost or sent twice is seen
MAX_GAP_MS = 3_600_000
MAX_LATE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of the session, from its start, that had no audio: silence was put there."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """A stretch of the session that the sender sent again: the later audio was dropped."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Placed:
    """What goes next into a session: silence of a length in samples, then frames."""

    silence_samples: int
    frames: Pcm
    gap: Gap | None = None
    overlap: Overlap | None = None


@dataclass(slots=True)
class Timeline:
    """Place frames by the sender's timestamps, all channels together.

    The first timestamp is the origin of the sender's clock, wherever the session then is. Later
    ones are compared with the end of what was sent since: less than `jitter_ms` off, frames
    follow on; later, silence fills the difference; earlier, what was sent before is dropped.
    Silence that the platform filled in counts toward a gap, and never makes audio late: a sender
    whose clock stands still while it is quiet loses no word.

    placed_samples: length of the session so far, silence included, at the sender's rate.
    origin_ms: the first timestamp. sent_samples: where the sender's clock stands, from there.
    filled_samples: silence filled in since the sender's last frames.
    """

    sample_rate_hz: int
    jitter_ms: int = JITTER_MS
    max_gap_ms: int = MAX_GAP_MS
    placed_samples: int = 0
    origin_ms: int | None = None
    sent_samples: int = 0
    filled_samples: int = 0

    def place(self, frames: Pcm, timestamp_ms: int | None) -> Placed:
        """Place frames that start at `timestamp_ms` of the sender's clock, or follow on (None).

        AudioError `bad_timestamp` for a jump over `max_gap_ms` or a minute back: nothing changes.
        """
        jump_samples = self._jump_samples(timestamp_ms)
        if jump_samples < 0:
            return self._drop_repeated(frames, repeated_samples=-jump_samples)
        silence_samples = max(0, jump_samples - self.filled_samples)
        gap = Gap(*self._span_ms(self.placed_samples, silence_samples)) if silence_samples else None
        self.sent_samples += jump_samples
        self._advance(silence_samples, frames)
        return Placed(silence_samples, frames, gap=gap)

    def fill(self, silence_ms: int) -> tuple[int, Gap]:
        """Account for silence put in while the sender is quiet; give its length in samples."""
        silence_samples = round(silence_ms * self.sample_rate_hz / 1000)
        gap = Gap(*self._span_ms(self.placed_samples, silence_samples))
        self.placed_samples += silence_samples
        self.filled_samples += silence_samples
        return silence_samples, gap

    @property
    def placed_ms(self) -> int:
        """Length of the session so far."""
        return round(self.placed_samples * 1000 / self.sample_rate_hz)

    def _jump_samples(self, timestamp_ms: int | None) -> int:
        if timestamp_ms is None:
            return 0
        if self.origin_ms is None:
            self.origin_ms, self.sent_samples = timestamp_ms, 0
            return 0
        expected_ms = self.origin_ms + self.sent_samples * 1000 / self.sample_rate_hz
        jump_ms = timestamp_ms - expected_ms
        if not -MAX_LATE_MS <= jump_ms <= self.max_gap_ms:
            raise AudioError(
                "bad_timestamp",
                f"timestamp {timestamp_ms} ms where about {expected_ms:.0f} ms was due: send "
                f"milliseconds of one clock, open a new session when that clock starts again",
            )
        return round(jump_ms * self.sample_rate_hz / 1000) if abs(jump_ms) >= self.jitter_ms else 0

    def _drop_repeated(self, frames: Pcm, *, repeated_samples: int) -> Placed:
        dropped_samples = min(repeated_samples, len(frames))
        start = self.placed_samples - self.filled_samples - repeated_samples
        overlap = Overlap(*self._span_ms(start, dropped_samples))
        self._advance(0, frames[dropped_samples:])
        return Placed(0, frames[dropped_samples:], overlap=overlap)

    def _advance(self, silence_samples: int, frames: Pcm) -> None:
        self.placed_samples += silence_samples + len(frames)
        self.sent_samples += len(frames)
        if len(frames):
            self.filled_samples = 0

    def _span_ms(self, start_samples: int, length_samples: int) -> tuple[int, int]:
        end_samples = start_samples + length_samples
        return (
            round(start_samples * 1000 / self.sample_rate_hz),
            round(end_samples * 1000 / self.sample_rate_hz),
        )


class FrameCutter:
    """Resample `(n, channels)` frames and cut them into chunks.

    One session hears the mean of all channels; as many sessions as channels hear one each.
    """

    def __init__(
        self,
        session_ids: Sequence[str],
        *,
        sample_rate_hz: int,
        channels: int,
        first_chunk: int = 0,
    ) -> None:
        if len(session_ids) not in {1, channels}:
            raise AudioError(
                "bad_channels",
                f"{len(session_ids)} sessions for {channels} channels: "
                "give one session for the mix, or one for each channel",
            )
        self._chunkers = [Chunker(session_id, first_chunk) for session_id in session_ids]
        self._resampler = StreamResampler(sample_rate_hz, channels=len(session_ids))
        self._sample_rate_hz = sample_rate_hz

    def push(self, frames: Pcm) -> list[Chunk]:
        """Give the chunks that are now full, in order of time, then of channel."""
        if len(self._chunkers) == 1:
            frames = frames.mean(axis=1, keepdims=True)
        return self._cut(self._resampler.push(frames))

    def push_silence(self, samples: int) -> list[Chunk]:
        """Push zeros, counted at the sender's rate."""
        seconds, rest = divmod(samples, self._sample_rate_hz)
        if seconds == 0:
            return self.push(self._zeros(rest))
        chunks = self.push(self._zeros(self._sample_rate_hz))
        # The resampler now holds nothing but zeros, so whole seconds need not pass through it:
        # an hour takes a tenth of a second, not a whole one.
        for _ in range(seconds - 1):
            chunks += self._cut(self._zeros(SAMPLE_RATE_HZ))
        return chunks + self.push(self._zeros(rest))

    def finish(self) -> list[Chunk]:
        """Give what the resampler held, then each session's last chunk."""
        chunks = self._cut(self._resampler.finish())
        return chunks + [chunker.finish() for chunker in self._chunkers]

    def _zeros(self, samples: int) -> Pcm:
        return np.zeros((samples, len(self._chunkers)), np.float32)

    def _cut(self, frames: Pcm) -> list[Chunk]:
        channels = zip(self._chunkers, frames.T, strict=True)
        cut = [chunker.push(samples) for chunker, samples in channels]
        return [chunk for at_one_time in zip(*cut, strict=True) for chunk in at_one_time]


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """What one message led to: chunks in order of time, then of channel; gaps and overlaps."""

    chunks: Sequence[Chunk]
    gap: Gap | None = None
    overlap: Overlap | None = None


class AudioIntake:
    """One sender's live stream: its messages in, the chunks of its sessions out.

    session_ids: one for the mix of all channels, or one for each channel.
    first_chunk: where the stream begins in its sessions, when it goes on with an earlier one.
    """

    def __init__(
        self, session_ids: Sequence[str], audio_format: AudioFormat, *, first_chunk: int = 0
    ) -> None:
        rate_hz = audio_format.sample_rate_hz
        self._decoder = FrameDecoder(audio_format)
        self._timeline = Timeline(rate_hz, placed_samples=first_chunk * CHUNK_MS * rate_hz // 1000)
        self._cutter = FrameCutter(
            session_ids,
            sample_rate_hz=rate_hz,
            channels=audio_format.channels,
            first_chunk=first_chunk,
        )

    @property
    def placed_ms(self) -> int:
        """Length of the session so far, silence included: compare with the clock to fill up."""
        return self._timeline.placed_ms

    def push(self, data: bytes, timestamp_ms: int | None = None) -> IntakeResult:
        """Take one message, cut anywhere; `timestamp_ms` is when its first sample was captured.

        AudioError `bad_samples` or `bad_timestamp`: the message is dropped, the stream can go on.
        """
        placed = self._timeline.place(self._decoder.push(data), timestamp_ms)
        silence = self._cutter.push_silence(placed.silence_samples)
        return IntakeResult(silence + self._cutter.push(placed.frames), placed.gap, placed.overlap)

    def silence(self, silence_ms: int) -> IntakeResult:
        """Let the session go on while the sender is quiet, so that it keeps up with real time."""
        silence_samples, gap = self._timeline.fill(silence_ms)
        return IntakeResult(self._cutter.push_silence(silence_samples), gap)

    def finish(self) -> IntakeResult:
        """End the stream: every session's last chunk, full or not.

        AudioError `odd_length` when the bytes end within a frame; a second call then succeeds.
        """
        self._decoder.finish()
        return IntakeResult(self._cutter.finish())
