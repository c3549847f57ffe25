"""A unified model on random weights whose many sessions listen and speak by a script.

All that a trained one computes is computed; only which token follows is then decided here.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.scripted_model import CONTROL
from soundflow.unified.config import DecoderConfig
from soundflow.unified.pages import Lane
from soundflow.unified.transformer import LanguageModel

SURE = 1e4  # added to the logit of what the script wants
FIRST_LETTER, LETTERS = 65, 26


class ScriptedSessions(LanguageModel):
    """Answers a block with `silent`, or with a turn of `turn_tokens` letters where `responds` says.

    responds: given the number of a session, as they came, and of its block.
    said, positions: tokens of text and positions of all sessions so far.
    """

    def __init__(self, config: DecoderConfig, turn_tokens: int) -> None:
        super().__init__(config)
        self.responds: Callable[[int, int], bool] = lambda session, block: False
        self.said = self.positions = 0
        self._turn_tokens = turn_tokens
        self._scripts: dict[Lane, Script] = {}

    @torch.inference_mode()
    def extend(self, batch: Sequence[tuple[Lane, Tensor]]) -> Tensor:
        """Return the model's own logits, but for what the script wants."""
        logits = super().extend(batch)
        newest = torch.stack([embedded[-1] for _, embedded in batch])
        asked = (newest == self.embedding.weight[CONTROL.assistant]).all(dim=1).tolist()
        wanted = [self._next(lane, block) for (lane, _), block in zip(batch, asked, strict=True)]
        rows = torch.arange(len(batch), device=logits.device)
        logits[rows, torch.tensor(wanted, device=logits.device)] += SURE
        self.positions += sum(len(embedded) for _, embedded in batch)
        return logits

    def forget(self) -> None:
        """Let the sessions that come next be the first ones."""
        self._scripts.clear()

    def _next(self, lane: Lane, block: bool) -> int:
        script = self._scripts.setdefault(lane, Script(len(self._scripts)))
        if not block:
            script.left -= 1
            self.said += script.left >= 0
            return FIRST_LETTER + script.left % LETTERS if script.left >= 0 else CONTROL.text_end
        if script.left > 0:  # who speaks looks at what waits, and goes on
            return CONTROL.silence
        script.blocks += 1
        if not self.responds(script.session, script.blocks):
            return CONTROL.silence
        script.left = self._turn_tokens
        return CONTROL.text_begin


class Script:
    """Where a session is. left: letters of its turn that are still to be said."""

    __slots__ = ("blocks", "left", "session")

    def __init__(self, session: int) -> None:
        self.session = session
        self.blocks = self.left = 0
