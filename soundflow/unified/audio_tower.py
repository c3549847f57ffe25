"""The audio tower: one chunk's log-mel frames to the frames that the language model hears.

Modules carry the names of the published weights. Shape suffixes: B chunks, M mel bands, T mel
frames (10 ms apart), P positions (20 ms), H heads, D width.
"""

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from soundflow.unified.logmel import CHUNK_FRAMES

CONVOLUTION_STRIDE = 2
CHUNK_POSITIONS = CHUNK_FRAMES // CONVOLUTION_STRIDE  # 20
POOLED = 2
CHUNK_OUTPUTS = CHUNK_POSITIONS // POOLED  # 10

LONGEST_WAVELENGTH = 10_000.0


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """What a tower is built by.

    output_width: that of the language model which hears it.
    context_chunks: how many chunks before its own each chunk sees; the published towers see none.
    """

    mels: int = 128
    width: int = 1280
    layers: int = 32
    heads: int = 20
    ffn: int = 5120
    output_width: int = 2048
    max_positions: int = 1500
    context_chunks: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "context_chunks" and getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name} is positive, got {getattr(self, field.name)}")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"{self.width=} must be even, and split among {self.heads=}")
        if self.context_chunks < 0 or self.window_positions > self.max_positions:
            raise ValueError(f"{self.context_chunks=} does not fit in {self.max_positions=}")

    @property
    def window_chunks(self) -> int:
        """How many chunks the tower looks at to encode one."""
        return 1 + self.context_chunks

    @property
    def window_positions(self) -> int:
        """How many positions those are."""
        return self.window_chunks * CHUNK_POSITIONS


class WhisperEncoder(nn.Module):
    """Whisper's encoder, over one window at a time.

    Positions count from the window's beginning, and nothing crosses its borders; so what is heard
    of a chunk depends on what is given with it, not on when in the session it came.
    """

    positions_PD: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.mels, config.width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(
            config.width, config.width, kernel_size=3, stride=CONVOLUTION_STRIDE, padding=1
        )
        positions_PD = _sinusoids(config.window_positions, config.width)
        self.register_buffer("positions_PD", positions_PD, persistent=False)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.ln_post = nn.LayerNorm(config.width)

    def hidden(self, windows_BMT: Tensor, chunk: int) -> Tensor:
        """Return the `(B, 20, width)` positions of one chunk, not yet normalised by `ln_post`.

        T is 40 for each of `window_chunks`, the oldest first. chunk: which of them.
        """
        expected = (self.config.mels, self.config.window_chunks * CHUNK_FRAMES)
        if windows_BMT.shape[1:] != expected:
            raise ValueError(f"a window is {expected}, got {windows_BMT.shape=}")
        hidden_BDT = F.gelu(self.conv1(windows_BMT))
        hidden_BPD = F.gelu(self.conv2(hidden_BDT)).transpose(1, 2)
        hidden_BPD = hidden_BPD + self.positions_PD.to(hidden_BPD)
        every, own = slice(None), slice(chunk * CHUNK_POSITIONS, (chunk + 1) * CHUNK_POSITIONS)
        for number, layer in enumerate(self.layers, start=1):
            # Behind the last layer nobody asks for the other chunks.
            hidden_BPD = layer(hidden_BPD, own if number == self.config.layers else every)
        return hidden_BPD


class AudioTower(WhisperEncoder):
    """The published tower: each window's newest chunk, pooled and projected."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.proj = nn.Linear(config.width, config.output_width)
        # The published files hold it; nothing that streams uses it.
        self.audio_bos_eos_token = nn.Embedding(2, config.output_width)

    def forward(self, windows_BMT: Tensor) -> Tensor:
        """Return the `(B, 10, output_width)` frames of each window's newest chunk."""
        return self.project(self.hear(windows_BMT))

    def hear(self, windows_BMT: Tensor) -> Tensor:
        """Return the `(B, 10, width)` that is projected into the language model."""
        own_BPD = self.hidden(windows_BMT, self.config.context_chunks)
        pooled_BPD = F.avg_pool1d(own_BPD.transpose(1, 2), POOLED).transpose(1, 2)
        heard_BPD: Tensor = self.ln_post(pooled_BPD)
        return heard_BPD

    def project(self, heard_BPD: Tensor) -> Tensor:
        """Return the `(B, 10, output_width)` frames of what was heard."""
        frames_BPD: Tensor = self.proj(heard_BPD)
        return frames_BPD


class _Layer(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.width)
        self.fc1 = nn.Linear(config.width, config.ffn)
        self.fc2 = nn.Linear(config.ffn, config.width)
        self.final_layer_norm = nn.LayerNorm(config.width)

    def forward(self, hidden_BPD: Tensor, wanted: slice) -> Tensor:
        attended_BPD = self.self_attn(self.self_attn_layer_norm(hidden_BPD), wanted)
        hidden_BPD = hidden_BPD[:, wanted] + attended_BPD
        inner_BPF = F.gelu(self.fc1(self.final_layer_norm(hidden_BPD)))
        output_BPD: Tensor = hidden_BPD + self.fc2(inner_BPF)
        return output_BPD


class _Attention(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width, bias=False)
        self.v_proj = nn.Linear(config.width, config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, hidden_BPD: Tensor, wanted: slice) -> Tensor:
        attended_BHPD = F.scaled_dot_product_attention(
            self._by_head(self.q_proj(hidden_BPD[:, wanted])),
            self._by_head(self.k_proj(hidden_BPD)),
            self._by_head(self.v_proj(hidden_BPD)),
        )
        output_BPD: Tensor = self.out_proj(attended_BHPD.transpose(1, 2).flatten(2))
        return output_BPD

    def _by_head(self, projected_BPD: Tensor) -> Tensor:
        batch, positions, width = projected_BPD.shape
        split = (batch, positions, self.heads, width // self.heads)
        return projected_BPD.view(split).transpose(1, 2)


def _sinusoids(positions: int, width: int) -> Tensor:
    """Return Whisper's `(P, D)`: sines, then cosines, the shortest wavelength first."""
    half = width // 2
    # On the CPU even where the weights are still to come: no file has this table.
    step_D = torch.arange(half, device="cpu") * (-math.log(LONGEST_WAVELENGTH) / (half - 1))
    angles_PD = torch.arange(positions, device="cpu")[:, None] * step_D.exp()
    return torch.cat([angles_PD.sin(), angles_PD.cos()], dim=1)
