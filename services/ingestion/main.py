"""Ingestion as a process: callers' way in and back, on Kafka, with session records in Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services.core import wire
from services.core.runner import Health, RunnerConfig, run
from services.inference.config import InferenceConfig
from services.inference.triton_replicas import TritonDecoderPool
from services.ingestion.config import IngestionConfig
from services.ingestion.leases import check_renewal
from services.ingestion.servers import Addresses, run_servers
from services.ingestion.service import IngestionService
from services.state.redis.config import RedisConfig
from services.state.redis.running import run_store
from services.transport.grpc_delivery_server import DeliveryServer
from services.transport.grpc_holder import GrpcHolders
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.transport import KafkaTransport

GROUP = "ingestion"


async def serve(health: Health) -> None:
    """Work until cancelled; then let callers finish, or hand them over to other replicas.

    ValueError where settings do not fit each other.
    """
    config = IngestionConfig()
    check_stop(config.shutdown_grace_s, RunnerConfig().stop_within_s)
    replica = run_replica(config, InferenceConfig(), KafkaConfig(), RedisConfig())
    async with replica as (service, _):
        health.ready = True
        try:
            await asyncio.Event().wait()
        finally:
            await _drain(service)


@asynccontextmanager
async def run_replica(
    config: IngestionConfig, inference: InferenceConfig, kafka: KafkaConfig, redis: RedisConfig
) -> AsyncIterator[tuple[IngestionService, Addresses]]:
    """Serve callers until the context is left; yield the service, and where it listens.

    ValueError where settings do not fit each other.
    """
    check_renewal(config.lease_renew_s, redis.lease_s)
    async with TritonDecoderPool(inference) as decoders:
        model = decoders.info  # nothing else of them is needed here
    transport = KafkaTransport(kafka, GROUP)
    delivery = DeliveryServer(config.host, config.delivery_port)
    async with run_store(redis) as (store, records), transport.running():
        audio, responses = transport.topic(wire.AUDIO), transport.topic(wire.RESPONSES)
        service = IngestionService(
            audio=audio,
            sessions=transport.topic(wire.SESSIONS),
            store=store,
            records=records,
            model=model,
            config=config,
            responses=responses,
            audio_history=audio,
            address=config.delivery_address or f"{config.host}:{delivery.port}",
            holders=GrpcHolders(),
        )
        async with (
            delivery.serving(service),
            run_servers(service) as addresses,
            asyncio.TaskGroup() as tasks,
        ):
            # Not in this task: leases are kept until the last session has gone.
            running = tasks.create_task(service.run())
            try:
                yield service, addresses
            finally:
                running.cancel()


def check_stop(grace_s: float, within_s: float) -> None:
    """Raise ValueError where the process would be cut off before callers are handed over."""
    if grace_s >= within_s:
        raise ValueError(
            f"shutdown_grace_s (SOUNDFLOW_SHUTDOWN_GRACE_S) is {grace_s:g}, and a process is cut "
            f"off {within_s:g} s after its signal (SOUNDFLOW_STOP_WITHIN_S), so nobody would be "
            "handed over: make that some 10 s longer than the grace period"
        )


async def _drain(service: IngestionService) -> None:
    """Take nobody new; who is still here after the grace period goes on elsewhere."""
    service.drain()
    with suppress(TimeoutError):
        async with asyncio.timeout(service.config.shutdown_grace_s):
            await service.all_closed()
    await service.hand_over()


if __name__ == "__main__":
    run(GROUP, serve)
