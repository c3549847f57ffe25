"""Tasks over the platform with the null model, without a server in between."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile

from services.core.errors import BadRequest, Failed, Overloaded, ShuttingDown
from services.core.events import (
    CallerEvent,
    CloseReason,
    DecisionMade,
    ErrorEvent,
    ResponseStarted,
    ResponseText,
    SessionClosed,
)
from services.embedded import Platform
from services.ingestion.config import IngestionConfig
from services.ingestion.task_result import TaskResult
from services.ingestion.tasks import Progress, run_task
from services.state.carried import MemoryCarriedStates
from soundflow.interaction import Kind, SessionSpec, Word
from soundflow.media import Media
from soundflow.models import load_model
from tests.waiting import DEADLINE_S, until


def platform(**config: Any) -> Platform:
    return Platform.of(load_model("null"), IngestionConfig(**config))


def recording(folder: Path, *, seconds: float, channels: int = 1, rate_hz: int = 16_000) -> Path:
    path = folder / "recording.wav"
    soundfile.write(path, np.zeros((round(seconds * rate_hz), channels)), rate_hz)
    return path


async def everything(task: Any) -> list[CallerEvent | Progress]:
    async with asyncio.timeout(DEADLINE_S), aclosing(task) as items:
        return [item async for item in items]


def of(items: list[CallerEvent | Progress], kind: type) -> list[Any]:
    events = [item.event for item in items if isinstance(item, CallerEvent)]
    return [event for event in events if isinstance(event, kind)]


async def test_every_chunk_gets_its_own_decision_and_progress_follows(tmp_path: Path) -> None:
    path = recording(tmp_path, seconds=2.1)
    async with platform().running() as ingestion:
        items = await everything(run_task(ingestion, SessionSpec(), path))
    assert [event.chunk for event in of(items, DecisionMade)] == [0, 1, 2, 3, 4, 5]
    progress = [item for item in items if isinstance(item, Progress)]
    assert [each.done_ms for each in progress] == [400, 800, 1200, 1600, 2000, 2100]
    assert {each.total_ms for each in progress} == {2100}


async def test_the_outcome_is_the_same_each_time(tmp_path: Path) -> None:
    path = recording(tmp_path, seconds=5, rate_hz=8000)

    def outcome(items: list[CallerEvent | Progress]) -> list[Any]:
        texts = [(text.turn, text.text) for text in of(items, ResponseText)]
        return [*texts, *((each.chunk, each.decision) for each in of(items, DecisionMade))]

    async with platform().running() as ingestion:
        first, second = [
            await everything(run_task(ingestion, SessionSpec(), path)) for _ in range(2)
        ]
    assert outcome(first) == outcome(second)


async def test_channels_are_heard_as_sessions_of_their_own(tmp_path: Path) -> None:
    path = recording(tmp_path, seconds=1, channels=2)
    async with platform().running() as ingestion:
        items = await everything(run_task(ingestion, SessionSpec(), path, split_channels=True))
    closed = {item.channel for item in items if isinstance(item, CallerEvent)}
    assert closed == {0, 1}
    assert [event.chunks for event in of(items, SessionClosed)] == [3, 3]
    assert [item for item in items if isinstance(item, Progress)][-1].done_ms == 1000


async def test_a_file_that_cannot_be_read_opens_no_session(tmp_path: Path) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("These are notes, not audio.\n" * 50)
    held = platform()
    async with held.running() as ingestion:
        with pytest.raises(BadRequest) as refused:
            await everything(run_task(ingestion, SessionSpec(), path))
        assert ingestion.open_sessions == 0
    assert refused.value.code == "not_audio"


async def test_a_fault_found_late_is_told_then_raised(tmp_path: Path) -> None:
    path = tmp_path / "broken.wav"
    samples = np.zeros(16_000, np.float32)
    samples[15_000] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    items: list[CallerEvent | Progress] = []
    async with (
        platform().running() as ingestion,
        aclosing(run_task(ingestion, SessionSpec(), path)) as task,
    ):
        with pytest.raises(BadRequest) as refused:
            async for item in task:
                items.append(item)
    assert refused.value.code == "bad_samples"
    assert [event.code for event in of(items, ErrorEvent)] == ["bad_samples"]
    assert of(items, SessionClosed)[-1].reason is CloseReason.ERROR


async def test_a_task_that_a_stop_cuts_short_says_so(tmp_path: Path) -> None:
    path = recording(tmp_path, seconds=600)
    async with (
        platform().running() as ingestion,
        aclosing(run_task(ingestion, SessionSpec(), path)) as task,
    ):
        await anext(task)
        await ingestion.close_all(CloseReason.SHUTDOWN)
        with pytest.raises(ShuttingDown):
            async for _ in task:
                pass


async def test_a_fault_of_ours_while_reading_ends_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: Media, session_ids: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(Media, "read", read)
    async with platform().running() as ingestion:
        with pytest.raises(Failed):
            await everything(run_task(ingestion, SessionSpec(), recording(tmp_path, seconds=1)))
        assert ingestion.open_sessions == 0


async def test_a_full_platform_takes_no_task(tmp_path: Path) -> None:
    path = recording(tmp_path, seconds=1, channels=2)
    async with platform(max_sessions=1).running() as ingestion:
        with pytest.raises(Overloaded):
            await everything(run_task(ingestion, SessionSpec(), path, split_channels=True))
        await everything(run_task(ingestion, SessionSpec(), path))


async def test_a_task_that_is_given_up_is_forgotten(tmp_path: Path) -> None:
    path = recording(tmp_path, seconds=600)
    held = platform()
    carried = cast(MemoryCarriedStates, held.perception.carried)
    async with held.running() as ingestion:
        async with aclosing(run_task(ingestion, SessionSpec(), path)) as task:
            session_id = [await anext(task) for _ in range(5)][0].session_id  # type: ignore[union-attr]
        assert (await ingestion.record(session_id)).closed == "client_gone"
        await until(lambda: not held.engine._sessions and not len(carried))


async def test_a_consumer_that_pauses_is_not_flooded(tmp_path: Path) -> None:
    path = recording(tmp_path, seconds=600)
    held = platform(outbox_events=10)
    async with (
        held.running() as ingestion,
        aclosing(run_task(ingestion, SessionSpec(), path)) as task,
    ):
        async for item in task:
            if isinstance(item, Progress):
                break
        await until(lambda: not any(live.outbox.full for live in ingestion._held.all()))
        await asyncio.sleep(0.1)  # time enough for hundreds of chunks
        assert ingestion.open_sessions == 1  # not closed as too slow
        [live] = ingestion._held.all()
        assert live.chunks <= 2


# What a task came to


def told(event: Any, channel: int = 0) -> CallerEvent:
    return CallerEvent(f"s-{channel}", event, channel)


def test_a_turns_text_is_the_newest_version_of_each_piece_in_order() -> None:
    result = TaskResult()
    for event in (
        ResponseStarted(1, 4, Kind.TRANSCRIPT),
        ResponseText(1, 0, "how", final=False),
        ResponseText(1, 1, " you", final=False),
        ResponseText(1, 0, "how are", final=True, words=(Word("how", 900, 1000),)),
        ResponseText(1, 1, " you?", final=True),
    ):
        result.add(told(event))
    result.add(Progress(2100, 2100))
    answer = result.to_json()
    assert answer["duration_ms"] == 2100
    assert answer["turns"] == [
        {
            "turn": 1,
            "channel": 0,
            "kind": "transcript",
            "text": "how are you?",
            "start_ms": 900,
            "words": [{"text": "how", "start_ms": 900, "end_ms": 1000}],
        }
    ]


def test_turns_of_two_channels_with_one_number_are_two_turns() -> None:
    result = TaskResult()
    for channel in (0, 1):
        result.add(told(ResponseStarted(1, 2, Kind.NOTICE), channel))
        result.add(told(ResponseText(1, 0, f"channel {channel}", final=True), channel))
    turns = result.to_json()["turns"]
    assert isinstance(turns, list)
    assert [(turn["channel"], turn["text"], turn["start_ms"]) for turn in turns] == [
        (0, "channel 0", 800),
        (1, "channel 1", 800),
    ]
