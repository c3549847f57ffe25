"""`soundflow listen`: live audio to a running platform, and what it says about it."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager

from services.cli.client import Stream, open_stream
from services.cli.gauges import LatencyGauge
from services.cli.outcome import Outcome
from services.cli.output import Output
from services.cli.pacing import Pacer
from services.cli.sources import Source, open_source, title_of
from services.cli.timeline import choose_output
from soundflow.audio import AudioFormat
from soundflow.interaction import SessionSpec


def run_listen(
    name: str,
    servers: Sequence[str],
    spec: SessionSpec,
    *,
    raw_format: AudioFormat,
    split_channels: bool,
    as_json: bool,
) -> None:
    """Listen to a file, `-` or `mic` until it ends. CliError."""
    layout = "split" if split_channels else "mix"
    with open_source(name, raw_format, split_channels=split_channels) as source:
        channels = source.audio_format.channels if split_channels else 1
        with choose_output(
            title_of(name), LatencyGauge(), channels=channels, as_json=as_json
        ) as output:
            asyncio.run(listen(source, servers, spec, output, layout=layout))


async def listen(
    source: Source, servers: Sequence[str], spec: SessionSpec, output: Output, *, layout: str
) -> None:
    """Send the source at real speed and show the events until the session is closed.

    The first interrupt ends the audio, and what is left to say is waited for; the second one
    cancels. CliError.
    """
    outcome = Outcome()
    async with open_stream(servers, spec, source.audio_format, layout=layout) as stream:
        sending = asyncio.create_task(_send(source, stream, output))
        try:
            with _interrupts(sending):
                async for told in stream:
                    output.show(told)
                    outcome.take(told)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
    if not sending.cancelled():
        sending.result()
    outcome.check()


async def _send(source: Source, stream: Stream, output: Output) -> None:
    """Send all audio, then its end: also when an interrupt or an error makes an end of it."""
    try:
        async with aclosing(source.blocks()) as blocks:
            async for audio, position_ms in Pacer(source.audio_format).pace(blocks):
                await stream.send(audio)
                output.progress(position_ms, source.total_ms)
    finally:
        await stream.end()


@contextmanager
def _interrupts(sending: asyncio.Task[None]) -> Iterator[None]:
    """Let the first interrupt end the sending, and the second one all."""
    loop = asyncio.get_running_loop()
    everything = asyncio.current_task()
    assert everything is not None

    def interrupt() -> None:
        task = everything if sending.cancelling() or sending.done() else sending
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
