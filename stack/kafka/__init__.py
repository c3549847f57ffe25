"""A real Apache Kafka broker of one node: fetched from Maven Central, run by Java."""

from stack.kafka.jars import fetch, locate
from stack.kafka.server import KafkaServer

__all__ = ["KafkaServer", "fetch", "locate"]
