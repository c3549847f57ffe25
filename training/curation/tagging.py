"""What a clip sounds like: the project's own sound tagger, as a port.

Shape suffixes: S samples, N chunks, C sound classes.
"""

import hashlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import CHUNK_SAMPLES, Chunk, Pcm
from soundflow.cascade.encoder import CascadeEncoder
from soundflow.cascade.sound_classes import places
from soundflow.cascade.vocabulary import SoundGroup

Scores = NDArray[np.float32]

# The tagger looks back over 0.96 s: a short clip is seen best some chunks after its end.
AFTER_CHUNKS = 2


class Tagger(Protocol):
    """Hears clips."""

    def scores(self, pcm_S: Pcm) -> Scores:
        """Return each sound class's highest probability in a clip: `(C,)`."""
        ...


class YamnetTagger:
    """The sound classes of the cascade's encoder."""

    def __init__(self, encoder: CascadeEncoder | None = None) -> None:
        """Load the weights; errors as `soundflow.checkpoint.locate`."""
        self._encoder = encoder or CascadeEncoder.pretrained()

    def scores(self, pcm_S: Pcm) -> Scores:
        """See `Tagger.scores`."""
        after = AFTER_CHUNKS * CHUNK_SAMPLES + -len(pcm_S) % CHUNK_SAMPLES
        chunks = np.pad(pcm_S, (0, after)).reshape(-1, CHUNK_SAMPLES)
        state = self._encoder.initial()
        scores_NC = []
        for index, chunk_S in enumerate(chunks):
            [(features, state)] = self._encoder.encode([(Chunk("clip", index, chunk_S), state)])
            scores_NC.append(features.tensors["sound_scores"])
        highest_C: Scores = np.max(scores_NC, axis=0)
        return highest_C


class RememberingTagger:
    """Hears each clip once: in a corpus, the same few recordings come again and again."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._scores: dict[bytes, Scores] = {}

    def scores(self, pcm_S: Pcm) -> Scores:
        """See `Tagger.scores`."""
        clip = hashlib.sha256(pcm_S.tobytes()).digest()
        if clip not in self._scores:
            self._scores[clip] = self._tagger.scores(pcm_S)
        return self._scores[clip]


def score_of(scores_C: Scores, group: SoundGroup) -> float:
    """Return how sure the tagger is of a kind of sound."""
    return float(scores_C[places(group.classes)].max())
