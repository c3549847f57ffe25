"""A whole clip through the small tower at once, as live sessions hear it; for training.

Shape suffixes: N chunks, S samples, M mel bands, T mel frames, P positions, D width, G groups.
"""

import numpy as np
import torch
from torch import Tensor

from soundflow.frontend import YAMNET_LOG_OFFSET, Array, Carry, yamnet_log_mel, yamnet_mel
from soundflow.unified.logmel import CHUNK_FRAMES, LogMel
from soundflow.unified.small_tower import SmallTower
from soundflow.unified.yamnet import PATCH_FRAMES

# Frames of silence that lie before a session, as YAMNet hears it.
PATCH_SILENCE = float(np.log(YAMNET_LOG_OFFSET))
PATCH_CARRY_FRAMES = PATCH_FRAMES - CHUNK_FRAMES
YAMNET_MEL = yamnet_mel()

# Windows at once: a few megabytes, which stay in the cache.
BATCH_CHUNKS = 32


def hear(tower: SmallTower, pcm_S: Array) -> Tensor:
    """Return what is heard of a clip of N whole chunks, `(N, 10, heard_width)` float32."""
    with torch.no_grad():
        positions_PD, groups_NG = listen(tower, pcm_S)
        return tower.hear_all(positions_PD[None], groups_NG[None])[0].float()


def listen(tower: SmallTower, pcm_S: Array) -> tuple[Tensor, Tensor]:
    """Return the frozen part: positions `(20 N, width)`, and groups `(N, G)` from 0 to 1.

    A chunk's 20 positions are of the chunk `lookahead_chunks` before it. Their type is the tower's.
    """
    weight = tower.adapter.enter.weight
    windows_NMT = LogMel(tower.config.mels, tower.config.context_chunks).live(pcm_S)
    patches_NTM = patches(pcm_S)
    positions, groups = [], []
    with torch.no_grad():
        for windows_BMT in torch.split(windows_NMT, BATCH_CHUNKS):
            positions.append(tower.listen(windows_BMT.to(weight)).flatten(0, 1))
        for patches_BTM in torch.split(patches_NTM, BATCH_CHUNKS):
            groups.append(tower.tag(patches_BTM.to(weight)))
    return torch.cat(positions), torch.cat(groups)


def patches(pcm_S: Array) -> Tensor:
    """Return the YAMNet patch `(N, 96, 64)` that ends with each chunk."""
    frames_TM, _ = yamnet_log_mel(pcm_S, Carry.empty(), YAMNET_MEL)
    silence = ((PATCH_CARRY_FRAMES, 0), (0, 0))
    padded_TM = np.pad(frames_TM, silence, constant_values=PATCH_SILENCE)
    patches_NMT = torch.from_numpy(padded_TM).unfold(0, PATCH_FRAMES, CHUNK_FRAMES)
    return patches_NMT.transpose(1, 2)
