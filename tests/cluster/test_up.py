"""`make up`, whole: every part real, a call through all of them, nothing left after `make down`."""

import os
import signal
from collections.abc import Iterator

import aiohttp
import pytest
from typer.testing import CliRunner

from stack.__main__ import app
from stack.parts import Parts
from stack.platform import Platform, marked
from stack.settings import MODELS, SERVICES, StackSettings
from tests.end_to_end.platform import Stream, tone
from tests.waiting import until

pytestmark = [
    *(pytest.mark.kafka, pytest.mark.redis, pytest.mark.triton, pytest.mark.prometheus),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform around the model that needs no weights."""
    folder = tmp_path_factory.mktemp("up") / "stack"
    platform = Platform(Parts(StackSettings(folder=folder, model="null").on_free_ports()))
    platform.up(print)
    yield platform
    platform.down()
    assert marked(folder) == []


async def call(platform: Platform, *, chunks: int) -> list[int]:
    """Call with so much audio; return the chunks that decisions came for, the tail's too."""
    port = platform.settings.ports["ingestion-0"]["http"]
    url = f"http://127.0.0.1:{port}/v1/stream"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:
        stream = Stream(socket)
        await stream.send({"type": "session.open"})
        await stream.until("session.opened")
        for chunk in range(chunks):
            await stream.send(tone(chunks=1))
            await stream.until("decision", chunk=chunk)
        await stream.send({"type": "audio.end"})
        await stream.until("session.closed", reason="complete")
        return [event["chunk"] for event in stream.of("decision")]


async def test_a_call_passes_through_all_parts(platform: Platform) -> None:
    assert await call(platform, chunks=5) == [0, 1, 2, 3, 4, 5]


async def test_prometheus_sees_every_service_and_model(platform: Platform) -> None:
    wanted = {(kind, 1.0, len(platform.settings.names(kind))) for kind in (*SERVICES, *MODELS)}

    def seen() -> bool:
        series = platform.parts.prometheus.query("count by (job) (up == 1)")
        return {(labels["job"], 1.0, int(count)) for labels, count in series} == wanted

    await until(seen, within_s=60)


def test_ps_shows_all_parts_well(platform: Platform) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["ps", "--folder", str(platform.settings.folder)]
    )
    for part in platform.parts.all:
        line = next(one for one in shown.output.splitlines() if one.split()[:1] == [part.name])
        assert line.split()[1] in ("running", "starting") and " ok " in line


def test_up_twice_says_so(platform: Platform) -> None:
    again = CliRunner().invoke(app, ["up", "--folder", str(platform.settings.folder)])
    assert again.exit_code == 0
    assert "It is up already." in again.output
    port = platform.settings.ports["ingestion-0"]["http"]
    assert f"http://127.0.0.1:{port}/" in again.output


@pytest.mark.parametrize("name", ["perception-0", "decoder-1", "redis", "kafka"])
async def test_after_a_kill_all_is_well_again(platform: Platform, name: str) -> None:
    killed = next(one.state.pid for one in platform.look() if one.server.name == name)
    os.killpg(killed, signal.SIGKILL)

    def well() -> bool:
        seen = platform.look()
        anew = all(one.state.pid != killed for one in seen)
        return anew and all(one.state.running and not one.health for one in seen)

    await until(well, within_s=120)
    assert await call(platform, chunks=3) == [0, 1, 2, 3]
