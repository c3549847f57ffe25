"""`python -m training.train STAGE --from CHECKPOINT --data CORPUS --to RUN`: train one stage.

Under torchrun it takes all its processes: `torchrun --nproc-per-node 8 -m training.train …`. Given
the same run again, it goes on where that was left.
"""

import argparse
import sys
from pathlib import Path

from soundflow.checkpoint import CheckpointError
from soundflow.checkpoint.folder import open_checkpoint
from soundflow.unified.loading import settings_for
from training.data import open_sources
from training.learning.loop import Keeping, PlanChanged, train
from training.learning.plan import Plan
from training.learning.processes import joined
from training.stages import STAGES


def main() -> None:
    """Train; say in a line what is wrong with what was given."""
    given = _parser().parse_args()
    stage = STAGES[given.stage]
    batch = given.batch or stage.batch
    plan = Plan(
        stage=stage,
        start=given.start,
        steps=given.steps or stage.steps,
        batch=batch,
        piece=min(given.piece, batch),
        seed=given.seed,
        bf16=not given.float32,
        lora_rank=given.lora_rank,
    )
    keeping = Keeping(folder=given.to, every=given.every, kept=given.kept, workers=given.workers)
    try:
        checkpoint = open_checkpoint(given.start)
        text_tokens, settings = checkpoint.read_tokenizer(), settings_for(checkpoint)
        sources = open_sources(given.data, checkpoint.control, text_tokens, settings)
        with joined() as processes:
            train(plan, sources, keeping, processes)
    except (CheckpointError, FloatingPointError, PlanChanged, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument(
        "--from", dest="start", type=Path, required=True, help="the checkpoint to begin with"
    )
    parser.add_argument("--data", type=Path, required=True, help="a corpus: a folder of rows")
    parser.add_argument("--to", type=Path, required=True, help="the run's folder")
    parser.add_argument("--steps", type=_count, help="in place of the stage's")
    parser.add_argument("--batch", type=_count, help="examples of a step, in place of the stage's")
    parser.add_argument("--piece", type=_count, default=4, help="examples of one forward")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=_count, default=500, help="steps between checkpoints")
    parser.add_argument("--kept", type=_count, default=2, help="how many checkpoints stay")
    parser.add_argument("--workers", type=int, default=0, help="processes that read ahead")
    parser.add_argument("--lora-rank", type=int, default=0, help="LoRA, for large models")
    parser.add_argument("--float32", action="store_true", help="no bfloat16, even in products")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"it is counted from 1 on, got {count}")
    return count


if __name__ == "__main__":
    main()
