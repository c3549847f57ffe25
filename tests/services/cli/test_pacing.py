from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.cli.pacing import Pacer
from soundflow.audio import AudioFormat, Encoding

STEREO = AudioFormat(Encoding.PCM_S16LE, 8000, channels=2)  # 32 bytes a millisecond
BYTES_PER_MS = 32


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now_s: float = 100.0
    sleeps_s: list[float] = field(default_factory=list)

    async def sleep(self, length_s: float) -> None:
        self.sleeps_s.append(length_s)
        self.now_s += length_s

    def pacer(self) -> Pacer:
        return Pacer(STEREO, lambda: self.now_s, self.sleep)


async def blocks(*sizes_bytes: int) -> AsyncIterator[bytes]:
    for size_bytes in sizes_bytes:
        yield bytes(size_bytes)


async def test_audio_leaves_when_it_would_have_been_heard() -> None:
    clock = Clock()
    sent = [
        (round((clock.now_s - 100) * 1000), position_ms, len(audio))
        async for audio, position_ms in clock.pacer().pace(blocks(250 * BYTES_PER_MS))
    ]

    assert sent == [(100, 100, 3200), (200, 200, 3200), (250, 250, 1600)]


async def test_blocks_cut_anywhere_add_up_to_the_same_position() -> None:
    clock = Clock()
    positions = [at_ms async for _, at_ms in clock.pacer().pace(blocks(7, 1, 3192, 6400))]

    assert positions[-1] == 300
    assert round(clock.now_s - 100, 6) == 0.3


async def test_late_audio_is_passed_on_at_once() -> None:
    clock = Clock()

    async def late() -> AsyncIterator[bytes]:
        yield bytes(100 * BYTES_PER_MS)
        clock.now_s += 5  # the sender hangs
        yield bytes(200 * BYTES_PER_MS)

    async for _ in clock.pacer().pace(late()):
        pass

    assert [round(slept_s, 6) for slept_s in clock.sleeps_s] == [0.1, 0, 0]
