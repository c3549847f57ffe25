"""Speech recognition of one session: from features to the passes that are due and to text.

Shape suffixes: T mel frames (10 ms), M mel bands, V VAD windows.
"""

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from soundflow.audio import CHUNK_MS
from soundflow.cascade.endpoint import SPEECH_CLASS, VAD_WINDOW_MS, Endpoint, Phase
from soundflow.cascade.utterance import DEFAULTS, Reach, SpeechSettings, Utterance
from soundflow.cascade.whisper import Job
from soundflow.cascade.whisper_model import FRAME_MS, MELS, Array, Task, Transcript, Window
from soundflow.features import Features
from soundflow.frontend import WHISPER_DELAY_FRAMES
from soundflow.interaction import EndReason, Piece


@dataclass(frozen=True, slots=True)
class Pass:
    """A look at a turn's audio that is due: submit `job`, then give its result to `take`."""

    turn: int
    reach: Reach
    job: Job


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a tracker knows beside its audio, while no utterance goes on or waits."""

    language: str
    endpoint: Endpoint


class SpeechTracker:
    """Follow one session's speech; one turn for each utterance. Not thread-safe; nothing blocks.

    Hear every chunk; while `turns` is not empty, run `next_pass` and `take` its transcript. Chunks
    heard together share a pass. Memory stays below one full window and the utterances that wait.
    """

    def __init__(
        self,
        next_turn: Callable[[], int],
        *,
        task: Task = Task.TRANSCRIBE,
        language: str = "en",
        watched: bool = True,
        settings: SpeechSettings = DEFAULTS,
    ) -> None:
        """Number turns by `next_turn`; `language` "" = detect it, and keep it once it is sure.

        Without `watched` nobody sees the text grow: there are no provisional passes.
        """
        self._next_turn = next_turn
        self._task = task
        self._given_language = language
        self._language = language
        self._watched = watched
        self._settings = settings
        self._endpoint = Endpoint(settings.endpoint)
        self._next_index = 0
        self._heard = np.empty((0, MELS), np.float32)  # the newest frames,
        self._heard_ms = -WHISPER_DELAY_FRAMES * FRAME_MS  # the first of which lies here
        self._current: Utterance | None = None
        self._over: deque[Utterance] = deque()
        self._out: Pass | None = None

    @property
    def turns(self) -> tuple[int, ...]:
        """The turns that have a pass to come, in the order of their text."""
        return tuple(utterance.turn for utterance in self._due())

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""
        return self._current is not None

    def hear(self, features: Features) -> None:
        """Hear a chunk. A chunk that is missing ends the utterance."""
        if features.index != self._next_index:
            self._jump(features.index)
        self._next_index = features.index + 1
        self._heard = np.concatenate([self._heard, features.tensors["log_mel"]])
        speech_score = float(features.tensors["sound_scores"][SPEECH_CLASS])
        # Silero's windows run on over chunk borders; this is the first one to end in this chunk.
        start_ms = features.index * CHUNK_MS // VAD_WINDOW_MS * VAD_WINDOW_MS
        for probability in features.tensors["speech"]:
            self._endpoint.hear(float(probability), start_ms, speech_score)
            start_ms += VAD_WINDOW_MS
            self._follow(start_ms)
        if self._current:
            self._extend(self._current, self._end_ms)
        if features.last:
            self._finish()
        self._forget()

    def run_in(self, features: Features) -> None:
        """Take the audio of a chunk that was heard before: an utterance may begin with it."""
        if features.index != self._next_index:
            self._move(features.index)
        self._next_index = features.index + 1
        self._heard = np.concatenate([self._heard, features.tensors["log_mel"]])
        self._forget()

    def remembered(self) -> Hearing:
        """Return what is to be given to `recall`."""
        return Hearing(self._language, copy.copy(self._endpoint))

    def recall(self, hearing: Hearing) -> None:
        """Go on where another tracker was, once its last audio was run in."""
        self._language, self._endpoint = hearing.language, hearing.endpoint

    def next_pass(self) -> Pass | None:
        """Return the pass to run next; None while one is out or nothing is due."""
        due = self._due()
        if self._out or not due:
            return None
        utterance = due[0]
        self._out = Pass(utterance.turn, *self._request(utterance))
        return self._out

    def take(self, finished: Pass, transcript: Transcript) -> tuple[Piece, ...]:
        """Return what a pass changes in its turn's text; nothing when the turn was given up."""
        utterance = self._answered(finished)
        if utterance is None:
            return ()
        self._learn_language(finished, transcript)
        pieces = utterance.take(finished.reach, transcript, self._settings)
        if finished.reach is Reach.LAST:
            self._drop(utterance)
        return pieces

    def fail(self, finished: Pass) -> tuple[Piece, ...]:
        """Give up the turn of a pass that has failed."""
        utterance = self._answered(finished)
        return self._give_up(utterance, EndReason.ERROR) if utterance else ()

    def cancel(self, turn: int) -> tuple[Piece, ...]:
        """Give up a turn, and the pass that is out for it; speech that goes on is a new turn."""
        if self._out and self._out.turn == turn:
            self._out = None
        utterance = self._find(turn)
        return self._give_up(utterance, EndReason.CANCELLED) if utterance else ()

    @property
    def _end_ms(self) -> int:
        return self._heard_ms + len(self._heard) * FRAME_MS

    def _due(self) -> list[Utterance]:
        """Return the utterances that wait for a pass: those that are over first."""
        reach = self._current.due(self._settings) if self._current else None
        going_on = reach is not None and (self._watched or reach is not Reach.PROVISIONAL)
        return [*self._over, self._current] if self._current and going_on else [*self._over]

    def _request(self, utterance: Utterance) -> tuple[Reach, Job]:
        reach = utterance.due(self._settings)
        if reach is None:
            raise ValueError(f"turn {utterance.turn} waits for no pass")
        settles = reach is not Reach.PROVISIONAL or (
            utterance.window_ms >= self._settings.settle_after_ms
        )
        window = Window(
            utterance.look(reach, self._settings),
            self._task,
            self._language,
            beam=self._settings.beam if settles and self._task is Task.TRANSCRIBE else 1,
            prefix=utterance.prefix,
            word_times=settles,
        )
        return reach, Job(window, urgent=utterance.over)

    def _answered(self, finished: Pass) -> Utterance | None:
        if finished is not self._out:
            return None
        self._out = None
        return self._find(finished.turn)

    def _find(self, turn: int) -> Utterance | None:
        alive = [*self._over, self._current]
        return next((each for each in alive if each and each.turn == turn), None)

    def _give_up(self, utterance: Utterance, reason: EndReason) -> tuple[Piece, ...]:
        self._drop(utterance)
        return (Piece(utterance.turn, utterance.sequence, ended=reason),)

    def _drop(self, utterance: Utterance) -> None:
        if utterance is self._current:
            self._current = None
            self._endpoint.rest()
        else:
            self._over.remove(utterance)

    def _learn_language(self, finished: Pass, transcript: Transcript) -> None:
        """Keep a language that was detected surely; detect again after a doubtful utterance."""
        if self._given_language:
            return
        doubtful = transcript.average_log_probability < self._settings.least_log_probability
        if finished.reach is Reach.LAST and doubtful:
            self._language = ""
        elif transcript.language_probability >= self._settings.sure_language:
            self._language = transcript.language

    def _follow(self, until_ms: int) -> None:
        """Begin or end an utterance as the endpoint says after the window that ends here."""
        speech = self._endpoint.phase is Phase.SPEECH
        if speech and not self._current:
            start_ms = max(self._heard_ms, self._endpoint.began_ms - self._settings.pre_roll_ms)
            self._current = Utterance(self._next_turn(), start_ms, self._frames(start_ms, until_ms))
        elif self._current and not speech:
            self._extend(self._current, until_ms)
            self._finish()

    def _extend(self, utterance: Utterance, until_ms: int) -> None:
        utterance.extend(self._frames(utterance.start_ms + utterance.window_ms, until_ms))

    def _frames(self, start_ms: int, until_ms: int) -> Array:
        first, after = (
            max(0, (each - self._heard_ms) // FRAME_MS) for each in (start_ms, until_ms)
        )
        return self._heard[first:after]

    def _finish(self) -> None:
        """End the utterance at hand; its last pass is due."""
        if self._current:
            self._current.finish(self._endpoint.spoke_until_ms + self._settings.post_roll_ms)
            self._over.append(self._current)
            self._current = None
        self._endpoint.rest()

    def _jump(self, index: int) -> None:
        """Go on at another place of the stream."""
        self._finish()
        self._move(index)

    def _move(self, index: int) -> None:
        self._heard = self._heard[:0]
        self._heard_ms = index * CHUNK_MS - WHISPER_DELAY_FRAMES * FRAME_MS

    def _forget(self) -> None:
        """Keep only the frames that an utterance may still begin with."""
        since_ms = self._end_ms
        if self._endpoint.phase is Phase.MAYBE:
            oldest_ms = since_ms - self._settings.longest_doubt_ms
            since_ms = min(since_ms, max(self._endpoint.began_ms, oldest_ms))
        kept = self._frames(since_ms - self._settings.pre_roll_ms, self._end_ms)
        self._heard_ms = self._end_ms - len(kept) * FRAME_MS
        self._heard = kept
