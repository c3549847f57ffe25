"""The chat model that needs nothing: SmolLM2 on this machine's processor."""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Condition, Event, Thread

import ctranslate2
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from soundflow import checkpoint
from soundflow.cascade.chat.feed import Feed
from soundflow.cascade.chat.history import recent
from soundflow.cascade.chat.port import ChatConfig, ChatUnavailable, Message, Role
from soundflow.cascade.chat.spoken import SpokenAnswer

MODEL = "smollm2-135m-instruct"
TURN_END = "<|im_end|>"

# So small a model learns its manner from being shown, not from being told.
EXAMPLES = (
    Message(Role.USER, "What is the largest ocean?"),
    Message(Role.ASSISTANT, "The largest ocean is the Pacific Ocean."),
    Message(Role.USER, "My phone will not turn on. What should I do?"),
    Message(
        Role.ASSISTANT, "Charge it for half an hour, then hold the power button for ten seconds."
    ),
)


class LocalChat:
    """One model and one thread for all sessions.

    Answers that wait are made together, up to `batch_size` at once: eight take little longer than
    two. One that comes while others are being made waits until the last of those is finished,
    which takes at most as long as `max_tokens` do.
    """

    def __init__(self, config: ChatConfig, folder: Path | None = None) -> None:
        """Load the model from `folder`, by default from the models' cache.

        Raises `checkpoint.CheckpointError`.
        """
        folder = folder or checkpoint.locate(MODEL)
        self._config = config
        generator = ctranslate2.Generator(
            str(folder), compute_type="int8", inter_threads=1, intra_threads=config.intra_threads
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._changed = Condition()
        self._waiting: deque[_Answer] = deque()
        self._closed = False
        # The thread owns the model, so that `close` outlives it: a process that ends while the
        # model's own threads still hold a callback is aborted.
        self._worker = Thread(target=self._work, args=(generator,), name="local-chat", daemon=True)
        self._worker.start()

    def reply(self, messages: Sequence[Message], cancelled: Event) -> Iterator[str]:
        """See `ChatModel.reply`."""
        answer = _Answer(self._prompt(messages), self._tokenizer, self._config.max_sentences)
        with self._changed:
            self._waiting.append(answer)
            self._changed.notify()
        try:
            yield from answer.feed.read(cancelled)
        finally:
            answer.given_up = True

    def close(self) -> None:
        """See `ChatModel.close`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._worker.join()

    def _prompt(self, messages: Sequence[Message]) -> list[str]:
        system, *turns = recent(messages, self._config, lambda text: len(self._tokens(text)))
        said = "".join(
            f"<|im_start|>{message.role}\n{message.text}{TURN_END}\n"
            for message in (system, *EXAMPLES, *turns)
        )
        return self._tokens(f"{said}<|im_start|>{Role.ASSISTANT}\n")

    def _tokens(self, text: str) -> list[str]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def _work(self, generator: ctranslate2.Generator) -> None:
        while answers := self._next_answers():
            self._make(generator, answers)

    def _next_answers(self) -> "list[_Answer]":
        """Wait for answers to make, and take those that wait; none when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                for answer in self._waiting:
                    answer.feed.end()
                return []
            count = min(len(self._waiting), self._config.batch_size)
            return [self._waiting.popleft() for _ in range(count)]

    def _make(self, generator: ctranslate2.Generator, answers: "list[_Answer]") -> None:
        answers = [answer for answer in answers if not answer.given_up]
        if not answers:
            return

        def hear(step: ctranslate2.GenerationStepResult) -> bool:
            return self._closed or answers[step.batch_id].hear(step)

        error = None
        try:
            generator.generate_batch(
                [answer.prompt for answer in answers],
                callback=hear,
                max_length=self._config.max_tokens,
                include_prompt_in_result=False,
                end_token=TURN_END,
                sampling_topk=20 if self._config.temperature else 1,
                sampling_temperature=self._config.temperature or 1.0,
                repetition_penalty=self._config.repetition_penalty,
            )
        except Exception as cause:  # whatever it is: without its thread nobody is answered again
            error = ChatUnavailable(f"the local model {MODEL} failed: {cause}")
            error.__cause__ = cause
        for answer in answers:
            answer.feed.end(error)


class _Answer:
    """One answer in the making. The worker calls `hear`; the reader sets `given_up`."""

    def __init__(self, prompt: list[str], tokenizer: Tokenizer, max_sentences: int) -> None:
        self.prompt = prompt
        self.feed = Feed()
        self.given_up = False
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._spoken = SpokenAnswer(max_sentences)

    def hear(self, step: ctranslate2.GenerationStepResult) -> bool:
        """Take the next token; True when no more is wanted."""
        # A character of several bytes comes out with its last one.
        text = self._decoder.step(self._tokenizer, step.token_id) or ""
        self.feed.put(self._spoken.take(text))
        if self._spoken.over or step.is_last:
            self.feed.end()  # the reader need not wait for the others of the batch
        return self._spoken.over or self.given_up
