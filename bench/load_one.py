"""The process that `bench.load_3b` watches: load a folder, answer a chunk and another one, tell."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.checkpoint import open_checkpoint
from soundflow.decoder import Verdict
from soundflow.features import Features
from soundflow.interaction import Action, SessionSpec
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.loading import decoder_of, encoder_of
from soundflow.unified.runtime import Runtime
from soundflow.unified.session import UnifiedSession


@dataclass(frozen=True, slots=True)
class Answered:
    """How long each thing took, and what was decided on the first chunk.

    next_s: of the second chunk, encoded and decided on: what every further one takes. Of the
    processor's time, both cores together: load_processor_s, next_processor_s.
    """

    encoder_s: float
    decoder_s: float
    encode_s: float
    decide_s: float
    next_s: float
    load_processor_s: float
    next_processor_s: float
    action: str


class Stopwatch:
    """Tells how long each thing took that was done since the one before."""

    def __init__(self) -> None:
        self._since_s = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last call."""
        before_s, self._since_s = self._since_s, time.perf_counter()
        return self._since_s - before_s


def answer_two(folder: Path) -> Answered:
    """Load both parts as a platform does, with room for one session."""
    checkpoint, runtime = open_checkpoint(folder), Runtime(device="cpu", sessions=1)
    watch = Stopwatch()
    encoder = encoder_of(checkpoint, runtime)
    encoder_s = watch.lap()
    decoder = decoder_of(checkpoint, runtime)
    decoder_s, load_processor_s = watch.lap(), time.process_time()
    session = decoder.open(SessionSpec("Tell me what you hear."), ())
    first, second = _chunks()
    [(features, state)] = encoder.encode([(first, encoder.initial())])
    encode_s = watch.lap()
    verdict = _decide(decoder, session, features)
    decide_s, before_s = watch.lap(), time.process_time()
    [(features, _)] = encoder.encode([(second, state)])
    if verdict.action is Action.SILENT:  # else it would speak first, for who knows how long
        _decide(decoder, session, features)
    return Answered(
        encoder_s=encoder_s,
        decoder_s=decoder_s,
        encode_s=encode_s,
        decide_s=decide_s,
        next_s=watch.lap(),
        load_processor_s=load_processor_s,
        next_processor_s=time.process_time() - before_s,
        action=verdict.action,
    )


def _chunks() -> tuple[Chunk, Chunk]:
    random = np.random.default_rng(1)
    one, two = random.normal(0, 0.1, (2, CHUNK_SAMPLES)).astype(np.float32)
    return Chunk("one", 0, one), Chunk("one", 1, two)


def _decide(decoder: UnifiedDecoder, session: UnifiedSession, features: Features) -> Verdict:
    queue = [features]
    while True:
        [verdict] = decoder.step([(session, queue)], ()).heard
        if isinstance(verdict, Exception):
            raise verdict
        if verdict is not None:
            return verdict
        queue = []


if __name__ == "__main__":
    print(json.dumps(asdict(answer_two(Path(sys.argv[1])))))
