"""Carried states of partitions that go to other replicas while their sessions are worked on."""

from faust.types import TP

from services.core.wire import CARRIED
from services.state.carried import Carried
from services.transport.kafka.app import new_app
from services.transport.kafka.carried import CarriedTable
from services.transport.kafka.config import KafkaConfig
from tests.services.transport.kafka.cluster import PARTITIONS, sessions_of


async def test_what_is_put_while_its_partition_goes_is_not_kept() -> None:
    config = KafkaConfig(kafka_partitions=PARTITIONS)
    app = new_app(config, "perception", tables=True)

    async def send(name: str, key: bytes, value: bytes | None) -> int:
        raise AssertionError("nothing is to be written")

    table = CarriedTable(app, config, "perception", send)
    stays, goes = (TP(config.topic(CARRIED.name), partition) for partition in (0, 1))
    [kept], [moved] = sessions_of(0, 1), sessions_of(1, 1)
    table.assign({stays, goes})
    for session in (kept, moved):
        table.put(session, Carried(b"before", 1))
    table.suspend()
    await table._table.data.on_rebalance({stays}, {goes}, set())
    table.put(moved, Carried(b"late", 2))  # its chunk was being encoded
    table.assign({stays})
    assert table.sessions() == [kept]
