"""How many chunks one thread encodes in a second of its own, by how many sessions share a pass.

`python -m bench.encoder_rate MODEL`: a model's name, or a checkpoint's folder.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.encoder import Encoder
from soundflow.models import load_encoder

BATCHES = (1, 8, 64)
LEAST_S = 3.0


def encoder_rates(encoder: Encoder[Any]) -> Mapping[int, float]:
    """Return chunks per second of processor for each size of batch; states are carried on."""
    return {size: _rate(encoder, size) for size in BATCHES}


def _rate(encoder: Encoder[Any], size: int) -> float:
    random = np.random.default_rng(size)
    pcm = random.uniform(-0.1, 0.1, (size, CHUNK_SAMPLES)).astype(np.float32)
    states = [encoder.initial() for _ in range(size)]
    passes, began_s = -1, 0.0  # the first pass warms up
    while passes < 1 or time.process_time() - began_s < LEAST_S:
        if passes == 0:
            began_s = time.process_time()
        chunks = [Chunk(str(place), passes + 1, one) for place, one in enumerate(pcm)]
        encoded = encoder.encode(list(zip(chunks, states, strict=True)))
        states = [state for _, state in encoded]
        passes += 1
    return passes * size / (time.process_time() - began_s)


def main() -> None:
    """Print what a chunk costs in a model's encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name, or a checkpoint's folder")
    model: str = parser.parse_args().model
    torch.set_num_threads(1)
    for size, rate in encoder_rates(load_encoder(model)).items():
        print(f"{size:>2} sessions in a pass: {1000 / rate:.1f} ms of one thread a chunk")


if __name__ == "__main__":
    main()
