"""Where live audio comes from: a file, raw samples on standard input, a microphone."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import typer

from services.cli.errors import CliError
from soundflow.audio import AudioError, AudioFormat, Chunk, Encoding
from soundflow.media import Media, open_media
from soundflow.media_readers import MediaInfo

STDIN, MICROPHONE = "-", "mic"
BLOCK_MS = 100
READ_BYTES = 4096
READ_AHEAD_BLOCKS = 20
# How files begin whose headers would otherwise be heard as noise.
_CONTAINERS = {b"RIFF": "WAV", b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3": "MP3"}


class Source(Protocol):
    """Raw audio, to be read once."""

    @property
    def audio_format(self) -> AudioFormat:
        """What the blocks hold."""
        ...

    @property
    def total_ms(self) -> int | None:
        """Length of it all; None where that is not known."""
        ...

    def blocks(self) -> AsyncGenerator[bytes, None]:
        """Give the audio as soon as it is there, cut anywhere."""
        ...


def title_of(name: str) -> str:
    """Say to a person what a source's name means."""
    return {STDIN: "standard input", MICROPHONE: "microphone"}.get(name, Path(name).name)


@contextmanager
def open_source(name: str, raw_format: AudioFormat, *, split_channels: bool) -> Iterator[Source]:
    """Open a file by its path, standard input (`-`) or the microphone (`mic`). CliError.

    `raw_format` is what `-` and `mic` give.
    """
    if name == STDIN:
        yield StdinSource(raw_format)
    elif name == MICROPHONE:
        yield MicrophoneSource(raw_format, _sounddevice())
    else:
        with open_file(Path(name)) as media:
            yield FileSource(name, media, channels=media.info.channels if split_channels else 1)


@contextmanager
def open_file(path: Path) -> Iterator[Media]:
    """Open a media file; say at the end what was wrong with it. CliError names it."""
    with ExitStack() as stack:
        with blaming(path):
            media = stack.enter_context(open_media(path))
        yield media
    for warning in media.warnings:
        typer.echo(f"soundflow: {path}: {warning.message}", err=True)


def probe(path: Path) -> MediaInfo:
    """Look what a media file is. CliError names it when it is none."""
    with blaming(path), open_media(path) as media:
        return media.info


@contextmanager
def blaming(path: Path | str) -> Iterator[None]:
    """Name the file in the errors of opening and reading it."""
    try:
        yield
    except AudioError as error:
        raise CliError(f"{path}: {error}") from error
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class FileSource:
    """An open media file, at 16 kHz; `channels` is 1 where they are mixed."""

    name: str
    media: Media
    channels: int

    @property
    def audio_format(self) -> AudioFormat:
        """Float, because that is what the file was decoded to."""
        return AudioFormat(Encoding.PCM_F32LE, channels=self.channels)

    @property
    def total_ms(self) -> int | None:
        """What the file's header says."""
        return self.media.info.duration_ms

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Decode the file. CliError when it turns out to be damaged."""
        with blaming(self.name):
            chunks = self.media.chunks([str(channel) for channel in range(self.channels)])
            while same_time := tuple(islice(chunks, self.channels)):
                yield _interleaved(same_time)


def _interleaved(same_time: tuple[Chunk, ...]) -> bytes:
    """Put one chunk of every channel side by side."""
    channels = [chunk.pcm[: chunk.samples] for chunk in same_time]
    return np.stack(channels, axis=1).astype("<f4").tobytes()


@dataclass(frozen=True, slots=True)
class StdinSource:
    """Raw samples from standard input."""

    audio_format: AudioFormat
    total_ms: None = None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Read until the end. CliError when there is none, or a file with a header."""
        if sys.stdin.isatty():
            raise CliError(
                "standard input is the keyboard; pipe raw audio into it, for instance: "
                "ffmpeg -i call.mp3 -f s16le -ar 16000 -ac 1 - | soundflow listen -"
            )
        inbox = Inbox(asyncio.get_running_loop())
        # A thread of its own, as a daemon: a read that never returns must not hold up the end.
        threading.Thread(target=self._pump, args=[inbox], daemon=True).start()
        first = data = await inbox.get()
        if not first:
            raise CliError("standard input held no audio")
        _refuse_container(first)
        while data:
            yield data
            data = await inbox.get()

    def _pump(self, inbox: "Inbox") -> None:
        """Pass on what is read; an empty block is the end."""
        # Not through sys.stdin: its lock would be held while the interpreter shuts down.
        while data := os.read(sys.stdin.fileno(), READ_BYTES):
            inbox.wait_for_room()
            inbox.put(data)
        inbox.put(b"")


def _refuse_container(first: bytes) -> None:
    for magic, container in _CONTAINERS.items():
        if first.startswith(magic):
            raise CliError(
                f"standard input holds a {container} file, and raw samples are expected; "
                "give the file's name instead"
            )


@dataclass(frozen=True, slots=True)
class MicrophoneSource:
    """The default input device, until interrupted."""

    audio_format: AudioFormat
    sounddevice: ModuleType
    total_ms: None = None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Record. CliError when the device cannot be opened like that."""
        inbox = Inbox(asyncio.get_running_loop())
        try:
            with self.sounddevice.RawInputStream(
                samplerate=self.audio_format.sample_rate_hz,
                channels=self.audio_format.channels,
                dtype="int16",
                blocksize=self.audio_format.sample_rate_hz * BLOCK_MS // 1000,
                callback=lambda data, *_: inbox.put(bytes(data)),
            ):
                while True:
                    yield await inbox.get()
        except (self.sounddevice.PortAudioError, ValueError) as error:
            raise CliError(f"the microphone cannot be opened: {error}") from error


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError as error:
        raise CliError(
            "the microphone needs one more package: pip install 'soundflow[mic]'"
        ) from error
    except OSError as error:  # the package is there, the library that it binds is not
        raise CliError(
            "the microphone needs the PortAudio library: on Debian and Ubuntu, "
            "sudo apt install libportaudio2; on Fedora, sudo dnf install portaudio"
        ) from error
    module: ModuleType = sounddevice
    return module


class Inbox:
    """Blocks on their way from a thread to the event loop, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._blocks = asyncio.Queue[bytes]()
        self._room = threading.Semaphore(READ_AHEAD_BLOCKS)

    def wait_for_room(self) -> None:
        """Hold the thread up while the loop is behind; for a thread that need not keep time."""
        self._room.acquire()

    def put(self, block: bytes) -> None:
        """Pass a block on, from the thread; dropped when the loop is gone."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._blocks.put_nowait, block)

    async def get(self) -> bytes:
        """Wait for the next block, in the loop."""
        block = await self._blocks.get()
        self._room.release()
        return block
