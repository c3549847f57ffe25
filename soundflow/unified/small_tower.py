"""The small model's tower: Whisper tiny's encoder and YAMNet, frozen, and what learns behind them.

What is heard of a chunk is 10 vectors. Each is two positions of the adapter, which reads Whisper's
encoder one chunk late, so that each position has had 0.4 s or more of what follows it; how likely
each letter is in either; and how likely YAMNet finds each group of sounds in the newest 0.96 s.
Shape suffixes: B chunks, M mel bands, T mel frames (10 ms), P positions (20 ms), D width, L letters
with the blank, G groups of sounds.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from soundflow.cascade.sound_classes import places
from soundflow.unified.adapter import Adapter
from soundflow.unified.audio_tower import (
    CHUNK_OUTPUTS,
    POOLED,
    EncoderConfig,
    WhisperEncoder,
)
from soundflow.unified.sound_groups import SOUND_GROUPS
from soundflow.unified.yamnet import Yamnet


@dataclass(frozen=True, slots=True)
class SmallTowerConfig:
    """What a small tower is built by; the defaults are Whisper tiny's and YAMNet's.

    context_chunks: how many chunks before the newest one a window holds.
    lookahead_chunks: how many chunks late a chunk's positions are taken.
    adapter_*, kernel: see `Adapter`. letters: that are told apart, with the blank between them.
    projection: width inside the MLP behind what is heard.
    tagger_channels: of YAMNet's first layer. output_width: the language model's.
    """

    mels: int = 80
    width: int = 384
    layers: int = 4
    heads: int = 6
    ffn: int = 1536
    context_chunks: int = 3
    lookahead_chunks: int = 1
    tagger_channels: int = 32
    adapter_width: int = 320
    adapter_ffn: int = 960
    adapter_blocks: int = 4
    kernel: int = 9
    letters: int = 39
    projection: int = 512
    output_width: int = 256

    def __post_init__(self) -> None:
        self.whisper  # noqa: B018  # its own checks
        if not 0 <= self.lookahead_chunks <= self.context_chunks:
            raise ValueError(f"0 <= {self.lookahead_chunks=} <= {self.context_chunks=}")

    @property
    def whisper(self) -> EncoderConfig:
        """The shape of its Whisper encoder."""
        return EncoderConfig(
            mels=self.mels,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            ffn=self.ffn,
            context_chunks=self.context_chunks,
        )

    @property
    def chances(self) -> int:
        """How many numbers of what is heard are from 0 to 1: letters, groups; they are its last."""
        return POOLED * self.letters + len(SOUND_GROUPS)

    @property
    def heard_width(self) -> int:
        """How many numbers one of a chunk's ten vectors has."""
        return POOLED * self.adapter_width + self.chances


class SmallTower(nn.Module):
    """See the module. A session's chunks are to be given in their order; it carries nothing."""

    def __init__(self, config: SmallTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.whisper = WhisperEncoder(config.whisper)
        self.yamnet = Yamnet(config.tagger_channels)
        self.adapter = Adapter(
            config.width,
            config.adapter_width,
            config.adapter_ffn,
            config.adapter_blocks,
            config.kernel,
        )
        self.speller = nn.Linear(config.adapter_width, config.letters)
        self.proj = nn.Sequential(
            nn.Linear(config.heard_width, config.projection),
            nn.GELU(),
            nn.Linear(config.projection, config.output_width),
        )
        self._groups = [places(names).tolist() for names in SOUND_GROUPS.values()]

    def listen(self, windows_BMT: Tensor) -> Tensor:
        """Return the Whisper positions `(B, 20, width)` of the chunk that each window is late for.

        windows: `(B, mels, 40 * (context_chunks + 1))` log-mel, the oldest chunk first. Frozen.
        """
        late = self.config.context_chunks - self.config.lookahead_chunks
        positions_BPD: Tensor = self.whisper.ln_post(self.whisper.hidden(windows_BMT, late))
        return positions_BPD

    def tag(self, patches_BTM: Tensor) -> Tensor:
        """Return how likely each group is, `(B, G)`, in YAMNet's patches `(B, 96, 64)`. Frozen."""
        scores_BC = self.yamnet(patches_BTM).sigmoid()
        return torch.stack([scores_BC[:, classes].amax(1) for classes in self._groups], dim=1)

    def hear(self, positions_BPD: Tensor, groups_BNG: Tensor) -> Tensor:
        """Return what is heard of N chunks in a row, `(B, N, 10, heard_width)`.

        positions: `(B, adapter.before + 20 N, width)`, with those before the first chunk; before a
        session lie zeros. groups: `(B, N, G)`.
        """
        batch, chunks, groups = groups_BNG.shape
        adapted_BPD = self.adapter(positions_BPD)
        letters_BPL = self.speller(adapted_BPD).softmax(-1)
        frames = [
            each.reshape(batch, chunks, CHUNK_OUTPUTS, -1) for each in (adapted_BPD, letters_BPL)
        ]
        tags = groups_BNG[:, :, None].expand(-1, -1, CHUNK_OUTPUTS, groups)
        return torch.cat([*frames, tags], dim=-1)

    def hear_all(self, positions_BPD: Tensor, groups_BNG: Tensor) -> Tensor:
        """Return what is heard of sessions from their first chunk on; positions: `(B, 20 N, D)`."""
        return self.hear(F.pad(positions_BPD, (0, 0, self.adapter.before, 0)), groups_BNG)

    def project(self, heard: Tensor) -> Tensor:
        """Return the frames `(..., output_width)` of what was heard, `(..., heard_width)`."""
        frames: Tensor = self.proj(heard)
        return frames
