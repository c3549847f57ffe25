"""The four stages of training, as values: what learns, how fast, for how long, on what.

Steps and batches are the published ones, for 32 large GPUs; a run on less gives its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from training.loss import STREAM_WEIGHT

# The key of the streams that a stage is about, beside which others are mixed in.
BASE = "base"

_ADAPTER = ("encoder.ln_post.*", "encoder.proj.*")
_LANGUAGE_MODEL = ("decoder.*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage.

    learns: patterns of the parameters' names. learns_control_rows: of the embedding, the rows of
    the control tokens learn as well, the others stay. steps, batch: examples of one step, all
    processes together. mix_ins: for each stream of `base`, how many of another source on average.
    """

    name: str
    learns: tuple[str, ...]
    learns_control_rows: bool = False
    learning_rate: float
    steps: int
    batch: int
    mix_ins: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    stream_weight: float = STREAM_WEIGHT
    weight_decay: float = 0.01
    warmup_share: float = 0.03
    longest_gradient: float = 1.0


FORMAT = Stage(
    name="format",
    learns=("decoder.head.*",),
    learns_control_rows=True,
    learning_rate=1e-4,
    steps=5_000,
    batch=512,
)
ADAPTER = Stage(name="adapter", learns=_ADAPTER, learning_rate=1e-4, steps=20_000, batch=1024)
STREAMING = Stage(
    name="streaming",
    learns=(*_ADAPTER, *_LANGUAGE_MODEL),
    learning_rate=5e-5,
    steps=80_000,
    batch=1024,
)
INSTRUCTIONS = Stage(
    name="instructions",
    learns=(*_ADAPTER, *_LANGUAGE_MODEL),
    learning_rate=1e-5,
    steps=15_000,
    batch=512,
    mix_ins=MappingProxyType({"history": 0.30, "silent": 0.40, "proactive": 0.30}),
)
# Not of the paper: for a small model that begins with random weights.
SCRATCH = Stage(name="scratch", learns=("*",), learning_rate=1e-3, steps=2_000, batch=32)
# Both of the small model, whose ears are frozen but for the adapter (`training.small`). A batch of
# the first is streams of two minutes together, however many those are.
HEARING = Stage(
    name="hearing",
    learns=("encoder.adapter.*", "encoder.speller.*"),
    learning_rate=1.5e-3,
    steps=1_400,
    batch=1,
)
SMALL = Stage(
    name="small",
    learns=("encoder.proj.*", *_LANGUAGE_MODEL),
    learning_rate=1.5e-3,
    steps=2_000,
    batch=8,
    mix_ins=MappingProxyType({"sounds": 0.25, "proactive": 0.7, "silent": 0.25}),
)

STAGES: Mapping[str, Stage] = MappingProxyType(
    {stage.name: stage for stage in (FORMAT, ADAPTER, STREAMING, INSTRUCTIONS, SCRATCH)}
)
