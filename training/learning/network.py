"""Both halves as one module: what is heard and what is written in, logits of the targets out.

Shape suffixes: B examples, T positions, N blocks, P frames of a chunk, W width of what a tower
hears, D width, V vocabulary.
"""

from torch import Tensor, nn

from soundflow.unified.tokens import ControlTokens
from soundflow.unified.towers import Tower
from soundflow.unified.transformer import LanguageModel
from training.learning.batch import Batch


class Network(nn.Module):
    """The unified model in training; its parameters carry the names of our own folder.

    In place of the embeddings of `pad` and, in offline sequences, `audio_pad` come frames.
    """

    def __init__(self, encoder: Tower, decoder: LanguageModel, control: ControlTokens) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self._heard_as = (control.pad, control.audio_pad)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits `(n, V)` of the batch's targets, row by row in the order of positions."""
        embedded_BTD = self._embedded(batch)
        wanted_BT = batch.text_BT | batch.stream_BT
        # What predicts a token is the position before it; no example's first token is a target.
        before_BT = wanted_BT.roll(-1, dims=1)
        logits: Tensor = self.decoder(embedded_BTD, before_BT)
        return logits

    def _embedded(self, batch: Batch) -> Tensor:
        embedded_BTD: Tensor = self.decoder.embedding(batch.tokens_BT)
        if batch.heard_NPW is None:
            frames_NPD = self.encoder(batch.windows_NMF)
        else:
            frames_NPD = self.encoder.project(batch.heard_NPW)
        frames = frames_NPD.flatten(0, 1).to(embedded_BTD.dtype)
        pad, audio_pad = self._heard_as
        heard_BT = (batch.tokens_BT == pad) | (batch.tokens_BT == audio_pad)
        return embedded_BTD.masked_scatter(heard_BT[..., None], frames)
