"""The cascade behind the decoder's interface: rules for each session, shared parts beneath."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar, TypeVarTuple

from soundflow.cascade.chat import ChatConfig, ChatModel, ChatUnavailable, open_chat
from soundflow.cascade.session import CascadeSession, Parts
from soundflow.cascade.turn_end import TurnEnd
from soundflow.cascade.whisper import WhisperRuntime
from soundflow.checkpoint import CheckpointError
from soundflow.decoder import Stepped
from soundflow.features import Features
from soundflow.interaction import Ability, ModelInfo, PastTurn, SessionSpec

REPLY_THREADS = 32  # they wait for the chat model, which makes replies elsewhere
# Turn ends are scored apart from them: where the chat model hangs, those who ask it nothing are
# heard. A score is 25 ms of work.
SCORE_THREADS = 2

Result = TypeVar("Result")
Args = TypeVarTuple("Args")


class _Lazy:
    """The chat model, loaded when the first question comes: most sessions never ask one."""

    def __init__(self, config: ChatConfig) -> None:
        self._config = config
        self._lock = Lock()
        self._model: ChatModel | None = None

    def __call__(self) -> ChatModel:
        """Return the model. ChatUnavailable when it is not on this disk."""
        with self._lock:
            try:
                self._model = self._model or open_chat(self._config)
            except CheckpointError as error:
                raise ChatUnavailable(str(error)) from error
            return self._model

    def close(self) -> None:
        """Release the model, if it was loaded."""
        if self._model:
            self._model.close()


class CascadeDecoder:
    """Implement `soundflow.decoder.Decoder[CascadeSession]`.

    Nothing here waits for a model: Whisper, the chat model and the turn-end score run on threads of
    their own, and a session is stepped again when they have something.
    """

    def __init__(self, whisper: WhisperRuntime, turn_end: TurnEnd, chat: ChatConfig) -> None:
        self.info = ModelInfo("cascade", frozenset(Ability), whisper.languages)
        self.counts: Mapping[str, int] = {}
        self._replies = ThreadPoolExecutor(REPLY_THREADS, thread_name_prefix="reply")
        self._scores = ThreadPoolExecutor(SCORE_THREADS, thread_name_prefix="turn-end")
        self._whisper = whisper
        self._chat = _Lazy(chat)
        self._parts = Parts(whisper, self._chat, turn_end, self._replies, self._scores)
        self._ready: Callable[[CascadeSession], None] = lambda session: None

    @classmethod
    def pretrained(cls, chat: ChatConfig) -> "CascadeDecoder":
        """Load the default weights; errors as `soundflow.checkpoint.locate`."""
        return cls(WhisperRuntime.pretrained(), TurnEnd(), chat)

    def start(self, ready: Callable[[CascadeSession], None]) -> None:
        """Start the Whisper runtime."""
        self._ready = ready
        self._whisper.start()

    def stop(self) -> None:
        """End every thread."""
        self._whisper.stop()
        for threads in (self._replies, self._scores):
            threads.shutdown(wait=False, cancel_futures=True)
        self._chat.close()

    def open(
        self, spec: SessionSpec, history: Sequence[PastTurn], memory: str = ""
    ) -> CascadeSession:
        """Make a session."""
        return CascadeSession(spec, history, self._parts, self._ready, memory)

    def step(
        self,
        hearing: Sequence[tuple[CascadeSession, Sequence[Features]]],
        speaking: Sequence[tuple[CascadeSession, Sequence[Features]]],
    ) -> Stepped:
        """Let each session hear its queue, or say what is ready."""
        heard = [_guarded(session.listen, queue) for session, queue in hearing]
        return Stepped(heard, [_guarded(session.speak) for session, _ in speaking])

    def instruct(self, state: CascadeSession, text: str) -> None:
        """Follow a typed instruction."""
        state.instruct(text)

    def cancel(self, state: CascadeSession, turn: int) -> None:
        """Give up a turn."""
        state.cancel(turn)

    def close(self, state: CascadeSession) -> None:
        """Forget a session."""
        state.close()


def _guarded(call: Callable[[*Args], Result], *args: *Args) -> Result | Exception:
    """Return a session's own failure in its place: it costs nobody else anything."""
    try:
        return call(*args)
    except Exception as error:
        return error
