"""A tiny run of training, as a process of its own: `python -m tests.training.tiny_run FOLDER …`."""

import argparse
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tests.training.tiny import Noise
from training.learning.example import Example, Source
from training.learning.loop import Keeping, train
from training.learning.plan import Plan
from training.learning.processes import joined
from training.stages import SCRATCH


@dataclass
class Deadly:
    """A source that sends its process a signal when its n-th example is read; 0: never."""

    source: Noise
    after: int
    signal: signal.Signals
    read: int = 0

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        self.read += 1
        if self.read == self.after:
            os.kill(os.getpid(), self.signal)
        return self.source[index]


def run(
    start: Path,
    folder: Path,
    *,
    kill_after: int = 0,
    kill_with: signal.Signals = signal.SIGKILL,
    piece: int = 2,
) -> None:
    """Train for eight steps of four examples, with checkpoints after three, six and eight."""
    torch.set_num_threads(1)
    plan = Plan(
        stage=replace(SCRATCH, learning_rate=3e-3, mix_ins={"silent": 0.5}),
        start=start,
        steps=8,
        batch=4,
        piece=piece,
        bf16=False,
    )
    sources: dict[str, Source] = {
        "base": Deadly(Noise(), kill_after, kill_with),
        "silent": Noise(7, first=100),
    }
    with joined() as processes:
        train(plan, sources, Keeping(folder=folder, every=3), processes)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("start", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-after", type=int, default=0)
    given = parser.parse_args()
    run(given.start, given.folder, kill_after=given.kill_after)


if __name__ == "__main__":
    main()
