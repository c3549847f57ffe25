import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

from soundflow import checkpoint
from soundflow.cascade.chat import ChatConfig, ChatUnavailable, LocalChat, Message, Role, open_chat
from soundflow.cascade.chat.local import MODEL, _Answer

# The questions are such that every atlas and nursery has the answer.
QUESTIONS = {
    "What is the capital of France?": "Paris",
    "What do bees make?": "honey",
    "What is the opposite of hot?": "cold",
}


@pytest.fixture(scope="module")
def chat() -> Iterator[LocalChat]:
    chat = LocalChat(ChatConfig())
    yield chat
    chat.close()


def ask(chat: LocalChat, question: str) -> str:
    return "".join(chat.reply([Message(Role.USER, question)], Event()))


@pytest.mark.models
def test_questions_of_several_sessions_get_each_its_own_answer(chat: LocalChat) -> None:
    with ThreadPoolExecutor(len(QUESTIONS)) as sessions:
        answers = list(sessions.map(lambda question: ask(chat, question), QUESTIONS))
    assert [fact in answer for fact, answer in zip(QUESTIONS.values(), answers, strict=True)] == [
        True
    ] * len(QUESTIONS)


@pytest.mark.models
def test_what_was_said_before_is_remembered(chat: LocalChat) -> None:
    messages = [
        Message(Role.USER, "What is the capital of France?"),
        Message(Role.ASSISTANT, "The capital of France is Paris."),
        Message(Role.USER, "And of Italy?"),
    ]
    assert "Rome" in "".join(chat.reply(messages, Event()))


@pytest.mark.models
def test_an_answer_comes_in_pieces_and_is_short() -> None:
    config = ChatConfig(max_tokens=12)
    chat = LocalChat(config)
    pieces = list(chat.reply([Message(Role.USER, "Tell me a long story.")], Event()))
    chat.close()
    assert 1 < len(pieces) <= config.max_tokens


@pytest.mark.models
def test_a_cancelled_answer_ends_without_an_error_and_the_next_is_given(chat: LocalChat) -> None:
    cancelled = Event()
    answer = chat.reply([Message(Role.USER, "Tell me a long story.")], cancelled)
    assert next(answer)
    cancelled.set()
    assert list(answer) == []
    assert "Paris" in ask(chat, "What is the capital of France?")


@pytest.mark.models
def test_a_failure_of_any_kind_is_told_and_the_next_question_answered(
    chat: LocalChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(answer: _Answer, step: object) -> bool:
        raise MemoryError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(_Answer, "hear", fail)
        with pytest.raises(ChatUnavailable, match=f"the local model {MODEL} failed: no room"):
            ask(chat, "What do bees make?")
    assert "Paris" in ask(chat, "What is the capital of France?")


@pytest.mark.models
def test_close_ends_the_answers_that_are_being_made() -> None:
    chat = LocalChat(ChatConfig(max_tokens=400, max_sentences=100))
    with ThreadPoolExecutor(1) as sessions:
        answer = chat.reply([Message(Role.USER, "Tell me all about the sea.")], Event())
        assert next(answer)
        rest = sessions.submit(list, answer)
        chat.close()
        rest.result(timeout=30)


@pytest.mark.models
def test_characters_of_several_bytes_come_out_whole() -> None:
    text = "naïve café, 你好, 👋🏽 done"
    tokenizer = Tokenizer.from_file(str(checkpoint.locate(MODEL) / "tokenizer.json"))
    token_ids = tokenizer.encode(text, add_special_tokens=False).ids
    answer = _Answer([], tokenizer, max_sentences=1)
    for token_id in token_ids:
        answer.hear(SimpleNamespace(token_id=token_id, is_last=token_id is token_ids[-1]))
    pieces = list(answer.feed.read(Event()))
    assert "".join(pieces) == text
    assert len(pieces) < len(token_ids)  # some tokens are but a part of a character


@pytest.mark.models
def test_a_process_that_has_just_been_answered_ends_cleanly() -> None:
    program = (
        "from threading import Event\n"
        "from soundflow.cascade.chat import *\n"
        "chat = open_chat(ChatConfig(max_tokens=5))\n"
        "list(chat.reply([Message(Role.USER, 'Hello')], Event()))\n"
        "chat.close()\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_model_that_was_not_fetched_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_MODELS", str(tmp_path))
    with pytest.raises(checkpoint.ModelMissing, match=f"fetch {MODEL}"):
        open_chat(ChatConfig())
