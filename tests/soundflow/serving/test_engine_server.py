"""An engine on its own thread, called in messages as an inference server calls it."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest

from soundflow.engine import Engine
from soundflow.features import Tensor
from soundflow.interaction import NOTHING_PAST, Piece, SessionSpec
from soundflow.serving.calls import (
    CALLS,
    REPLIES,
    Answered,
    Call,
    Close,
    Done,
    Hear,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Reply,
    Said,
    Speak,
    Unfollow,
)
from soundflow.serving.engine_server import EngineServer
from soundflow.serving.tensors import stacked
from tests.soundflow.scripted import WAITING, Script, ScriptedDecoder, ended, respond, says
from tests.waiting import DEADLINE_S, until


class Back:
    """What came back of one message."""

    def __init__(self) -> None:
        self.messages: list[Sequence[Reply]] = []
        self.over = threading.Event()
        self.is_gone = False

    def send(self, replies: bytes) -> None:
        assert not self.over.is_set()
        self.messages.append(REPLIES.validate_json(replies))

    def end(self, replies: bytes | None) -> None:
        if replies is not None:
            self.send(replies)
        assert not self.over.is_set()
        self.over.set()

    def gone(self) -> bool:
        return self.is_gone

    @property
    def replies(self) -> list[Reply]:
        return list(itertools.chain(*self.messages))

    def all(self) -> list[Reply]:
        """Wait for the end."""
        assert self.over.wait(DEADLINE_S)
        return self.replies


class Served:
    """A server of a scripted decoder, and short ways to call it."""

    def __init__(self, idle_close_s: float = 60) -> None:
        self.decoder = ScriptedDecoder()
        self.measured: list[tuple[int, int]] = []
        self.counted: list[Mapping[str, int]] = []
        self.failed = threading.Event()
        self.server = EngineServer(
            Engine(self.decoder),
            idle_close_s=idle_close_s,
            measure=self.measure,
            failed=self.failed.set,
        )

    def measure(self, sessions: int, calls: int, counts: Mapping[str, int]) -> None:
        self.measured.append((sessions, calls))
        self.counted.append(dict(counts))

    def call(self, *calls: Call, tensors: dict[str, Tensor] | None = None) -> Back:
        back = Back()
        rows = [{"level": np.array([1.0])} for call in calls if isinstance(call, Hear)]
        given = stacked(rows) if tensors is None else tensors
        self.server.take(CALLS.dump_json(calls), given, back)
        return back

    def open(self, name: str) -> None:
        spec = SessionSpec(instruction=name)
        assert self.call(Open(1, name, spec, NOTHING_PAST)).all() == [Opened(1, 0)]


@pytest.fixture
def make() -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def start(**settings: float) -> Served:
        made.append(Served(**settings))
        made[-1].server.start()
        return made[-1]

    yield start
    for served in made:
        served.decoder.release()
        served.server.stop()


@pytest.fixture
def served(make: Callable[..., Served]) -> Served:
    return make()


def hears(name: str, *indexes: int, first: int = 100) -> list[Hear]:
    return [Hear(first + index, name, index, last=False) for index in indexes]


def test_a_ping_is_answered_with_who_the_engine_is(make: Callable[..., Served]) -> None:
    one, other = make(), make()
    [first], [again], [others] = (s.call(Ping(7)).all() for s in (one, one, other))
    assert isinstance(first, Pong)
    assert first == again
    assert isinstance(others, Pong)
    assert (first.call, first.info) == (7, one.decoder.info)
    assert first.engine != others.engine


def test_chunks_of_one_message_are_heard_in_order_and_answered_together(served: Served) -> None:
    served.open("a")
    back = served.call(*hears("a", 0, 1, 2))
    answers = back.all()
    assert [reply.call for reply in answers] == [100, 101, 102]
    assert all(isinstance(reply, Answered) for reply in answers)
    assert served.decoder.batches("listen") == [{"a": [0, 1, 2]}]
    assert len(back.messages) == 1


def test_errors_are_answered_by_name_and_concern_nobody_else(served: Served) -> None:
    served.open("a")
    back = served.call(
        *hears("nobody", 0, first=200), *hears("a", 5), *hears("a", 0), Speak(9, "a", 4)
    )
    refused = {reply.error for reply in back.all() if isinstance(reply, Refused)}
    assert refused == {"NotOpen", "OutOfOrder", "EngineError"}
    assert [reply.call for reply in back.all() if isinstance(reply, Answered)] == [100]


def test_a_chunk_without_tensors_is_refused(served: Served) -> None:
    served.open("a")
    [reply] = served.call(*hears("a", 0), tensors={}).all()
    assert isinstance(reply, Refused)
    assert reply.error == "ValueError"


@pytest.mark.parametrize("calls", [b"", b"[1", b'[{"op": "dance", "call": 1}]'])
def test_a_message_that_cannot_be_read_is_the_senders_error(served: Served, calls: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        served.server.take(calls, {}, Back())
    served.open("a")


async def test_a_turn_is_sent_as_it_is_made(served: Served) -> None:
    served.open("a")
    script = served.decoder.scripts["a"]
    script.verdicts.append(respond(1))
    script.speech += [says(Piece(1, 0, "one")), WAITING, says(Piece(1, 1, "two"), ended(1))]
    served.call(*hears("a", 0)).all()
    back = served.call(Speak(5, "a", 1))
    await until(lambda: back.replies == [Said(5, Piece(1, 0, "one"))])
    assert not back.over.is_set()
    served.decoder.ready(script)
    assert back.all() == [
        *(Said(5, piece) for piece in (Piece(1, 0, "one"), Piece(1, 1, "two"), ended(1))),
        Done(5),
    ]


async def test_whoever_follows_no_more_is_sent_no_more(served: Served) -> None:
    served.open("a")
    script = served.decoder.scripts["a"]
    script.verdicts.append(respond(1))
    script.speech += [WAITING, says(Piece(1, 0, "late"), ended(1))]
    served.call(*hears("a", 0)).all()
    back = served.call(Speak(5, "a", 1))
    await served_calls(served, 1)
    assert served.call(Unfollow(6, following=5)).all() == [Done(6)]
    assert back.all() == [Done(5)]


async def test_a_message_that_nobody_waits_for_is_given_up(served: Served) -> None:
    served.open("a")
    script = served.decoder.scripts["a"]
    script.verdicts.append(respond(1))
    script.speech += [WAITING]
    served.call(*hears("a", 0)).all()
    back = served.call(Speak(5, "a", 1))
    await served_calls(served, 1)
    back.is_gone = True
    assert back.all() == []
    await served_calls(served, 0)
    served.open("b")


async def test_a_session_that_nobody_calls_is_closed(make: Callable[..., Served]) -> None:
    served = make(idle_close_s=1.5)
    served.open("left")
    served.open("used")
    for index in itertools.count():
        served.call(*hears("used", index)).all()
        if ("close", "left") in served.decoder.log:
            break
        await asyncio.sleep(0.1)
    assert ("close", "used") not in served.decoder.log
    await until(lambda: served.measured[-1] == (1, 0))
    [reply] = served.call(*hears("left", 0)).all()
    assert isinstance(reply, Refused)
    assert reply.error == "NotOpen"


async def test_what_is_open_is_measured(served: Served) -> None:
    for name in "ab":
        served.open(name)
    await until(lambda: served.measured[-1] == (2, 0))
    served.call(Close(3, "a"))
    await until(lambda: served.measured[-1] == (1, 0))


async def test_what_the_decoder_counts_is_told(served: Served) -> None:
    served.decoder.counts["interruption"] = 3
    await until(lambda: bool(served.counted) and served.counted[-1] == {"interruption": 3})


def test_stopping_ends_every_call() -> None:
    served = Served()
    served.server.start()
    served.open("a")
    served.decoder.hold()
    back = served.call(*hears("a", 0))
    threading.Timer(0.2, served.decoder.release).start()
    served.server.stop()
    back.all()
    assert served.decoder.batches("stop")
    with pytest.raises(RuntimeError):
        served.call(Ping(1))
    assert not served.failed.is_set()


def test_a_decoder_that_cannot_start_is_told_at_start() -> None:
    class Broken(ScriptedDecoder):
        def start(self, ready: object) -> None:
            raise OSError("no weights")

    server = EngineServer(Engine(Broken()), idle_close_s=60)
    with pytest.raises(ExceptionGroup) as raised:
        server.start()
    assert raised.group_contains(OSError, match="no weights")


def test_an_engine_that_ends_by_itself_is_told() -> None:
    class Breaking(Engine[Script]):
        async def run(self) -> None:
            self.started.set()
            await asyncio.sleep(0.05)
            raise MemoryError

    failed = threading.Event()
    server = EngineServer(Breaking(ScriptedDecoder()), idle_close_s=60, failed=failed.set)
    server.start()
    assert failed.wait(DEADLINE_S)
    server.stop()


async def served_calls(served: Served, calls: int) -> None:
    await until(lambda: bool(served.measured) and served.measured[-1][1] == calls)
