"""How a network does on streams that it does not learn from, while it learns from others."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.learning.batch import Batch, Targets
from training.learning.network import Network
from training.loss import losses


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Batches that nothing is learnt from; in every process the same ones.

    bf16: as in `training.learning.plan.Plan`.
    """

    batches: Sequence[Batch]
    bf16: bool

    def measure(self, network: Network, device: torch.device) -> dict[str, float]:
        """Return both losses, and the shares of the tokens of each that come out likeliest."""
        whole = sum((batch.targets for batch in self.batches), Targets(0, 0))
        measured = torch.zeros(4, device=device)
        network.eval()
        for batch in self.batches:
            measured += self._of(network, batch.to(device), whole)
        network.train()
        names = ("held_out_text", "held_out_stream", "text_right", "stream_right")
        return dict(zip(names, measured.tolist(), strict=True))

    @torch.no_grad()
    def _of(self, network: Network, batch: Batch, whole: Targets) -> torch.Tensor:
        with torch.autocast(batch.tokens_BT.device.type, torch.bfloat16, enabled=self.bf16):
            logits_NV = network(batch)
        found = losses(logits_NV, batch, whole)
        wanted_BT = batch.text_BT | batch.stream_BT
        is_text_N = batch.text_BT[wanted_BT]
        right_N = logits_NV.argmax(-1) == batch.tokens_BT[wanted_BT]
        return torch.stack(
            [
                found.text,
                found.stream,
                (right_N & is_text_N).sum() / max(whole.text, 1),
                (right_N & ~is_text_N).sum() / max(whole.stream, 1),
            ]
        )
