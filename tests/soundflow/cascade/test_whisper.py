"""How jobs of many sessions become batches, with models that do as the test says."""

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from threading import Event
from typing import cast

import numpy as np
import pytest

from soundflow.cascade.whisper import MOST_WINDOWS, Job, WhisperRuntime
from soundflow.cascade.whisper_model import (
    MELS,
    Task,
    Transcript,
    WhisperError,
    WhisperModel,
    Window,
)

WAIT_S = 10


@dataclass
class FakeModel:
    """Answers each window with its length; notes the batches that it was given."""

    batches: list[list[int]] = field(default_factory=list)
    broken: Exception | None = None
    may_go_on: Event = field(default_factory=Event)
    entered: Event = field(default_factory=Event)

    def transcribe(self, windows: Sequence[Window]) -> list[Transcript]:
        self.entered.set()
        assert self.may_go_on.wait(WAIT_S)
        self.batches.append([len(window.log_mel) for window in windows])
        if self.broken:
            raise self.broken
        return [Transcript(str(len(window.log_mel))) for window in windows]


@dataclass
class Stage:
    runtime: WhisperRuntime
    english: FakeModel
    multilingual: FakeModel


@pytest.fixture
def stage() -> Iterator[Stage]:
    english, multilingual = FakeModel(), FakeModel()
    models = cast(WhisperModel, english), cast(WhisperModel, multilingual)
    runtime = WhisperRuntime(*models)
    for model in (english, multilingual):
        model.may_go_on.set()
    yield Stage(runtime, english, multilingual)
    english.may_go_on.set()
    runtime.stop()


def job(
    frames: int,
    *,
    urgent: bool = False,
    beam: int = 1,
    language: str = "en",
    task: Task = Task.TRANSCRIBE,
) -> Job:
    silence = np.zeros((frames, MELS), np.float32)
    return Job(Window(silence, task=task, language=language, beam=beam), urgent=urgent)


def test_jobs_that_wait_together_are_run_together(stage: Stage) -> None:
    futures = [stage.runtime.submit(job(frames)) for frames in (1, 2, 3)]
    stage.runtime.start()
    assert [future.result(WAIT_S).text for future in futures] == ["1", "2", "3"]
    assert stage.english.batches == [[1, 2, 3]]


def test_different_settings_are_not_mixed(stage: Stage) -> None:
    futures = [stage.runtime.submit(job(frames, beam=frames % 2 + 1)) for frames in (1, 2, 3, 4)]
    stage.runtime.start()
    assert [future.result(WAIT_S).text for future in futures] == ["1", "2", "3", "4"]
    assert sorted(stage.english.batches) == [[1, 3], [2, 4]]


def test_windows_of_unknown_language_are_not_mixed(stage: Stage) -> None:
    futures = [stage.runtime.submit(job(frames, language="")) for frames in (1, 2)]
    stage.runtime.start()
    for future in futures:
        future.result(WAIT_S)
    assert stage.multilingual.batches == [[1], [2]]


def test_a_batch_is_bounded_and_urgent_jobs_are_in_the_first(stage: Stage) -> None:
    futures = [stage.runtime.submit(job(frames + 1)) for frames in range(MOST_WINDOWS + 1)]
    futures.append(stage.runtime.submit(job(99, urgent=True)))
    stage.runtime.start()
    for future in futures:
        future.result(WAIT_S)
    assert stage.english.batches[0] == [99, *range(1, MOST_WINDOWS)]
    assert stage.english.batches[1] == [MOST_WINDOWS, MOST_WINDOWS + 1]


def test_only_plain_english_goes_to_the_english_model(stage: Stage) -> None:
    jobs = [job(1), job(2, language="es"), job(3, language=""), job(4, task=Task.TRANSLATE)]
    futures = [stage.runtime.submit(each) for each in jobs]
    stage.runtime.start()
    for future in futures:
        future.result(WAIT_S)
    assert stage.english.batches == [[1]]
    assert sorted(stage.multilingual.batches) == [[2], [3], [4]]


def test_a_cancelled_job_is_not_run(stage: Stage) -> None:
    dropped, kept = (stage.runtime.submit(job(frames)) for frames in (1, 2))
    dropped.cancel()
    stage.runtime.start()
    assert kept.result(WAIT_S).text == "2"
    assert stage.english.batches == [[2]]


@pytest.mark.parametrize("failure", [WhisperError("broken"), MemoryError("broken")])
def test_a_failure_reaches_its_own_jobs_and_the_worker_goes_on(
    stage: Stage, failure: Exception
) -> None:
    stage.english.broken = failure
    failing, other = stage.runtime.submit(job(1)), stage.runtime.submit(job(2, language="es"))
    stage.runtime.start()
    with pytest.raises(WhisperError, match="broken"):
        failing.result(WAIT_S)
    assert other.result(WAIT_S).text == "2"


def test_stopping_cancels_what_waits_and_refuses_more(stage: Stage) -> None:
    stage.english.may_go_on.clear()
    stage.runtime.start()
    running = stage.runtime.submit(job(1))
    assert stage.english.entered.wait(WAIT_S)
    waiting = stage.runtime.submit(job(2))
    waiting.add_done_callback(lambda _: stage.english.may_go_on.set())
    stage.runtime.stop()
    assert running.result(WAIT_S).text == "1"
    with pytest.raises(CancelledError):
        waiting.result(WAIT_S)
    with pytest.raises(WhisperError, match="stopped"):
        stage.runtime.submit(job(3))
