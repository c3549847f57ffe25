"""A recorded question, through the real Whisper, to an endpoint, and the endpoint's answer back."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soundflow.cascade.chat import ChatConfig
from soundflow.models import Model
from tests.end_to_end.platform import running
from tests.end_to_end.recordings import PROMPTS, joined, pcm16, prompt, words_of

pytestmark = pytest.mark.models

QUESTION = "vm-savefolder"


async def parrot(request: web.Request) -> web.StreamResponse:
    """Stream the last message back, in the words of the chat-completions protocol."""
    asked = (await request.json())["messages"][-1]["content"]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for delta, finish in (({"content": "You asked: "}, None), ({"content": asked}, "stop")):
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


async def test_a_spoken_question_is_answered_when_it_is_over(cascade: Model) -> None:
    data = pcm16(joined(prompt(QUESTION), 4.0))
    async with running(cascade) as served, served.stream(abilities=["chat"]) as stream:
        await stream.send(data)
        answered = await stream.until("response.ended")
        await stream.send({"type": "audio.end"})
        await stream.rest()
    [started] = stream.of("response.started")
    assert (started["kind"], answered["reason"]) == ("answer", "complete")
    said = words_of("".join(text["text"] for text in stream.of("response.text")))
    known = ["you", "asked", *words_of(PROMPTS[QUESTION])]
    misheard = [pair for pair in zip(said, known, strict=True) if len(set(pair)) > 1]
    assert len(misheard) <= 1  # so small a Whisper may be wrong about a word
