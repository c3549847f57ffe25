"""Decision as a process: on Kafka, with the decoder on Triton and session records in Redis."""

from services.core import wire
from services.core.runner import Health, run
from services.decision.placement import Placement
from services.decision.service import GROUP, DecisionService
from services.inference.config import InferenceConfig
from services.inference.triton_replicas import TritonDecoderPool
from services.state.redis.config import RedisConfig
from services.state.redis.running import run_store
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.transport import KafkaTransport


async def serve(health: Health) -> None:
    """Work until cancelled."""
    kafka = KafkaTransport(KafkaConfig(), GROUP, [wire.FEATURES, wire.SESSIONS])
    async with (
        run_store(RedisConfig()) as (store, records),
        TritonDecoderPool(InferenceConfig()) as decoders,
        kafka.running(),
    ):
        features = kafka.topic(wire.FEATURES)
        service = DecisionService(
            features=features,
            sessions=kafka.topic(wire.SESSIONS),
            decisions=kafka.topic(wire.DECISIONS),
            records=records,
            placement=Placement(store, decoders, features),
        )
        health.ready = True
        await service.run()


if __name__ == "__main__":
    run(GROUP, serve)
