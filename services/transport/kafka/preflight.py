"""Before anything runs: wait for a broker, and see that the topics are there."""

from collections.abc import Collection

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from services.core.errors import Unavailable
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.security import client_options
from services.transport.kafka.settings import wanted_topics


def patiently(config: KafkaConfig) -> AsyncRetrying:
    """Try to connect until a restarting broker must be back.

    A broker that refuses this process is for the client one that is away; its log says why.
    """
    return AsyncRetrying(
        retry=retry_if_exception_type((KafkaError, OSError)),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        stop=stop_after_delay(config.kafka_send_timeout_s),
        reraise=True,
    )


async def check_topics(config: KafkaConfig) -> None:
    """Unavailable when one of the platform's topics has other partitions, or is not there.

    Also those that a process only sends to: each send would wait for them, and say nothing.
    """
    topics = [topic.name for topic in wanted_topics(config, replication=1)]
    try:
        found = await _partitions(config, topics)
    except (KafkaError, OSError) as error:
        raise Unavailable(
            "transport_unavailable", f"no Kafka broker answers, or lets this process in: {error}"
        ) from error
    for topic in topics:
        if found[topic] != config.kafka_partitions:
            raise Unavailable(
                "transport_unavailable",
                f"{topic} has {found[topic]} partitions and not {config.kafka_partitions}; "
                "see: soundflow topics check",
            )


async def _partitions(config: KafkaConfig, topics: Collection[str]) -> dict[str, int]:
    async for attempt in patiently(config):
        with attempt:
            admin = AIOKafkaAdminClient(**client_options(config))
            try:
                await admin.start()
                described = await admin.describe_topics(list(topics))
            finally:
                await admin.close()
    return {topic["topic"]: len(topic["partitions"]) for topic in described}
