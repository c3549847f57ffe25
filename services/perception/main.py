"""Perception as a process: on Kafka, with the encoder on Triton."""

from services.core import wire
from services.core.runner import Health, run
from services.inference.config import InferenceConfig
from services.inference.triton_encoder import TritonEncoder
from services.perception.service import GROUP, PerceptionService
from services.transport.kafka.config import KafkaConfig
from services.transport.kafka.transport import KafkaTransport


async def serve(health: Health) -> None:
    """Work until cancelled."""
    kafka = KafkaTransport(KafkaConfig(), GROUP, [wire.AUDIO, wire.SESSIONS], carries=True)
    async with TritonEncoder(InferenceConfig()) as encoder, kafka.running():
        service = PerceptionService(
            audio=kafka.topic(wire.AUDIO),
            sessions=kafka.topic(wire.SESSIONS),
            features=kafka.topic(wire.FEATURES),
            encoder=encoder,
            carried=kafka.carried_states(),
        )
        health.ready = True
        await service.run()


if __name__ == "__main__":
    run(GROUP, serve)
