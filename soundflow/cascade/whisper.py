"""Whisper for many sessions: a few worker threads share the waiting jobs as batches."""

import logging
import math
import threading
from collections import defaultdict
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from soundflow.cascade.whisper_model import (
    DEFAULTS,
    Task,
    Transcript,
    WhisperError,
    WhisperModel,
    WhisperSettings,
    Window,
)
from soundflow.checkpoint import locate

log = logging.getLogger(__name__)

# The most windows decoded together: beyond it a batch takes longer than a chunk lasts (16 windows
# of 5 s: 0.6 s), and nobody gains from waiting for the slowest.
MOST_WINDOWS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """A window to be transcribed. `urgent` jobs (the last pass over an utterance) go first."""

    window: Window
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: Job
    future: Future[Transcript] = field(default_factory=Future)


class WhisperRuntime:
    """Transcribe windows of many sessions; English by the small model, the rest by the larger.

    `submit` may be called from any thread. A future that was cancelled before its turn costs
    nothing. Futures are completed on a worker's thread: keep their callbacks short.
    """

    def __init__(
        self, english: WhisperModel, multilingual: WhisperModel, *, workers: int = 1
    ) -> None:
        """Share the work among `workers` threads; the models must stand as many calls at once."""
        self._english = english
        self._multilingual = multilingual
        self._idle = 0
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"whisper-{number}", daemon=True)
            for number in range(workers)
        ]

    @classmethod
    def pretrained(cls, settings: WhisperSettings = DEFAULTS) -> "WhisperRuntime":
        """Load the default weights; errors as `soundflow.checkpoint.locate`, WhisperError."""
        english = WhisperModel(locate("whisper-tiny.en"), settings)
        multilingual = WhisperModel(locate("whisper-base"), settings)
        return cls(english, multilingual, workers=settings.workers)

    @property
    def languages(self) -> frozenset[str]:
        """The codes of the languages that can be transcribed."""
        return self._multilingual.languages

    def start(self) -> None:
        """Start the workers. The models are warm: loading them has encoded a window."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the batches at hand and cancel what waits."""
        with self._changed:
            self._stopped = True
            abandoned, self._waiting = self._waiting, []
            self._changed.notify_all()
        for each in abandoned:
            each.future.cancel()
        for thread in self._threads:
            thread.join()

    def submit(self, job: Job) -> "Future[Transcript]":
        """Queue a job. Its future raises WhisperError when the model fails on it."""
        waiting = _Waiting(job)
        with self._changed:
            if self._stopped:
                raise WhisperError("the Whisper runtime is stopped")
            self._waiting.append(waiting)
            self._changed.notify()
        return waiting.future

    def _work(self) -> None:
        while batch := self._next_batch():
            groups: defaultdict[Hashable, list[_Waiting]] = defaultdict(list)
            for each in batch:
                if each.future.set_running_or_notify_cancel():
                    groups[_kind(each.job.window)].append(each)
            for group in groups.values():
                self._run(group)

    def _next_batch(self) -> list[_Waiting]:
        """Wait for jobs and take a share, urgent ones first; empty when the runtime is stopped."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            self._waiting.sort(key=lambda each: not each.job.urgent)  # stable: first come first
            share = min(MOST_WINDOWS, math.ceil(len(self._waiting) / self._idle))
            self._idle -= 1
            batch, self._waiting = self._waiting[:share], self._waiting[share:]
            return batch

    def _run(self, group: Sequence[_Waiting]) -> None:
        windows = [each.job.window for each in group]
        try:
            transcripts = self._model_for(windows[0]).transcribe(windows)
        except Exception as error:  # whatever it is: without its workers nobody is heard again
            log.exception("a batch of %d windows failed", len(windows))
            known = isinstance(error, WhisperError)
            failure = error if known else WhisperError(f"Whisper failed: {error!r}")
            for each in group:
                each.future.set_exception(failure)
            return
        for each, transcript in zip(group, transcripts, strict=True):
            each.future.set_result(transcript)

    def _model_for(self, window: Window) -> WhisperModel:
        plain_english = window.language == "en" and window.task is Task.TRANSCRIBE
        return self._english if plain_english else self._multilingual


def _kind(window: Window) -> Hashable:
    """Say which windows can be decoded together; a window whose language is unknown goes alone."""
    alone = id(window) if not window.language else 0
    return window.beam, window.task, window.language, window.word_times, alone
