"""Topics on Kafka: Faust consumes and produces, kafka-python administers."""

from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.transport import KafkaTransport

__all__ = ["KafkaConfig", "KafkaTransport"]
