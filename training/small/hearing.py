"""Stage `hearing`: the tower learns to spell what is said, by CTC over letters (Graves, 2006).

Nobody has to say when a letter is spoken; so this stage is quick, and what it leaves behind is what
the language model is then taught to read. Shape suffixes: B streams, P positions (20 ms), D width,
L letters of a text, V letters and the blank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import jiwer
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from soundflow.unified.audio_tower import CHUNK_POSITIONS
from soundflow.unified.small_tower import SmallTower
from training.learning.journal import Journal
from training.learning.optimiser import BETAS, rate
from training.small.alphabet import LETTERS, plain
from training.small.features import Half, load, load_about
from training.stages import HEARING
from training.whole import written_whole

BLANK = 0
PROGRESS = "hearing.pt"
# An eighth of a stream or so is masked, in pieces shorter than most words.
MASKED_EVERY = 60  # positions
LONGEST_MASK = 16  # positions


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingPlan:
    """What is to be done. positions: about as many in one step. every: steps between savings."""

    steps: int
    positions: int = 6_000
    every: int = 250
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one stream says, in `LETTERS`, and what is heard of it."""

    path: Path
    positions: int
    text: str

    def load(self) -> Half:
        """Read `(P, D)`."""
        return load(self.path).positions_PD


@dataclass(frozen=True, slots=True)
class Batch:
    """Streams side by side. lengths_B: in positions. letters: of all texts, one after the other."""

    positions_BPD: Tensor
    lengths_B: Tensor
    letters: Tensor
    counts_B: Tensor


class Speller(nn.Module):
    """The part of a tower that learns to spell; what it learns, the tower has."""

    def __init__(self, tower: SmallTower) -> None:
        super().__init__()
        self.adapter, self.head = tower.adapter, tower.speller

    def forward(self, positions_BPD: Tensor) -> Tensor:
        """Return the logits `(B, P, V)` of whole streams."""
        from_silence = functional.pad(positions_BPD, (0, 0, self.adapter.before, 0))
        logits_BPV: Tensor = self.head(self.adapter(from_silence))
        return logits_BPV


def spoken_of(paths: Sequence[Path], scenes: frozenset[str]) -> list[Spoken]:
    """Return the streams whose responses write down what is said."""
    found = []
    for path in paths:
        about = load_about(path)
        if about.scene in scenes and about.timeline.responses:
            positions = CHUNK_POSITIONS * about.timeline.chunks
            text = " ".join(plain(each.answer.text) for each in about.timeline.responses)
            found.append(Spoken(path, positions, " ".join(text.split())))
    return found


def learn(
    tower: SmallTower,
    streams: Sequence[Spoken],
    dev: Sequence[Spoken],
    plan: HearingPlan,
    folder: Path,
) -> None:
    """Train a tower in place, from wherever the run in the folder was left. FloatingPointError."""
    torch.manual_seed(plan.seed)
    speller = Speller(tower)
    optimiser = AdamW(speller.parameters(), betas=BETAS, weight_decay=HEARING.weight_decay)
    first = _restore(folder / PROGRESS, speller, optimiser)
    batches = _batches(streams, plan)
    with Journal(folder, first, plan.steps) as journal:
        for step in range(first, plan.steps):
            values = _step(speller, optimiser, batches.at(step), step, plan)
            kept = (step + 1) % plan.every == 0 or step + 1 == plan.steps
            if kept and dev:
                values |= spelling_errors(speller, dev)
            journal.tell(step, values)
            if kept:
                _save(folder / PROGRESS, step + 1, speller, optimiser)


def spelling_errors(speller: Speller, streams: Sequence[Spoken]) -> dict[str, float]:
    """Return the shares of letters and words that are wrong in the likeliest spelling."""
    written = []
    speller.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for stream in streams:
            positions_PD = torch.from_numpy(stream.load().astype(np.float32))
            written.append(spelt(speller(positions_PD[None])[0]))
    speller.train()
    texts = [stream.text for stream in streams]
    return {
        "dev_letters": float(jiwer.cer(texts, written)),
        "dev_words": float(jiwer.wer(texts, written)),
    }


def spelt(logits_PV: Tensor) -> str:
    """Return the likeliest letters, repetitions and blanks left out."""
    likeliest = [place for place, _ in groupby(logits_PV.argmax(-1).tolist())]
    return " ".join("".join(LETTERS[place - 1] for place in likeliest if place != BLANK).split())


@dataclass(frozen=True, slots=True)
class _Batches:
    """Streams of like length together, in another order each time all of them have been heard."""

    groups: Sequence[Sequence[Spoken]]
    seed: int

    def at(self, step: int) -> Batch:
        epoch, place = divmod(step, len(self.groups))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.groups))
        streams = self.groups[int(order[place])]
        rng = np.random.default_rng([self.seed, step, 1])
        heard = [_masked(stream.load().astype(np.float32), rng) for stream in streams]
        longest = max(map(len, heard))
        padded = [np.pad(each, ((0, longest - len(each)), (0, 0))) for each in heard]
        letters = [[1 + LETTERS.index(letter) for letter in stream.text] for stream in streams]
        return Batch(
            torch.from_numpy(np.stack(padded)),
            torch.tensor([len(each) for each in heard]),
            torch.tensor([letter for each in letters for letter in each]),
            torch.tensor([len(each) for each in letters]),
        )


def _batches(streams: Sequence[Spoken], plan: HearingPlan) -> _Batches:
    if not streams:
        raise ValueError("there is no speech to learn from")
    groups: list[list[Spoken]] = [[]]
    for stream in sorted(streams, key=lambda each: (each.positions, each.path.as_posix())):
        if groups[-1] and (len(groups[-1]) + 1) * stream.positions > plan.positions:
            groups.append([])
        groups[-1].append(stream)
    return _Batches(groups, plan.seed)


def _step(
    speller: Speller, optimiser: AdamW, batch: Batch, step: int, plan: HearingPlan
) -> dict[str, float]:
    learning_rate = rate(step, plan.steps, HEARING)
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    with torch.autocast("cpu", torch.bfloat16):
        logits_BPV = speller(batch.positions_BPD)
    chances_PBV = logits_BPV.float().log_softmax(-1).transpose(0, 1)
    loss = functional.ctc_loss(
        chances_PBV, batch.letters, batch.lengths_B, batch.counts_B, BLANK, zero_infinity=True
    )
    torch.autograd.backward(loss)
    gradient = float(clip_grad_norm_(speller.parameters(), HEARING.longest_gradient))
    if not np.isfinite(gradient):
        raise FloatingPointError(f"step {step}: {loss.item()=}, {gradient=}")
    optimiser.step()
    optimiser.zero_grad()
    return {"loss": loss.item(), "gradient": gradient, "learning_rate": learning_rate}


def _masked(positions_PD: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    for _ in range(len(positions_PD) // MASKED_EVERY):
        begin = int(rng.integers(len(positions_PD)))
        positions_PD[begin : begin + int(rng.integers(1, LONGEST_MASK + 1))] = 0
    return positions_PD


def _save(path: Path, step: int, speller: Speller, optimiser: AdamW) -> None:
    state = {"step": step, "speller": speller.state_dict(), "optimiser": optimiser.state_dict()}
    with written_whole(path) as partial:
        torch.save(state, partial)


def _restore(path: Path, speller: Speller, optimiser: AdamW) -> int:
    """Return how many steps were taken."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    speller.load_state_dict(state["speller"])
    optimiser.load_state_dict(state["optimiser"])
    step: int = state["step"]
    return step
