"""`make up`, whole: every part real, a call through all of them, nothing left after `make down`."""

import aiohttp
import pytest
from typer.testing import CliRunner

from stack.__main__ import app
from stack.settings import MODELS, SERVICES
from tests.cluster.platform import CLUSTER, Cluster
from tests.end_to_end.platform import Stream, tone
from tests.waiting import until

pytestmark = CLUSTER


async def call(cluster: Cluster, *, chunks: int) -> list[int]:
    """Call with so much audio; return the chunks that decisions came for, the tail's too."""
    url = f"{cluster.urls[0]}/v1/stream"
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


async def test_a_call_passes_through_all_parts(cluster: Cluster) -> None:
    assert await call(cluster, chunks=5) == [0, 1, 2, 3, 4, 5]


async def test_prometheus_sees_every_service_and_model(cluster: Cluster) -> None:
    settings = cluster.platform.settings
    wanted = {kind: len(settings.names(kind)) for kind in (*SERVICES, *MODELS)}

    def seen() -> bool:
        series = cluster.platform.parts.prometheus.query("count by (job) (up == 1)")
        return {labels["job"]: count for labels, count in series} == wanted

    await until(seen, within_s=60)


def test_ps_shows_all_parts_well(cluster: Cluster) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["ps", "--folder", str(cluster.platform.settings.folder)]
    )
    for part in cluster.platform.parts.all:
        line = next(one for one in shown.output.splitlines() if one.split()[:1] == [part.name])
        assert line.split()[1] in ("running", "starting") and " ok " in line


def test_up_twice_says_so(cluster: Cluster) -> None:
    again = CliRunner().invoke(app, ["up", "--folder", str(cluster.platform.settings.folder)])
    assert again.exit_code == 0
    assert "It is up already." in again.output
    assert f"{cluster.urls[0]}/" in again.output


@pytest.mark.parametrize("name", ["perception-0", "decoder-0", "redis", "kafka"])
async def test_after_a_kill_all_is_well_again(cluster: Cluster, name: str) -> None:
    killed = cluster.processes()[name]
    cluster.kill(name.split("-")[0])
    await until(lambda: cluster.processes().get(name, killed) not in (0, killed))
    await until(lambda: not cluster.ill(), within_s=60)
    assert await call(cluster, chunks=3) == [0, 1, 2, 3]
