"""What every broker of the platform is told, on one machine or on many."""

from collections.abc import Mapping

# A service's replica that is gone costs its callers this pause: as its consumers are told.
CONSUMER_SESSION_TIMEOUT_S = 2

# A killed broker is taken for dead, and may come back, after 2 s and not 9. The time-outs of
# controller.quorum.* stay as they are: lowered, a busy machine's controller gets stuck for good.
BROKER: Mapping[str, str] = {
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "group.initial.rebalance.delay.ms": "0",
    # So short a session timeout is refused without this: 6 s is the least then.
    "group.min.session.timeout.ms": "1000",
    # Whoever takes over sessions reads what of their states is not compacted yet: 15 s of it else.
    "log.cleaner.backoff.ms": "1000",
}

# One node holds the only copy of everything, Kafka's own topics too.
ONE_NODE: Mapping[str, str] = {
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # After a kill every partition's log is read again before the broker serves any.
    "offsets.topic.num.partitions": "8",
    "num.recovery.threads.per.data.dir": "4",
}
