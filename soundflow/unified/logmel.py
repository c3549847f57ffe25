"""Whisper's log-mel of many sessions at once, carried so that it equals that of all they said.

Shape suffixes: B sessions, N chunks, S samples, T frames (10 ms apart), W window, F frequency
bins, M mel bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from soundflow.audio import CHUNK_SAMPLES
from soundflow.frontend import (
    HANN_W,
    HOP_SAMPLES,
    WHISPER_FLOOR,
    WINDOW_SAMPLES,
    Array,
    whisper_mel,
)

CHUNK_FRAMES = CHUNK_SAMPLES // HOP_SAMPLES  # 40
HALF_WINDOW = WINDOW_SAMPLES // 2

# A frame is centred, so that a chunk's last one reaches 40 samples past the chunk. Until those
# arrive they are mirrored; then the frame is made again. Hence a chunk is looked at from one frame
# before it, and that frame reaches back by half a window.
TAIL_SAMPLES = HALF_WINDOW + HOP_SAMPLES  # 360
AHEAD_SAMPLES = HALF_WINDOW - HOP_SAMPLES  # 40

SILENT = float(np.log10(WHISPER_FLOOR))
RANGE = 8.0  # what lies further below the loudest value is raised to that


@dataclass(frozen=True, slots=True)
class MelState:
    """What a session carries over a chunk border.

    tail: `(TAIL_SAMPLES,)` newest samples; empty before the first chunk.
    peak: the loudest value of all frames that no later sample can change.
    recent: `(40 * context_chunks, M)` newest raw frames; before the session lies silence.
    """

    tail: Array
    peak: float
    recent: Array


class LogMel:
    """The log-mel of chunks as they arrive. context_chunks: how many older ones go with each."""

    def __init__(self, mels: int, context_chunks: int = 0) -> None:
        self.mels = mels
        self.context_frames = context_chunks * CHUNK_FRAMES
        self._filters_FM = torch.from_numpy(whisper_mel(mels)).T.contiguous()

    def initial(self) -> MelState:
        """Return the state of a session that has heard nothing."""
        recent_TM = np.full((self.context_frames, self.mels), SILENT, np.float32)
        return MelState(np.empty(0, np.float32), SILENT, recent_TM)

    def advance(self, pcm_BS: Array, states: Sequence[MelState]) -> tuple[Tensor, list[MelState]]:
        """Take one chunk of each session; return windows `(B, M, T)` and the next states.

        A window is the newest chunk behind its context, as if all that was heard were transformed
        anew and cut; T is 40 for each chunk in it.
        """
        pairs = zip(pcm_BS, states, strict=True)
        heard_BS = np.stack([np.concatenate([_before(pcm_S, s), pcm_S]) for pcm_S, s in pairs])
        raw_BTM = self._raw(torch.from_numpy(_mirrored(heard_BS)))
        raw_BTM[[not state.tail.size for state in states], 0] = SILENT  # it lies before the session
        recent_BTM = torch.from_numpy(np.stack([state.recent for state in states]))
        window_BTM = torch.cat([recent_BTM[:, :-1], raw_BTM], 1)[:, -self._window_frames :]
        settled_B = raw_BTM[:, :-1].amax((1, 2)).maximum(_peaks(states))
        peak_B = settled_B.maximum(raw_BTM[:, -1].amax(1))
        kept_BTM = window_BTM[:, CHUNK_FRAMES:].numpy()
        # Copies, as a view would keep the whole batch in memory.
        following = [
            MelState(heard_S[-TAIL_SAMPLES:].copy(), peak, kept_TM.copy())
            for heard_S, peak, kept_TM in zip(heard_BS, settled_B.tolist(), kept_BTM, strict=True)
        ]
        return _scaled(window_BTM, peak_B[:, None, None]).transpose(1, 2), following

    def whole(self, pcm_S: Array) -> Tensor:
        """Return the windows `(N, M, T)` of a clip of whole chunks that is known to its end."""
        edges_S = np.pad(pcm_S, HALF_WINDOW, mode="reflect")
        raw_TM = self._raw(torch.from_numpy(edges_S))[:-1]
        padded_TM = F.pad(raw_TM, (0, 0, self.context_frames, 0), value=SILENT)
        windows_NMT = padded_TM.unfold(0, self._window_frames, CHUNK_FRAMES)
        return _scaled(windows_NMT, raw_TM.max())

    def live(self, pcm_S: Array) -> Tensor:
        """Return the windows `(N, M, T)` of a clip of whole chunks as a live session gets them."""
        heard_NS = _overlapping(np.concatenate([_before(pcm_S, self.initial()), pcm_S]))
        raw_NTM = self._raw(torch.from_numpy(_mirrored(heard_NS)))
        raw_NTM[0, 0] = SILENT
        settled_N = raw_NTM[:, :-1].amax((1, 2)).cummax(0).values
        peak_N = settled_N.maximum(raw_NTM[:, -1].amax(1)).clamp_min(SILENT)
        # All frames as later chunks see them, behind silence; a chunk's own last one is not yet so.
        settled_TM = torch.cat([raw_NTM[:, :-1].flatten(0, 1)[1:], raw_NTM[-1, -1:]])
        padded_TM = F.pad(settled_TM, (0, 0, self.context_frames, 0), value=SILENT)
        windows_NMT = padded_TM.unfold(0, self._window_frames, CHUNK_FRAMES).clone()
        windows_NMT[:, :, -1] = raw_NTM[:, -1]
        return _scaled(windows_NMT, peak_N[:, None, None])

    @property
    def _window_frames(self) -> int:
        return self.context_frames + CHUNK_FRAMES

    def _raw(self, pcm: Tensor) -> Tensor:
        """Turn `(..., S)` samples into `(..., T, M)` log10 frames, of whole windows only."""
        spectrum_TF = torch.fft.rfft(pcm.unfold(-1, WINDOW_SAMPLES, HOP_SAMPLES) * _HANN_W)
        power_TF = spectrum_TF.real.square() + spectrum_TF.imag.square()
        mel_TM: Tensor = power_TF @ self._filters_FM
        return mel_TM.clamp_min(WHISPER_FLOOR).log10()


def mel(pcm_S: Array, bands: int = 128) -> Tensor:
    """Return the log-mel `(M, T)` of a clip of whole chunks, as the published models want it."""
    windows_NMT = LogMel(bands).whole(pcm_S)
    return windows_NMT.transpose(0, 1).flatten(1)


_HANN_W = torch.from_numpy(HANN_W)


def _before(pcm_S: Array, state: MelState) -> Array:
    """Return the samples before a chunk; the clip's beginning is mirrored, as Whisper does."""
    if state.tail.size:
        return state.tail
    return np.pad(pcm_S[HALF_WINDOW:0:-1], (TAIL_SAMPLES - HALF_WINDOW, 0))


def _mirrored(heard_BS: Array) -> Array:
    """Add, to each row, what is not yet there of its last frame."""
    return np.pad(heard_BS, ((0, 0), (0, AHEAD_SAMPLES)), mode="reflect")


def _overlapping(heard_S: Array) -> Array:
    """Return each chunk `(N, S)` behind its tail; the clip's first one is given with its own."""
    size = TAIL_SAMPLES + CHUNK_SAMPLES
    return np.lib.stride_tricks.sliding_window_view(heard_S, size)[::CHUNK_SAMPLES]


def _peaks(states: Sequence[MelState]) -> Tensor:
    return torch.tensor([state.peak for state in states])


def _scaled(raw: Tensor, peak: Tensor) -> Tensor:
    return (raw.maximum(peak - RANGE) + 4.0) / 4.0
