"""What one process sends: acknowledged by the brokers, or an error that says what is wrong."""

import asyncio
import logging
import time
from collections.abc import Sequence

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from services.core import metrics
from services.core.errors import Failed, SoundFlowError, Unavailable
from services.transport.kafka.app import App
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.partition import partition_of

Headers = Sequence[tuple[str, bytes]]

log = logging.getLogger(__name__)


class Outbox:
    """Appends to topics, which are named without prefix here."""

    def __init__(self, config: KafkaConfig, app: App) -> None:
        self._config = config
        self._app = app

    async def send(self, name: str, key: bytes, value: bytes | None, headers: Headers = ()) -> int:
        """Append, and return the position once brokers keep it: the offset, plus one.

        Rides out brokers that restart. Unavailable when they stay away, Failed for a message that
        they refuse.
        """
        partition = partition_of(key, self._config.kafka_partitions)
        topic, timeout_s = self._config.topic(name), self._config.kafka_send_timeout_s
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                sent = await self._app.producer.send(
                    topic, key, value, partition, None, list(headers)
                )
                position: int = (await sent).offset + 1
        except TimeoutError as error:
            metrics.SEND_ERRORS.labels(name).inc()
            raise _unavailable(f"Kafka took nothing on {topic} for {timeout_s:g} s") from error
        except (ProducerSendError, KafkaError) as error:
            metrics.SEND_ERRORS.labels(name).inc()
            raise _refused(topic, error.__cause__ or error) from error
        metrics.MESSAGES_SENT.labels(name).inc()
        metrics.SEND_SECONDS.labels(name).observe(time.monotonic() - started_s)
        return position


def _refused(topic: str, cause: BaseException) -> SoundFlowError:
    if isinstance(cause, MessageSizeTooLargeError):
        log.error("a message for %s is too large: %s", topic, cause)
        return Failed()
    return _unavailable(f"Kafka takes no messages on {topic}: {cause}")


def _unavailable(message: str) -> Unavailable:
    return Unavailable("transport_unavailable", message)
