"""The process that `bench.load_3b` watches: load a checkpoint's folder, answer one chunk, tell."""

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
from soundflow.interaction import SessionSpec
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.loading import decoder_of, encoder_of
from soundflow.unified.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Answered:
    """How long each thing took, and what was decided."""

    encoder_s: float
    decoder_s: float
    encode_s: float
    decide_s: float
    action: str


def answer_one(folder: Path) -> Answered:
    """Load both parts as a platform does, with room for one session."""
    checkpoint, runtime = open_checkpoint(folder), Runtime(device="cpu", sessions=1)
    began_s = time.perf_counter()
    encoder = encoder_of(checkpoint, runtime)
    encoder_s = time.perf_counter() - began_s
    decoder = decoder_of(checkpoint, runtime)
    decoder_s = time.perf_counter() - began_s - encoder_s

    chunk = Chunk("one", 0, np.random.default_rng(1).normal(0, 0.1, CHUNK_SAMPLES).astype("f4"))
    began_s = time.perf_counter()
    [(features, _)] = encoder.encode([(chunk, encoder.initial())])
    encode_s = time.perf_counter() - began_s
    verdict = _decide(decoder, features)
    decide_s = time.perf_counter() - began_s - encode_s
    return Answered(encoder_s, decoder_s, encode_s, decide_s, verdict.action)


def _decide(decoder: UnifiedDecoder, features: Features) -> Verdict:
    session = decoder.open(SessionSpec("Tell me what you hear."), ())
    queue = [features]
    while True:
        [verdict] = decoder.step([(session, queue)], ()).heard
        if isinstance(verdict, Exception):
            raise verdict
        if verdict is not None:
            return verdict
        queue = []


if __name__ == "__main__":
    print(json.dumps(asdict(answer_one(Path(sys.argv[1])))))
