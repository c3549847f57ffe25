"""Two processes of one group on a real broker: what they share, and what one leaves behind."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import pytest

from services.core import wire
from services.core.events import CallerEvent, ErrorEvent
from services.transport.kafka import KafkaConfig, KafkaTransport
from stack.kafka import KafkaServer
from tests.services.transport.kafka.cluster import fresh_config, said
from tests.waiting import until

pytestmark = pytest.mark.kafka

SESSIONS = [f"session-{number}" for number in range(16)]
TAKEN_OVER_WITHIN_S = 15.0  # 3 s where the machine has nothing else to do


class Line(NamedTuple):
    member: str
    topic: str
    session: str
    text: str
    seen: str


@asynccontextmanager
async def member(config: KafkaConfig, name: str, lines: list[Line]) -> AsyncIterator[Process]:
    """Run a member, gathering its lines."""
    env = os.environ | {
        "SOUNDFLOW_KAFKA_BROKERS": config.kafka_brokers,
        "SOUNDFLOW_TOPIC_PREFIX": config.topic_prefix,
        "SOUNDFLOW_KAFKA_PARTITIONS": str(config.kafka_partitions),
        "SOUNDFLOW_KAFKA_SESSION_TIMEOUT_S": str(config.kafka_session_timeout_s),
    }
    command = [sys.executable, "-m", "tests.services.transport.kafka.member", name]
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=PIPE)

    async def gather() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):  # a member that is killed may leave half a line
                lines.append(Line(*line.decode().split()))

    gathering = asyncio.create_task(gather())
    try:
        await until(lambda: any(each.member == name for each in lines))
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await gathering


class Speaker:
    """Sends each session its numbers 0, 1, 2 … in turn, in both topics, until stopped."""

    def __init__(self, transport: KafkaTransport) -> None:
        self._sessions = transport.topic(wire.SESSIONS)
        self._responses = transport.topic(wire.RESPONSES)
        self.next = 0

    async def run(self) -> None:
        while True:
            for session in SESSIONS:
                await self._sessions.send(said(session, str(self.next)))
                await self._responses.send(CallerEvent(session, ErrorEvent("a", "b")))
            self.next += 1
            await asyncio.sleep(0.1)


def owners(lines: list[Line]) -> dict[str, set[str]]:
    """Return which members heard each session."""
    heard: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if line.session in SESSIONS:
            heard[line.session].add(line.member)
    return heard


def is_shared(lines: list[Line]) -> bool:
    """Say whether, of late, both members have sessions and each session has one member."""
    recent = owners(lines[-6 * len(SESSIONS) :])
    members = {name for names in recent.values() for name in names}
    return len(members) == 2 and all(len(names) == 1 for names in recent.values())


async def test_a_killed_members_sessions_go_on_elsewhere_with_their_states(
    kafka: KafkaServer,
) -> None:
    config = fresh_config(kafka.brokers)
    lines: list[Line] = []
    sender = KafkaTransport(config, "speaker")
    async with sender.running(), member(config, "a", lines), member(config, "b", lines) as b:
        speaker = Speaker(sender)
        speaking = asyncio.create_task(speaker.run())
        await until(lambda: is_shared(lines))
        moved = {name for name, of in owners(lines[-3 * len(SESSIONS) :]).items() if of == {"b"}}
        assert moved

        b.kill()
        killed_at, killed_s = len(lines), asyncio.get_running_loop().time()
        await until(
            lambda: moved <= {n for n, of in owners(lines[killed_at:]).items() if "a" in of}
        )
        assert asyncio.get_running_loop().time() - killed_s < TAKEN_OVER_WITHIN_S

        speaking.cancel()
        last = speaker.next - 1
        await until(lambda: heard(lines, last) == set(SESSIONS))
    for session in SESSIONS:
        mine = [each for each in lines if (each.session, each.topic) == (session, "session")]
        assert {int(each.text) for each in mine} >= set(range(last + 1))  # none is lost
        # A state is never behind its message; ahead of it, the message is a repeat.
        assert all(int(each.seen) >= int(each.text) for each in mine)
        assert any(int(each.seen) > 0 for each in mine)


def heard(lines: list[Line], number: int) -> set[str]:
    return {each.session for each in lines if each.text == str(number)}


async def test_all_topics_of_a_session_come_to_the_same_member(kafka: KafkaServer) -> None:
    config = fresh_config(kafka.brokers)
    lines: list[Line] = []
    sender = KafkaTransport(config, "speaker")
    async with sender.running(), member(config, "a", lines), member(config, "b", lines):
        speaking = asyncio.create_task(Speaker(sender).run())
        await until(lambda: is_shared(lines))
        speaking.cancel()
        await asyncio.sleep(0.5)
    recent = [each for each in lines if each.session in SESSIONS][-6 * len(SESSIONS) :]
    assert {each.topic for each in recent} == {"session", "response"}
    assert all(len(members) == 1 for members in owners(recent).values())
