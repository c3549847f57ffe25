"""How Redis is reached: over lossy networks, with passwords and TLS, as a cluster."""

import asyncio
import dataclasses
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError

from services.core.errors import Unavailable
from services.state.port import SessionRecord
from services.state.redis import RedisConfig, RedisSessionStore
from stack.ports import CHOICE, free_ports
from stack.redis import RedisServer
from tests.services.state.conftest import expired
from tests.services.state.lossy_proxy import Loss, LossyProxy, lossy
from tests.services.state.test_session_store import RECORD, close, numbered, take_over, unwritten
from tests.waiting import until

pytestmark = pytest.mark.redis


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[LossyProxy]:
    async with lossy(redis_server.ports["redis"]) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: LossyProxy, prefix: str) -> AsyncIterator[RedisSessionStore]:
    store = a_store(f"redis://127.0.0.1:{proxy.port}/0", prefix)
    await store.check()
    yield store
    await store.close()


def a_store(url: str, prefix: str = "soundflow") -> RedisSessionStore:
    return RedisSessionStore(
        RedisConfig(redis_url=SecretStr(url), redis_prefix=prefix, capacity=2, lease_s=0.4)
    )


def more(record: SessionRecord) -> SessionRecord:
    return dataclasses.replace(record, window_start=record.window_start + 1)


@pytest.mark.parametrize("loss", [Loss.BROKEN, Loss.SILENT])
async def test_a_write_whose_answer_is_lost_is_made_once(
    store: RedisSessionStore, proxy: LossyProxy, loss: Loss
) -> None:
    await store.create(RECORD)
    proxy.losses = [loss]
    assert (await store.update("s-1", more)).window_start == 1
    assert not proxy.losses
    assert (await store.get("s-1")).window_start == 1
    assert (await store.update("s-1", more)).window_start == 2


@pytest.mark.parametrize("losses", [[Loss.BROKEN], [Loss.NONE, Loss.BROKEN]])
async def test_a_create_whose_answer_is_lost_is_no_other_session(
    store: RedisSessionStore, proxy: LossyProxy, losses: list[Loss]
) -> None:
    await store.create(numbered(0))  # so that the scripts are loaded
    proxy.losses = list(losses)  # of the place, or of the record
    await store.create(RECORD)
    assert not proxy.losses
    assert unwritten(await store.get("s-1")) == RECORD


async def test_a_connection_that_is_never_answered_is_given_up(
    store: RedisSessionStore, proxy: LossyProxy
) -> None:
    await store.create(RECORD)
    proxy.losses = [Loss.SILENT] * 1000
    with pytest.raises(Unavailable):
        await store.update("s-1", more)
    proxy.losses = []
    assert (await store.get("s-1")).window_start == 1  # it was made, and nobody was told


async def works(store: RedisSessionStore) -> None:
    """Do all that a store does, once."""
    await store.check()
    await store.create(numbered(0))
    await store.create(numbered(1))
    await store.update("s-0", take_over, epoch=0)
    assert await store.renew({"s-0": 1, "s-1": 0, "s-2": 0}) == {"s-2"}
    store._kept_since_s = float("-inf")
    assert await store.renew({"s-0": 1}) == frozenset()
    await store.update("s-0", close)
    await store.create(numbered(2))
    assert (await store.get("s-0")).closed == "complete"


class Secured(RedisServer):
    """One with a password."""

    def command(self) -> Sequence[str]:
        return [*super().command(), "--requirepass", "s3cret/+"]

    def check(self) -> None:
        """It answers, though it wants a password."""
        with suppress(AuthenticationError):
            super().check()


PASSWORD = "s3cret%2F%2B"  # as a URL writes it


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    with Secured(tmp_path / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost, signed by itself, with its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


async def test_the_url_may_hold_a_password(secured: Secured) -> None:
    address = f"127.0.0.1:{secured.ports['redis']}/0"
    store = a_store(f"redis://:{PASSWORD}@{address}")
    await works(store)
    await store.close()
    for url in (f"redis://{address}", f"redis://:wrong@{address}"):
        await is_refused(url)


async def test_the_url_may_ask_for_tls(secured: Secured, certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with lossy(secured.ports["redis"], tls=tls) as proxy:
        url = f"rediss://default:{PASSWORD}@localhost:{proxy.port}/1"
        store = a_store(f"{url}?ssl_ca_certs={certificate}")
        await works(store)
        await store.close()
        await is_refused(url)  # signed by an authority that nobody knows


async def is_refused(url: str) -> None:
    store = a_store(url)
    with pytest.raises(Unavailable):
        await store.check()
    await store.close()


# Nodes talk to each other so far above the port of their clients.
BUS = 10_000


class Node(RedisServer):
    """One of a cluster's."""

    def __init__(self, folder: Path) -> None:
        # The bus, too, has to be where no outgoing connection can have been.
        ports = iter(lambda: free_ports(1)[0], None)
        super().__init__(folder, next(port for port in ports if port + BUS in CHOICE))

    def command(self) -> Sequence[str]:
        return [*super().command(), "--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]

    def ask(self, *words: str | int) -> Any:
        with Redis.from_url(self.url) as redis:
            return redis.execute_command(*words)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[list[Node]]:
    with ExitStack() as started:
        nodes = [started.enter_context(Node(tmp_path / str(number))) for number in range(3)]
        for number, node in enumerate(nodes):
            node.ask("CLUSTER", "ADDSLOTS", *range(number * 16384 // 3, (number + 1) * 16384 // 3))
            if node is not nodes[0]:
                node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].ports["redis"])
        await until(lambda: all(_knows_all(node) for node in nodes))
        yield nodes


def _knows_all(node: Node) -> bool:
    info: dict[str, str] = node.ask("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"


async def test_a_cluster_spreads_the_records(cluster: list[Node]) -> None:
    config = RedisConfig(
        redis_url=SecretStr(cluster[0].url), redis_cluster=True, capacity=100, lease_s=0.4
    )
    store = RedisSessionStore(config)
    for number in range(90):
        await store.create(numbered(number))
    assert all(node.ask("DBSIZE") > 10 for node in cluster)
    await asyncio.gather(*(store.update(f"s-{number}", more) for number in range(90)))
    store._kept_since_s = float("-inf")
    assert await store.renew(dict.fromkeys((f"s-{number}" for number in range(90)), 0)) == set()
    await expired(store, count=90)
    for number in range(90):
        await store.update(f"s-{number}", close, epoch=0)
    await store.close()
    store = RedisSessionStore(config.model_copy(update={"capacity": 2, "redis_prefix": "other"}))
    await works(store)
    await store.close()
