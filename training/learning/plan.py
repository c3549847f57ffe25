"""What a run of training is to do: written beside what it makes, so that it can be repeated."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from training.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to do; a run that goes on must have the same.

    start: the checkpoint's folder that it begins from. piece: examples of one forward. bf16: the
    forward's products in bfloat16; weights and their updates stay float32. lora_rank: 0 = none.
    """

    stage: Stage
    start: Path
    steps: int
    batch: int
    piece: int
    seed: int = 0
    bf16: bool = True
    lora_rank: int = 0

    def described(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        stage = {field.name: getattr(self.stage, field.name) for field in fields(self.stage)}
        plain = {"learns": list(self.stage.learns), "mix_ins": dict(self.stage.mix_ins)}
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"start": str(self.start.resolve()), "stage": stage | plain}
