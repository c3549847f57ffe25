"""Response as a process: on Kafka, with the decoder on Triton and session records in Redis."""

from services.core import wire
from services.core.runner import Health, run
from services.inference.config import InferenceConfig
from services.inference.triton_replicas import TritonDecoderPool
from services.response.service import GROUP, ResponseService
from services.state.redis.config import RedisConfig
from services.state.redis.running import run_store
from services.transport.grpc_delivery import run_delivery
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.transport import KafkaTransport


async def serve(health: Health) -> None:
    """Work until cancelled."""
    kafka = KafkaTransport(KafkaConfig(), GROUP, [wire.DECISIONS, wire.SESSIONS])
    async with (
        run_store(RedisConfig()) as (store, records),
        TritonDecoderPool(InferenceConfig()) as decoders,
        run_delivery(store) as delivery,
        kafka.running(),
    ):
        service = ResponseService(
            decisions=kafka.topic(wire.DECISIONS),
            sessions=kafka.topic(wire.SESSIONS),
            responses=kafka.topic(wire.RESPONSES),
            store=store,
            records=records,
            decoders=decoders,
            delivery=delivery,
        )
        health.ready = True
        await service.run()


if __name__ == "__main__":
    run(GROUP, serve)
