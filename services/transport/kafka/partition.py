"""Which partition a session's messages are in: Kafka's own choice for its key, kept ready."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

_KNOWN = 4096  # more sessions than one process works on; each takes 270 bytes


@lru_cache(_KNOWN)  # hashing a key in Python costs more than the rest of a send
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that every Kafka client puts this key in."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions
