"""The published tower on its golden weights, and what the golden conversation heard."""

from functools import cache

import numpy as np
import torch

from soundflow.unified.audio_tower import AudioTower, EncoderConfig
from soundflow.unified.logmel import CHUNK_FRAMES
from tests import golden

# What log-mel makes of zeros: log10 of the floor, 1e-10, as Whisper scales it.
SILENCE = (-10.0 + 4.0) / 4.0
SILENT_CHUNKS = 3  # 1 s, padded


def encoder_config() -> EncoderConfig:
    """Return the golden tower's configuration."""
    fields = golden.encoder_fields()
    return EncoderConfig(
        mels=fields["num_mel_bins"],
        width=fields["d_model"],
        layers=fields["encoder_layers"],
        heads=fields["encoder_attention_heads"],
        ffn=fields["encoder_ffn_dim"],
        output_width=fields["output_dim"],
        max_positions=fields["max_source_positions"],
    )


def tower() -> AudioTower:
    """Return the golden tower, as for inference."""
    made = AudioTower(encoder_config())
    weights = golden.encoder_weights()
    made.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    return made.eval().requires_grad_(False)


@cache
def conversation() -> golden.Floats:
    """Return the features `(58, 10, D)` of the chunks that `golden.turns` answers.

    The clip, 1 s of zeros, and both again, each encoded on its own, as a whole.
    """
    silent = torch.full((1, encoder_config().mels, CHUNK_FRAMES), SILENCE)
    silence = np.repeat(tower()(silent).numpy(), SILENT_CHUNKS, axis=0)
    clip = golden.features_whole()
    return np.concatenate([clip, silence, clip, silence])
