"""A small unified model on random weights that answers by a script, so that its work is known.

All that a trained one computes is computed; only which token follows is then decided here.
"""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from soundflow.unified.audio_tower import AudioTower, EncoderConfig
from soundflow.unified.config import DecoderConfig
from soundflow.unified.pages import Lane
from soundflow.unified.tokens import ControlTokens, TextTokens
from soundflow.unified.transformer import LanguageModel

BYTES = 256
CONTROL = ControlTokens(
    user=256, assistant=257, silence=258, pad=259, online=260, offline=261, english=262, happy=263,
    sad=264, angry=265, surprise=266, normal=267, urgent=268, text_end=269, text_begin=270,
    system=270, audio_pad=271, audio_begin=272, audio_end=273,
)  # fmt: skip

ENCODER = EncoderConfig(mels=128, width=128, layers=2, heads=4, ffn=512, output_width=128)
DECODER = DecoderConfig(
    layers=2, width=128, heads=4, kv_heads=2, head_width=32, ffn=384, vocabulary=274,
    max_positions=1 << 16,
)  # fmt: skip


class ScriptedModel(LanguageModel):
    """Answers a block with `silent`, or where `respond` is set with a turn of `turn_tokens`.

    For one session at a time. positions: how many it was given so far.
    """

    def __init__(self, turn_tokens: int) -> None:
        super().__init__(DECODER)
        self.respond = False
        self.positions = 0
        self._turn_tokens = turn_tokens
        self._said = 0

    def extend(self, batch: Sequence[tuple[Lane, Tensor]]) -> Tensor:
        """Return the model's own logits, but for what the script wants."""
        logits = super().extend(batch).clone()
        self.positions += sum(len(embedded) for _, embedded in batch)
        for following, (_, embedded) in zip(logits, batch, strict=True):
            wanted = self._wanted(embedded[-1])
            # Else its own choice, among letters.
            raised = following[:BYTES] if wanted is None else following[wanted : wanted + 1]
            raised += 1000.0
        return logits

    def _wanted(self, newest: Tensor) -> int | None:
        """Return what follows a token, given its embedding."""
        if torch.equal(newest, self.embedding.weight[CONTROL.assistant]):
            self._said = 0
            return CONTROL.text_begin if self.respond else CONTROL.silence
        self._said += 1
        return CONTROL.text_end if self._said > self._turn_tokens else None


def scripted_model(turn_tokens: int) -> tuple[AudioTower, ScriptedModel]:
    """Make the two, the same every time."""
    torch.manual_seed(1)
    return AudioTower(ENCODER), ScriptedModel(turn_tokens).eval()


def letters() -> TextTokens:
    """Make a tokeniser whose pieces are single bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return TextTokens(tokenizer, CONTROL)
