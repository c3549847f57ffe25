"""Recorded speech, through the real Whisper, to a chat endpoint, and its answers back."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soundflow.audio import CHUNK_SAMPLES
from soundflow.cascade.chat import ChatConfig
from soundflow.models import Model
from tests.end_to_end.clustered import Served
from tests.end_to_end.platform import running
from tests.end_to_end.recordings import PROMPTS, joined, pcm16, prompt, words_of

pytestmark = pytest.mark.models

CHUNK_BYTES = 2 * CHUNK_SAMPLES

# Not questions, but sentences that the smallest Whisper hears right.
SAID = ["conf-onlyperson", "conf-waitforleader"]


async def parrot(request: web.Request) -> web.StreamResponse:
    """Stream back what was said last and how often something was, as chat completions are."""
    said = [m["content"] for m in (await request.json())["messages"] if m["role"] == "user"]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for delta, finish in (
        ({"content": f"Message {len(said)}: "}, None),
        ({"content": said[-1]}, "stop"),
    ):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "parrot"}
        await response.write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


@pytest.fixture
async def chat_config() -> AsyncIterator[ChatConfig]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", parrot)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    yield ChatConfig(base_url=str(server.make_url("/v1")), model="parrot")
    await server.close()


async def test_what_is_said_is_answered_when_it_is_over_and_remembered(
    cascade: Model | Served,
) -> None:
    data = pcm16(joined(*(part for name in SAID for part in (prompt(name), 3.0))))
    # A busy machine may take its time; that must not be taken for a silent sender.
    async with (
        running(cascade, quiet_after_ms=10**6) as served,
        served.stream(abilities=["chat"]) as stream,
    ):
        for index in range(len(data) // CHUNK_BYTES):  # one by one, as a live call goes
            await stream.send(data[index * CHUNK_BYTES :][:CHUNK_BYTES])
            await stream.until("decision", chunk=index)
        await stream.send({"type": "audio.end"})
        await stream.rest()
    assert {ended["reason"] for ended in stream.of("response.ended")} == {"complete"}
    assert [started["kind"] for started in stream.of("response.started")] == ["answer", "answer"]
    answers = ["", ""]
    for text in stream.of("response.text"):
        answers[text["turn"] - 1] += text["text"]
    for answer, number, name in zip(answers, ("1", "2"), SAID, strict=True):
        assert words_of(answer) == ["message", number, *words_of(PROMPTS[name])]
