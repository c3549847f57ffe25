"""What is scripted keeps the contract of what it stands for."""

from collections.abc import Iterator
from concurrent.futures import wait

import numpy as np
import pytest

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.speech import SpeechTracker
from soundflow.cascade.turn_end import TurnEnd
from soundflow.cascade.whisper import Job, WhisperRuntime
from soundflow.cascade.whisper_model import MELS, Task, Transcript, WhisperError, Window
from tests.soundflow.cascade.stage import ScriptedTurnEnd, ScriptedWhisper, chunk
from tests.waiting import DEADLINE_S

SCRIPTED_AND_REAL = ["scripted", pytest.param("real", marks=pytest.mark.models)]


@pytest.fixture(params=SCRIPTED_AND_REAL)
def whisper(request: pytest.FixtureRequest) -> WhisperRuntime:
    if request.param == "scripted":
        return ScriptedWhisper()
    return WhisperRuntime(*request.getfixturevalue("whisper_models"))


@pytest.fixture
def started(whisper: WhisperRuntime) -> Iterator[WhisperRuntime]:
    whisper.start()
    yield whisper
    whisper.stop()


@pytest.fixture(params=SCRIPTED_AND_REAL)
def turn_end(request: pytest.FixtureRequest) -> TurnEnd:
    return ScriptedTurnEnd() if request.param == "scripted" else TurnEnd()


def results(whisper: WhisperRuntime, *jobs: Job) -> list[Transcript]:
    futures = [whisper.submit(job) for job in jobs]
    if isinstance(whisper, ScriptedWhisper):
        whisper.work()
    assert not wait(futures, DEADLINE_S).not_done
    return [future.result() for future in futures]


def job(**window: object) -> Job:
    frames = np.full((200, MELS), -6.0, np.float32)
    return Job(Window(frames, **window), urgent=False)  # type: ignore[arg-type]


def test_a_job_becomes_a_transcript(started: WhisperRuntime) -> None:
    plain, timed, translated = results(
        started,
        job(),
        job(word_times=True, beam=5, prefix=""),
        job(task=Task.TRANSLATE, language="es"),
    )
    for transcript in (plain, timed, translated):
        assert isinstance(transcript.text, str)
    assert plain.words == ()
    assert "".join(word.text for word in timed.words) == timed.text


def test_the_jobs_that_a_tracker_asks_for_are_taken(started: WhisperRuntime) -> None:
    tracker = SpeechTracker(iter(range(1, 100)).__next__)
    ended = []
    for index in range(12):
        tracker.hear(chunk(index, speech=index < 9, last=index == 11))
        while wanted := tracker.next_pass():
            [transcript] = results(started, wanted.job)
            ended += [piece.ended for piece in tracker.take(wanted, transcript) if piece.ended]
    assert ended == ["complete"]


def test_a_job_that_waits_can_be_cancelled(whisper: WhisperRuntime) -> None:
    future = whisper.submit(job())
    assert future.cancel()
    whisper.start()
    results(whisper, job())
    whisper.stop()
    assert future.cancelled()


def test_a_stopped_runtime_takes_no_more(whisper: WhisperRuntime) -> None:
    whisper.start()
    whisper.stop()
    with pytest.raises(WhisperError, match="stopped"):
        whisper.submit(job())


def test_the_end_of_a_turn_has_a_score(turn_end: TurnEnd) -> None:
    assert 0 <= turn_end.score(chunk(0).tensors["log_mel"]) <= 1


@pytest.mark.models
def test_features_made_by_hand_have_the_encoders_names_shapes_and_types() -> None:
    encoder = CascadeEncoder.pretrained()
    state = encoder.initial()
    for index in range(2):  # one with 12 VAD windows, one with 13
        silence = Chunk("call", index, np.zeros(CHUNK_SAMPLES, np.float32))
        [(made, state)] = encoder.encode([(silence, state)])
        for name, tensor in chunk(index).tensors.items():
            real = made.tensors[name]
            assert (name, tensor.shape, tensor.dtype) == (name, real.shape, real.dtype)
