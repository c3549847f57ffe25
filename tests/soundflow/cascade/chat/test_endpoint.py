import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from soundflow.cascade.chat import (
    ChatConfig,
    ChatUnavailable,
    EndpointChat,
    Message,
    Role,
    open_chat,
)

KEY = "sk-very-secret"
QUESTION = [Message(Role.USER, "Who are you?")]
Say = Callable[[str], Awaitable[None]]


@dataclass
class Endpoint:
    """A server that speaks the chat-completions wire format; `answer` is what it does next."""

    base_url: str = ""
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[web.StreamResponse, Say], Awaitable[None]] | None = None
    refusals: list[int] = field(default_factory=list)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.json())
        if self.refusals:
            error = {"error": {"message": f"the key {KEY} is no good", "type": "x"}}
            return web.json_response(error, status=self.refusals.pop(0))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def say(text: str) -> None:
            await response.write(event(delta={"content": text}))

        assert self.answer
        await self.answer(response, say)
        return response


def event(*, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "parrot",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


async def finish(response: web.StreamResponse) -> None:
    await response.write(event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n")


async def polly(response: web.StreamResponse, say: Say) -> None:
    for text in ("I am", " Polly", "."):
        await say(text)
    await finish(response)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(answer=polly)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.completions)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    endpoint.base_url = str(server.make_url("/v1"))
    yield endpoint
    await server.close()


@pytest.fixture
async def chat(endpoint: Endpoint) -> AsyncIterator[EndpointChat]:
    chat = EndpointChat(
        ChatConfig(base_url=endpoint.base_url, api_key=KEY, model="parrot", timeout_s=5)
    )
    yield chat
    await asyncio.to_thread(chat.close)


async def ask(chat: EndpointChat, cancelled: Event | None = None) -> list[str]:
    return await asyncio.to_thread(list, chat.reply(QUESTION, cancelled or Event()))


async def complaint(chat: EndpointChat) -> str:
    with pytest.raises(ChatUnavailable) as caught:
        await ask(chat)
    assert KEY not in str(caught.value)
    return str(caught.value)


async def test_the_answer_comes_in_the_pieces_that_the_server_sends(
    endpoint: Endpoint, chat: EndpointChat
) -> None:
    assert await ask(chat) == ["I am", " Polly", "."]


async def test_the_request_holds_key_model_prompt_and_question(
    endpoint: Endpoint, chat: EndpointChat
) -> None:
    await ask(chat)
    assert endpoint.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert endpoint.bodies[0] == {
        "model": "parrot",
        "stream": True,
        "max_tokens": ChatConfig().max_tokens,
        "messages": [
            {"role": "system", "content": ChatConfig().system_prompt},
            {"role": "user", "content": "Who are you?"},
        ],
    }


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "check the key"), (404, "model's name"), (429, "rate limit")]
)
async def test_a_refusal_says_what_to_do(
    endpoint: Endpoint, chat: EndpointChat, status: int, advice: str
) -> None:
    endpoint.refusals = [status] * 2
    message = await complaint(chat)
    assert advice in message
    assert endpoint.base_url in message


async def test_a_server_that_fails_once_is_asked_again(
    endpoint: Endpoint, chat: EndpointChat
) -> None:
    endpoint.refusals = [500]
    assert "".join(await ask(chat)) == "I am Polly."
    assert len(endpoint.requests) == 2


async def test_a_server_that_is_down_is_named() -> None:
    base_url = f"http://127.0.0.1:{unused_port()}/v1"
    chat = EndpointChat(ChatConfig(base_url=base_url, api_key=KEY, model="parrot"))
    message = await complaint(chat)
    assert base_url in message
    assert "is it running?" in message
    await asyncio.to_thread(chat.close)


async def test_a_stream_that_breaks_off_gives_what_came_and_then_the_error(
    endpoint: Endpoint, chat: EndpointChat
) -> None:
    async def broken(response: web.StreamResponse, say: Say) -> None:
        await say("I am")
        request = endpoint.requests[-1]
        assert request.transport
        request.transport.close()

    endpoint.answer = broken
    answer = chat.reply(QUESTION, Event())
    assert await asyncio.to_thread(next, answer) == "I am"
    with pytest.raises(ChatUnavailable, match=r"broke off.*is it running\?"):
        await asyncio.to_thread(list, answer)


async def test_a_stream_that_ends_without_its_end_mark_is_an_error(
    endpoint: Endpoint, chat: EndpointChat
) -> None:
    async def cut(response: web.StreamResponse, say: Say) -> None:
        await say("I am")

    endpoint.answer = cut
    assert "middle of an answer" in await complaint(chat)


@pytest.mark.parametrize("first", ["", "I am"])
@pytest.mark.parametrize("sign_of_life", [b"", b": still thinking\n\n"])
async def test_a_server_that_stalls_is_given_up(
    endpoint: Endpoint, chat: EndpointChat, first: str, sign_of_life: bytes
) -> None:
    release = asyncio.Event()

    async def stall(response: web.StreamResponse, say: Say) -> None:
        if first:
            await say(first)
        while not release.is_set():
            await response.write(sign_of_life)
            await asyncio.sleep(0.05)

    endpoint.answer = stall
    hasty = EndpointChat(ChatConfig(base_url=endpoint.base_url, api_key=KEY, timeout_s=0.3))
    async with asyncio.timeout(30):
        assert "did not answer in time" in await complaint(hasty)
    release.set()
    await asyncio.to_thread(hasty.close)


async def test_a_cancelled_answer_ends_and_hangs_up(endpoint: Endpoint, chat: EndpointChat) -> None:
    gone = asyncio.Event()

    async def ramble(response: web.StreamResponse, say: Say) -> None:
        try:
            while True:
                await say("and")
                await asyncio.sleep(0.01)
        finally:
            gone.set()

    endpoint.answer = ramble
    cancelled = Event()
    answer = chat.reply(QUESTION, cancelled)
    assert await asyncio.to_thread(next, answer) == "and"
    cancelled.set()
    await asyncio.to_thread(list, answer)
    async with asyncio.timeout(10):
        await gone.wait()


async def test_one_session_does_not_wait_for_another(
    endpoint: Endpoint, chat: EndpointChat
) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(response: web.StreamResponse, say: Say) -> None:
        asked.set()
        await release.wait()
        await polly(response, say)

    endpoint.answer = slow
    first = asyncio.create_task(ask(chat))
    await asked.wait()
    endpoint.answer = polly
    assert "".join(await ask(chat)) == "I am Polly."
    release.set()
    assert "".join(await first) == "I am Polly."


async def test_close_ends_the_answers_that_are_coming(endpoint: Endpoint) -> None:
    release = asyncio.Event()

    async def stall(response: web.StreamResponse, say: Say) -> None:
        await say("I am")
        await release.wait()

    endpoint.answer = stall
    chat = EndpointChat(ChatConfig(base_url=endpoint.base_url, timeout_s=60))
    answer = chat.reply(QUESTION, Event())
    assert await asyncio.to_thread(next, answer) == "I am"
    rest = asyncio.create_task(asyncio.to_thread(list, answer))
    await asyncio.to_thread(chat.close)
    assert await rest == []
    release.set()


def test_a_configured_endpoint_is_used_and_its_key_never_printed() -> None:
    config = ChatConfig(base_url="http://127.0.0.1:1/v1", api_key=KEY)
    chat = open_chat(config)
    chat.close()
    assert isinstance(chat, EndpointChat)
    assert KEY not in repr(config)
    assert config != replace(config, api_key="another")
