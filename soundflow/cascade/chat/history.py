"""How much of a conversation a model is shown."""

from collections.abc import Callable, Sequence

from soundflow.cascade.chat.port import ChatConfig, Message, Role


def recent(
    messages: Sequence[Message], config: ChatConfig, count_tokens: Callable[[str], int]
) -> list[Message]:
    """Return the system message, the given or the default one, and the newest turns that fit.

    A turn is a user's message with what was answered. The newest one is kept at any length: a
    question cut in two would get an answer to something else.
    """
    system = Message(Role.SYSTEM, config.system_prompt)
    if messages and messages[0].role is Role.SYSTEM:
        system, messages = messages[0], messages[1:]
    kept: list[Message] = []
    left_tokens = config.history_tokens
    for turn in reversed(_turns(messages)[-config.history_turns :]):
        left_tokens -= sum(count_tokens(message.text) for message in turn)
        if kept and left_tokens < 0:
            break
        kept = turn + kept
    return [system, *kept]


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    turns: list[list[Message]] = []
    for message in messages:
        if message.role is Role.USER or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns
