"""Whether who speaks has finished: Smart Turn v3.2, from log-mel frames instead of PCM.

Shape suffixes: T frames (10 ms apart), M mel bands, F frequency bins.
"""

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from soundflow import checkpoint
from soundflow.frontend import (
    HANN_W,
    WHISPER_FFT,
    WHISPER_FLOOR,
    whisper_mel,
    whisper_normalise,
)

MODEL = "smart-turn"
FILE = "smart-turn-v3.2-cpu.onnx"
MELS = 80
FRAMES = 800  # 8 s
VARIANCE_FLOOR = 1e-7
LOG_FLOOR = np.float32(np.log10(WHISPER_FLOOR))

Array = NDArray[np.float32]


class TurnEnd:
    """The model, about 25 ms of one core a call. May be called from several threads."""

    def __init__(self, folder: Path | None = None, *, intra_threads: int = 1) -> None:
        """Load the model from `folder`, by default from the models' cache.

        Raises `checkpoint.CheckpointError`.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = intra_threads
        options.inter_op_num_threads = 1
        path = (folder or checkpoint.locate(MODEL)) / FILE
        self._session = ort.InferenceSession(str(path), options)
        self._variance_weights_M = _variance_weights(whisper_mel(MELS))

    def score(self, log_mel_TM: Array) -> float:
        """Return the probability that the turn which these frames end with is complete.

        log_mel_TM: raw log10 frames of `whisper_log_mel` with 80 bands, up to and with the pause
        that made one ask (some 200 ms); the last 8 s count. The model is an int8 one, and jumpy:
        a millionth more at its input moves the score by 0.03 on average, and at times by 0.4.
        """
        if log_mel_TM.ndim != 2 or log_mel_TM.shape[1] != MELS or not len(log_mel_TM):
            raise ValueError(f"frames are (T, {MELS}), at least one, got {log_mel_TM.shape=}")
        features = self.features(log_mel_TM)
        (probability,) = self._session.run(None, {"input_features": features[None]})
        return float(probability.item())

    def features(self, log_mel_TM: Array) -> Array:
        """Return the model's `(80, 800)` input.

        The model was trained on 8 s of audio, silence in front where there is less, scaled to
        variance 1. A gain on audio is a constant added to its log-mel, and the frames tell the
        variance: by Parseval, and because a voice has no mean to speak of.
        """
        heard_TM = log_mel_TM[-FRAMES:]
        power_TM = np.where(heard_TM > LOG_FLOOR, 10.0**heard_TM, 0.0)
        variance = float((power_TM @ self._variance_weights_M).sum()) / FRAMES
        gain = np.float32(-np.log10(variance + VARIANCE_FLOOR))
        scaled_TM = np.full((FRAMES, MELS), LOG_FLOOR, np.float32)
        # Digital silence is at the floor before the gain and after it.
        scaled_TM[-len(heard_TM) :] = np.where(heard_TM > LOG_FLOOR, heard_TM + gain, LOG_FLOOR)
        return np.ascontiguousarray(whisper_normalise(scaled_TM).T)


def _variance_weights(mel_MF: Array) -> Array:
    """Return what turns one frame's mel power into the mean square of its samples.

    Weighted so, the overlapping bands count every bin once; the two end bins do not matter.
    """
    inner_FM = mel_MF.T[1:-1]
    once_M = np.linalg.lstsq(inner_FM, np.ones(len(inner_FM), np.float32), rcond=None)[0]
    both_sides = 2.0  # the bins of negative frequency hold the same again
    weights_M: Array = once_M * (both_sides / (WHISPER_FFT * np.square(HANN_W).sum()))
    return weights_M
