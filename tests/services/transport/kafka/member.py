"""One process of a consumer group, for tests that end it: a line for each message it receives.

python -m tests.services.transport.kafka.member NAME: settings come from SOUNDFLOW_… variables. It
carries a state for each session: how many messages it has seen, before this one.
"""

import asyncio
import sys

from services.core import wire
from services.core.messages import SessionMessage
from services.state.carried import Carried
from services.transport.kafka import KafkaConfig, KafkaTransport
from tests.services.transport.kafka.cluster import text_of

GROUP = "members"


async def main(name: str) -> None:
    """Receive until ended; the topics of a session must come to the same member."""
    follows = (wire.SESSIONS, wire.RESPONSES)
    transport = KafkaTransport(KafkaConfig(), GROUP, follows, carries=True)
    states = transport.carried_states()

    async def follow() -> None:
        async for received in transport.topic(wire.SESSIONS).subscribe(GROUP):
            message: SessionMessage = received.message
            carried = states.get(message.session_id)
            seen = carried.next_index if carried else 0
            print(name, "session", message.session_id, text_of(message), seen, flush=True)
            index = int(text_of(message)) + 1
            states.put(message.session_id, Carried(b"state", index))
            received.done()

    async def follow_beside() -> None:
        async for received in transport.topic(wire.RESPONSES).subscribe(GROUP):
            print(name, "response", received.message.session_id, "-", "-", flush=True)
            received.done()

    async with transport.running(), asyncio.TaskGroup() as tasks:
        print(name, "ready", "-", "-", "-", flush=True)
        tasks.create_task(follow())
        tasks.create_task(follow_beside())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
