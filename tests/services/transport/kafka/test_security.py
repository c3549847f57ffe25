"""Brokers that ask who comes, and encrypt the way: our clients come in, strangers do not."""

import asyncio
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from services.core import wire
from services.core.errors import Unavailable
from services.transport.kafka import KafkaConfig, KafkaTransport
from services.transport.kafka.admin import Made, topic_admin
from services.transport.kafka.preflight import check_topics
from services.transport.kafka.replay import Replay
from tests.services.transport.kafka.cluster import PARTITIONS, said
from tests.services.transport.kafka.secured import PASSWORD, USER, SecuredKafka
from tests.waiting import DEADLINE_S

GROUP = "listeners"

# On a busy machine kafka-python leaves a TLS socket to the garbage collector now and then.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)

each_way_in = pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        ("SSL", "PLAIN"),
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
        ("SASL_SSL", "PLAIN"),
        ("SASL_SSL", "SCRAM-SHA-512"),
    ],
)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with SecuredKafka(tmp_path_factory.mktemp("secured")) as server:
        yield server
    gc.collect()  # here, not in others' tests


def config_for(secured: SecuredKafka, protocol: str, **settings: Any) -> KafkaConfig:
    given: dict[str, Any] = {
        "kafka_brokers": secured.brokers_for(protocol),
        "kafka_security_protocol": protocol,
        "kafka_partitions": PARTITIONS,
    }
    if protocol.endswith("SSL"):
        given["kafka_ca_file"] = str(secured.ca_file)
    if protocol.startswith("SASL"):
        given |= {"kafka_username": USER, "kafka_password": SecretStr(PASSWORD)}
    return KafkaConfig(**{**given, **settings})


@pytest.mark.kafka
@pytest.mark.filterwarnings(  # kafka-python leaves a connection that it still makes when it ends
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
@each_way_in
async def test_every_client_comes_in(secured: SecuredKafka, protocol: str, mechanism: str) -> None:
    prefix = f"{protocol}-{mechanism}"
    config = config_for(secured, protocol, kafka_sasl_mechanism=mechanism, topic_prefix=prefix)
    with topic_admin(config) as admin:
        assert set(admin.create(replication=1).values()) == {Made.CREATED}
    transport = KafkaTransport(config, GROUP, [wire.SESSIONS], carries=True)
    async with transport.running():
        topic = transport.topic(wire.SESSIONS)
        await topic.send(said("s", "hello"))
        received = await anext(topic.subscribe(GROUP))
        assert received.message == said("s", "hello")
        received.done()
        assert [kept.message async for kept in topic.read("s", 0)] == [said("s", "hello")]
    replayed = list(Replay(config, dry_run=False).topic(wire.SESSIONS.name, time.time() - 60))
    assert [each.key for each in replayed] == ["s"]


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("protocol", "wrong"),
    [
        ("SASL_PLAINTEXT", {"kafka_password": SecretStr("guessed")}),
        ("SASL_SSL", {"kafka_password": SecretStr("guessed")}),
        ("SSL", {"kafka_ca_file": ""}),
    ],
    ids=["password", "password over TLS", "authority"],
)
async def test_who_is_refused_is_told_so(
    secured: SecuredKafka, protocol: str, wrong: dict[str, Any]
) -> None:
    config = config_for(secured, protocol, kafka_send_timeout_s=1, **wrong)
    with pytest.raises(Unavailable, match="lets this process in"):
        async with KafkaTransport(config, GROUP, [wire.SESSIONS]).running():
            pass


@pytest.mark.kafka
def test_administration_is_refused_too(secured: SecuredKafka) -> None:
    config = config_for(secured, "SASL_PLAINTEXT", kafka_password=SecretStr("guessed"))
    with pytest.raises(Unavailable), topic_admin(config) as admin:
        admin.lag()


def test_a_user_without_a_password_is_refused_at_once() -> None:
    with pytest.raises(ValidationError, match="SOUNDFLOW_KAFKA_PASSWORD"):
        KafkaConfig(kafka_security_protocol="SASL_SSL", kafka_username=USER)


@pytest.mark.parametrize("holds", [None, "These are notes, no certificates.\n"])
async def test_a_file_without_authorities_is_named_at_once(
    tmp_path: Path, holds: str | None
) -> None:
    ca_file = tmp_path / "ca.pem"
    if holds:
        ca_file.write_text(holds)
    config = KafkaConfig(
        kafka_brokers="127.0.0.1:1", kafka_security_protocol="SSL", kafka_ca_file=str(ca_file)
    )
    async with asyncio.timeout(DEADLINE_S):  # half of what a broker that is away is waited for
        with pytest.raises(Unavailable, match=r"SOUNDFLOW_KAFKA_CA_FILE\) is .*ca\.pem"):
            await check_topics(config)
    with pytest.raises(Unavailable, match=r"ca\.pem"), topic_admin(config):
        pass
