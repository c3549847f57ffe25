"""Whether a checkpoint can be served: both sides of it loaded, and one chunk taken through them."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.checkpoint import CheckpointError
from soundflow.decoder import Decoder, Verdict
from soundflow.encoder import HEARD_NOTHING, encode_carried
from soundflow.features import Features
from soundflow.interaction import SessionSpec
from soundflow.models import load_decoder, load_encoder
from soundflow.serving.settings import ModelSettings

LOUDNESS = 0.1  # of the noise that it hears: silence may never reach all of a model


class TrialFailed(CheckpointError):
    """A model that was loaded to see whether it works, and does not."""


def try_out(model: str, *, called: str) -> None:
    """Load a model in a process of its own, and let it decide on a chunk. TrialFailed.

    So what it does to its process, running out of memory above all, is done to no other.
    called: how an error names it.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        try:
            pool.submit(_decide_on_noise, model).result()
        except BrokenProcessPool as error:
            raise TrialFailed(f"{called}: the process that loaded it was killed") from error
        except Exception as error:  # of whichever part of the model
            why = f"{type(error).__name__}: {error}"
            raise TrialFailed(f"{called} cannot be served: {why}") from error


def _decide_on_noise(model: str) -> None:
    around = ModelSettings().around()
    noise = np.random.default_rng(0).normal(0, LOUDNESS, CHUNK_SAMPLES).astype(np.float32)
    chunk = Chunk("trial", 0, noise, last=True)
    [encoded] = encode_carried(load_encoder(model, around), [(chunk, HEARD_NOTHING)])
    if isinstance(encoded, Exception):
        raise encoded
    decoder = load_decoder(model, around)
    decoder.start(lambda state: None)
    try:
        _decide(decoder, encoded[0])
    finally:
        decoder.stop()


def _decide(decoder: Decoder[Any], features: Features) -> None:
    session = decoder.open(SessionSpec(), ())
    queue: Sequence[Features] = (features,)
    verdict: Verdict | Exception | None = None
    while verdict is None:  # an undecided session is stepped again with nothing new
        [verdict] = decoder.step([(session, queue)], []).heard
        queue = ()
    if isinstance(verdict, Exception):
        raise verdict
