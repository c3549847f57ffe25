"""Ingestion as a process: callers' way in and back, on Kafka, with session records in Redis."""

import asyncio
from contextlib import suppress

from services.core import wire
from services.core.runner import Health, run
from services.inference.config import InferenceConfig
from services.inference.triton import run_decoders
from services.ingestion.config import IngestionConfig
from services.ingestion.servers import run_servers
from services.ingestion.service import IngestionService
from services.state.redis.config import RedisConfig
from services.state.redis.running import run_store
from services.transport.grpc_delivery_server import DeliveryServer
from services.transport.grpc_holder import GrpcHolders
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.transport import KafkaTransport

GROUP = "ingestion"


async def serve(health: Health) -> None:
    """Work until cancelled; then let callers finish, or hand them over to other replicas."""
    config = IngestionConfig()
    async with run_decoders(InferenceConfig()) as decoders:
        model = decoders.info  # nothing else of them is needed here
    kafka = KafkaTransport(KafkaConfig(), GROUP)
    delivery = DeliveryServer(config.host, config.delivery_port)
    async with run_store(RedisConfig()) as (store, records), kafka.running():
        audio, responses = kafka.topic(wire.AUDIO), kafka.topic(wire.RESPONSES)
        service = IngestionService(
            audio=audio,
            sessions=kafka.topic(wire.SESSIONS),
            store=store,
            records=records,
            model=model,
            config=config,
            responses=responses,
            audio_history=audio,
            address=config.delivery_address or f"{config.host}:{delivery.port}",
            holders=GrpcHolders(),
        )
        async with delivery.serving(service), run_servers(service), asyncio.TaskGroup() as tasks:
            # Not in this task: leases are kept until the last session has gone.
            running = tasks.create_task(service.run())
            health.ready = True
            try:
                await asyncio.Event().wait()
            finally:
                await _drain(service)
                running.cancel()


async def _drain(service: IngestionService) -> None:
    """Take nobody new; who is still here after the grace period goes on elsewhere."""
    service.drain()
    with suppress(TimeoutError):
        async with asyncio.timeout(service.config.shutdown_grace_s):
            await service.all_closed()
    await service.hand_over()


if __name__ == "__main__":
    run(GROUP, serve)
