from soundflow.cascade.chat import ChatConfig, Message, Role
from soundflow.cascade.chat.history import recent

SYSTEM = Message(Role.SYSTEM, "be kind")


def words(text: str) -> int:
    return len(text.split())


def turn(number: int) -> list[Message]:
    return [
        Message(Role.USER, f"question {number}"),
        Message(Role.ASSISTANT, f"answer {number}"),
    ]


def test_only_the_newest_turns_are_kept_whole_and_in_order() -> None:
    messages = [message for number in range(5) for message in turn(number)]
    kept = recent(messages, ChatConfig(history_turns=2), words)
    assert kept[1:] == turn(3) + turn(4)


def test_turns_beyond_the_budget_are_dropped() -> None:
    messages = [SYSTEM, *turn(0), *turn(1), Message(Role.USER, "and now")]
    kept = recent(messages, ChatConfig(history_tokens=7), words)
    assert kept == [SYSTEM, *turn(1), Message(Role.USER, "and now")]


def test_the_newest_question_is_kept_at_any_length() -> None:
    question = Message(Role.USER, "word " * 1000)
    kept = recent([*turn(0), question], ChatConfig(history_tokens=10), words)
    assert kept[1:] == [question]


def test_a_conversation_without_a_system_message_gets_the_default_one() -> None:
    config = ChatConfig(system_prompt="be brief")
    assert recent(turn(0), config, words)[0] == Message(Role.SYSTEM, "be brief")
    assert recent([SYSTEM, *turn(0)], config, words) == [SYSTEM, *turn(0)]
