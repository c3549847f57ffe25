"""Files for tests, made as they are needed, and what is heard of them."""

import io
import struct
from tempfile import NamedTemporaryFile

import av
import numpy as np
import soundfile

from soundflow.audio import SAMPLE_RATE_HZ, Chunk, Pcm
from soundflow.media import Media, open_media

SECONDS = 2
LEFT_HZ, RIGHT_HZ = 440, 1_000


def stereo_tones(sample_rate_hz: int) -> Pcm:
    """A tone of its own in each channel, `(n, 2)`."""
    time_s = np.arange(SECONDS * sample_rate_hz) / sample_rate_hz
    tones = [0.4 * np.sin(2 * np.pi * hz * time_s) for hz in (LEFT_HZ, RIGHT_HZ)]
    return np.stack(tones, axis=1).astype(np.float32)


def wav(frames: Pcm, sample_rate_hz: int = SAMPLE_RATE_HZ, **options: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, frames, sample_rate_hz, **{"format": "WAV", **options})
    return file.getvalue()


def wav_header(
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    channels: int = 1,
    data_bytes: int = 64_000,
    codec: int = 1,
) -> bytes:
    """A 16-bit header, of PCM where nothing else is said, that says whatever a test wants."""
    fmt = struct.pack(
        "<HHIIHH",
        codec,
        channels,
        sample_rate_hz,
        sample_rate_hz * channels * 2,
        channels * 2,
        16,
    )
    riff_bytes = min(data_bytes + 36, 0xFFFF_FFFF)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", riff_bytes, b"WAVE", b"fmt ", len(fmt))
        + fmt
        + struct.pack("<4sI", b"data", data_bytes)
    )


def pcm16(frames: Pcm) -> bytes:
    return (frames * 32767).astype("<i2").tobytes()


def encoded(
    container: str,
    codec: str,
    frames: Pcm,
    sample_rate_hz: int,
    *,
    layout: str = "stereo",
    hole_s: float = 0,
    options: dict[str, str] | None = None,
) -> bytes:
    """Encode with FFmpeg; a hole in the timestamps after the first second, if asked."""
    with NamedTemporaryFile() as file:
        with av.open(file.name, "w", format=container, options=options or {}) as output:
            stream = output.add_stream(codec, rate=sample_rate_hz, layout=layout)
            assert isinstance(stream, av.AudioStream)
            converter = av.AudioResampler(stream.format, layout, sample_rate_hz, frame_size=960)
            for start in range(0, len(frames), sample_rate_hz):
                second = np.ascontiguousarray(frames[start : start + sample_rate_hz].T)
                frame = av.AudioFrame.from_ndarray(second, format="fltp", layout=layout)
                frame.sample_rate = sample_rate_hz
                frame.pts = start + (round(hole_s * sample_rate_hz) if start else 0)
                for part in converter.resample(frame):
                    output.mux(stream.encode(part))
            output.mux(stream.encode(None))
        return file.read()


def heard(media: Media, *session_ids: str) -> list[Pcm]:
    """The samples of each session, after checks of what every stream of chunks must hold."""
    chunks = list(media.chunks(session_ids))
    return [joined([chunk for chunk in chunks if chunk.session_id == id_]) for id_ in session_ids]


def joined(chunks: list[Chunk]) -> Pcm:
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    return np.concatenate([chunk.pcm[: chunk.samples] for chunk in chunks])


def play(source: bytes) -> Pcm:
    with open_media(io.BytesIO(source)) as media:
        (samples,) = heard(media, "file")
        assert media.warnings == []
        return samples


def level_at(samples: Pcm, frequency_hz: int) -> float:
    """Amplitude of one frequency over the middle second."""
    middle = samples[SAMPLE_RATE_HZ // 2 :][:SAMPLE_RATE_HZ]
    phase = 2j * np.pi * frequency_hz * np.arange(len(middle)) / SAMPLE_RATE_HZ
    return float(2 * abs(np.mean(middle * np.exp(-phase))))
