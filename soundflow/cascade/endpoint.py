"""Where speech begins and ends in a session, from the VAD's probabilities and the sound classes."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

VAD_WINDOW_MS = 32
# Indices in YAMNet's class map.
SPEECH_CLASS = 0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """When speech counts as begun and as over. Chosen on the development clips.

    speech_above, silence_below: hysteresis on the VAD's probability, the values its makers advise.
    evidence_ms: speech within an utterance before it counts; of 20 recordings of animals and
        machines, two gave the VAD more than 200 ms at a time.
    sure_above: the VAD's best probability must reach it; those recordings seldom do.
    least_speech_score: YAMNet's best score for speech must reach it. In white noise as loud as the
        speech its worst chunk had 0.05; electronic sounds that the VAD took for speech had 0.02.
    pause_ms: silence that ends an utterance. With 320, speech in noise fell into a third more
        utterances and had more word errors.
    """

    speech_above: float = 0.5
    silence_below: float = 0.35
    evidence_ms: int = 200
    sure_above: float = 0.8
    least_speech_score: float = 0.05
    pause_ms: int = 480


class Phase(Enum):
    """Where a session stands."""

    QUIET = "quiet"
    MAYBE = "maybe"  # something like speech; not yet enough of it
    SPEECH = "speech"


@dataclass(slots=True)
class Endpoint:
    """Follow one session. Times are milliseconds of the session.

    began_ms: where the utterance at hand began. spoke_until_ms: the end of its latest speech.
    """

    settings: EndpointSettings
    phase: Phase = Phase.QUIET
    began_ms: int = 0
    spoke_until_ms: int = 0
    _evidence_ms: int = 0
    _surest: float = 0.0
    _speech_score: float = 0.0

    def hear(self, probability: float, start_ms: int, speech_score: float) -> None:
        """Hear one VAD window that starts at `start_ms`; `speech_score` is its chunk's."""
        if self._is_speech(probability):
            self._hear_speech(probability, start_ms)
        elif start_ms + VAD_WINDOW_MS - self.spoke_until_ms >= self.settings.pause_ms:
            self.rest()
        if self.phase is not Phase.QUIET:
            self._speech_score = max(self._speech_score, speech_score)
        if self.phase is Phase.MAYBE and self._is_certain():
            self.phase = Phase.SPEECH

    def rest(self) -> None:
        """Forget the utterance at hand."""
        self.phase = Phase.QUIET
        self._evidence_ms = 0
        self._surest = self._speech_score = 0.0

    def _is_speech(self, probability: float) -> bool:
        quiet = self.phase is Phase.QUIET
        return probability >= (self.settings.speech_above if quiet else self.settings.silence_below)

    def _hear_speech(self, probability: float, start_ms: int) -> None:
        if self.phase is Phase.QUIET:
            self.phase = Phase.MAYBE
            self.began_ms = start_ms
        self.spoke_until_ms = start_ms + VAD_WINDOW_MS
        self._surest = max(self._surest, probability)
        if probability >= self.settings.speech_above:
            self._evidence_ms += VAD_WINDOW_MS

    def _is_certain(self) -> bool:
        return (
            self._evidence_ms >= self.settings.evidence_ms
            and self._surest >= self.settings.sure_above
            and self._speech_score >= self.settings.least_speech_score
        )
