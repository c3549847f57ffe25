"""The talking half of the cascade: what answers a conversation, whichever model is behind it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event
from typing import Protocol

SYSTEM_PROMPT = (
    "You are a helpful voice assistant. You answer questions in one or two short sentences."
)


class ChatUnavailable(Exception):
    """The model did not answer, or not to the end; the message names it and says what to do."""


class Role(StrEnum):
    """Who speaks, in the words of the chat-completions protocol."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One utterance of a conversation, or, as its first message, how to behave in it."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """Which model answers, and how.

    base_url: an OpenAI-compatible endpoint, such as `http://127.0.0.1:11434/v1`; empty = the local
    model, which alone heeds `max_sentences` and all that follows it.
    timeout_s: the longest wait for the first words, and for each further piece.
    system_prompt: for conversations that do not begin with a system message.
    history_turns, history_tokens: how much of the past is sent along, at most.
    temperature: 0 = always the likeliest word.
    batch_size: how many sessions are answered in one run of the local model.
    """

    base_url: str = ""
    api_key: str = field(default="", repr=False)
    model: str = ""
    timeout_s: float = 10.0
    system_prompt: str = SYSTEM_PROMPT
    history_turns: int = 6
    history_tokens: int = 600
    max_tokens: int = 80
    max_sentences: int = 3
    temperature: float = 0.0
    repetition_penalty: float = 1.05
    intra_threads: int = 1
    batch_size: int = 8


class ChatModel(Protocol):
    """Answers conversations, those of many sessions side by side."""

    def reply(self, messages: Sequence[Message], cancelled: Event) -> Iterator[str]:
        """Stream the answer to the last message, piece by piece as it is made.

        Blocks between pieces, so it is for a thread of the caller's. Ends early, without an error,
        soon after `cancelled` is set, and when the caller closes the iterator. Raises
        ChatUnavailable.
        """
        ...

    def close(self) -> None:
        """Break off all answers and release threads and memory; no call follows."""
        ...
