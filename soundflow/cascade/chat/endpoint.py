"""The chat model behind an OpenAI-compatible endpoint: vLLM, Ollama, a vendor."""

import asyncio
from collections.abc import Iterator, Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING, cast

from soundflow.cascade.chat.feed import Feed
from soundflow.cascade.chat.history import recent
from soundflow.cascade.chat.port import ChatConfig, ChatUnavailable, Message

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

# The endpoint's own tokenizer is not known; English has about four characters a token.
CHARACTERS_PER_TOKEN = 4
RETRIES = 1

ADVICE = {
    401: "it refused the API key; check the key",
    403: "it refused the API key; check the key and what it is allowed",
    404: "it does not know this model or path; check the model's name and the base URL",
    429: "it is over its rate limit or budget; wait, or raise the limit",
}


class EndpointChat:
    """One connection pool and one thread for all sessions, whatever their number."""

    def __init__(self, config: ChatConfig) -> None:
        # Only who has an endpoint needs the client; it would cost every start a second.
        from openai import AsyncOpenAI

        self._config = config
        self._client = AsyncOpenAI(
            base_url=config.base_url,
            api_key=config.api_key or "none",  # the client insists on one, local servers do not
            timeout=config.timeout_s,
            max_retries=RETRIES,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="endpoint-chat", daemon=True)
        self._thread.start()

    def reply(self, messages: Sequence[Message], cancelled: Event) -> Iterator[str]:
        """See `ChatModel.reply`."""
        feed = Feed()
        pump = asyncio.run_coroutine_threadsafe(self._pump(messages, feed), self._loop)
        try:
            yield from feed.read(cancelled)
        finally:
            pump.cancel()

    def close(self) -> None:
        """See `ChatModel.close`."""
        asyncio.run_coroutine_threadsafe(self._break_off(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _pump(self, messages: Sequence[Message], feed: Feed) -> None:
        try:
            await self._stream(messages, feed)
        except asyncio.CancelledError:
            feed.end()
            raise
        except ChatUnavailable as error:
            feed.end(error)
        # Beside the client's own errors, those of its HTTP library come through from a stream.
        except Exception as cause:
            unavailable = self._unavailable(_reason(cause))
            unavailable.__cause__ = cause
            feed.end(unavailable)
        else:
            feed.end()

    async def _stream(self, messages: Sequence[Message], feed: Feed) -> None:
        clock = asyncio.get_running_loop().time
        finished = False
        # The client's retries, the pauses a server asks for, and what it sends only to keep the
        # connection alive are inside this limit.
        async with asyncio.timeout(self._config.timeout_s) as limit:
            stream = await self._client.chat.completions.create(
                model=self._config.model,
                messages=self._shown(messages),
                max_tokens=self._config.max_tokens,
                stream=True,
            )
            async with stream:
                async for chunk in stream:
                    limit.reschedule(clock() + self._config.timeout_s)
                    for choice in chunk.choices:
                        feed.put(choice.delta.content or "")
                        finished = finished or choice.finish_reason is not None
        if not finished:
            raise self._unavailable("it broke off in the middle of an answer; ask again")

    def _shown(self, messages: Sequence[Message]) -> "list[ChatCompletionMessageParam]":
        shown = recent(messages, self._config, lambda text: len(text) // CHARACTERS_PER_TOKEN)
        params = [{"role": message.role.value, "content": message.text} for message in shown]
        return cast("list[ChatCompletionMessageParam]", params)

    def _unavailable(self, reason: str) -> ChatUnavailable:
        return ChatUnavailable(
            f"the chat endpoint {self._config.base_url} (model {self._config.model!r}): {reason}"
        )

    async def _break_off(self) -> None:
        pumps = asyncio.all_tasks() - {asyncio.current_task()}
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        await self._client.close()


def _reason(cause: Exception) -> str:
    """Say what is wrong and what to do, without the server's words: they may repeat the key."""
    from openai import APIStatusError, APITimeoutError

    if isinstance(cause, APIStatusError):
        return ADVICE.get(cause.status_code, f"it answered with HTTP status {cause.status_code}")
    if isinstance(cause, TimeoutError | APITimeoutError):
        return "it did not answer in time; is it overloaded?"
    return f"it cannot be reached, or broke off ({type(cause).__name__}); is it running?"
