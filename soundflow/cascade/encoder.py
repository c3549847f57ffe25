"""The cascade's ears: log-mel for Whisper, sound classes by YAMNet, speech by Silero, loudness.

Shape suffixes: S samples, T frames (10 ms apart), M mel bands, C sound classes, V VAD windows.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.checkpoint import locate
from soundflow.features import Features, TensorSpec
from soundflow.frontend import (
    HOP_SAMPLES,
    WHISPER_CARRY_SAMPLES,
    YAMNET_CARRY_SAMPLES,
    YAMNET_MELS,
    Array,
    Carry,
    whisper_log_mel,
    whisper_mel,
    yamnet_log_mel,
    yamnet_mel,
)

WHISPER_MELS = 80
FRAMES = CHUNK_SAMPLES // HOP_SAMPLES  # 40

# YAMNet hears patches of 0.96 s; the newest one ends with the chunk.
PATCH_FRAMES = 96
PATCH_CARRY_FRAMES = PATCH_FRAMES - FRAMES  # 56
# How the int8 graph numbers its input and its logits: its initialisers `audio_scale` and
# `class_scores_scale` with their `_zero_point`s. The graph's SHA-256 is pinned with the weights.
AUDIO_SCALE, AUDIO_ZERO = 0.047937885, 144
LOGIT_SCALE, LOGIT_ZERO = 0.7565417, 190
SOUND_CLASSES = 521
# The probability of each of the 256 values that a class's logit can take.
SCORES = (1.0 / (1.0 + np.exp(-LOGIT_SCALE * (np.arange(256) - LOGIT_ZERO)))).astype(np.float32)

# Silero judges windows of 32 ms, each with the last 4 ms of the one before it.
VAD_WINDOW_SAMPLES = 512
VAD_CONTEXT_SAMPLES = 64
VAD_CELLS = 128

QUIETEST_DB = -100.0
STATE_VERSION = 1

Patch = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CascadeState:
    """What a session carries over a chunk border; about 10 KB.

    patch: `(56, 64)` newest YAMNet frames, already as the graph's uint8.
    vad_tail: `(64 + n,)` samples not yet in a finished VAD window, after their context.
    vad_hidden, vad_cell: `(1, 1, 128)` the VAD's LSTM.
    """

    whisper: Carry
    yamnet: Carry
    patch: Patch
    vad_tail: Array
    vad_hidden: Array
    vad_cell: Array


class CascadeEncoder:
    """Implement `soundflow.encoder.Encoder[CascadeState]` with pretrained parts, on one thread.

    The tensors of a chunk, all float32:
    `log_mel` (40, 80): raw log10, 10 ms late; see `soundflow.frontend.whisper_log_mel`.
    `sound_scores` (521,): YAMNet's probabilities over the 0.96 s that end with the chunk; digital
    silence is taken to lie before the stream.
    `speech` (12 or 13,): Silero's probability for each 32 ms window finished in the chunk.
    `level_db` (1,): RMS of the chunk in dB below full scale, at least -100.
    """

    tensors = (
        TensorSpec("log_mel", "float32", (FRAMES, WHISPER_MELS)),
        TensorSpec("sound_scores", "float32", (SOUND_CLASSES,)),
        TensorSpec("speech", "float32", (-1,)),
        TensorSpec("level_db", "float32", (1,)),
    )

    def __init__(self, yamnet: Path, silero: Path) -> None:
        """Load the two graphs from their folders."""
        # Both graphs take one session a call: YAMNet's batch is fixed at one, and Silero's is given
        # all of a chunk's windows at once, twice as fast as window by window over eight sessions.
        self._yamnet = _session(yamnet / "yamnet.onnx")
        self._silero = _session(silero / "silero_vad_16k_sequence.onnx")
        self._whisper_mel = whisper_mel(WHISPER_MELS)
        self._yamnet_mel = yamnet_mel()

    @classmethod
    def pretrained(cls) -> "CascadeEncoder":
        """Load the default weights; errors as `soundflow.checkpoint.locate`."""
        return cls(locate("yamnet"), locate("silero-vad"))

    def initial(self) -> CascadeState:
        """Return the state of a session that has heard nothing."""
        return CascadeState(
            whisper=Carry.empty(),
            yamnet=Carry.empty(),
            patch=_quantised(np.full((PATCH_CARRY_FRAMES, YAMNET_MELS), np.log(0.001))),
            vad_tail=np.zeros(VAD_CONTEXT_SAMPLES, np.float32),
            vad_hidden=np.zeros((1, 1, VAD_CELLS), np.float32),
            vad_cell=np.zeros((1, 1, VAD_CELLS), np.float32),
        )

    def encode(
        self, batch: Sequence[tuple[Chunk, CascadeState]]
    ) -> list[tuple[Features, CascadeState]]:
        """Encode one chunk of each session, one after the other."""
        return [self._encode(chunk, state) for chunk, state in batch]

    def dump(self, state: CascadeState) -> bytes:
        """Serialise a state as an npz archive."""
        file = io.BytesIO()
        np.savez(
            file,
            version=np.array(STATE_VERSION),
            whisper=state.whisper.tail,
            yamnet=state.yamnet.tail,
            patch=state.patch,
            vad_tail=state.vad_tail,
            vad_hidden=state.vad_hidden,
            vad_cell=state.vad_cell,
        )
        return file.getvalue()

    def load(self, data: bytes) -> CascadeState:
        """Restore what `dump` wrote; ValueError when it was not written by this encoder."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as saved:
                arrays = dict(saved)
        except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"not a cascade encoder's state: {error}") from error
        return _restored(arrays)

    def _encode(self, chunk: Chunk, state: CascadeState) -> tuple[Features, CascadeState]:
        log_mel_TM, whisper = whisper_log_mel(chunk.pcm, state.whisper, self._whisper_mel)
        sound_TM, yamnet = yamnet_log_mel(chunk.pcm, state.yamnet, self._yamnet_mel)
        patch_TM = np.concatenate([state.patch, _quantised(sound_TM)])
        heard_S = np.concatenate([state.vad_tail, chunk.pcm])
        speech_V, hidden, cell = self._silero.run(
            None, {"input": _vad_windows(heard_S), "h": state.vad_hidden, "c": state.vad_cell}
        )
        tensors = {
            "log_mel": log_mel_TM,
            "sound_scores": self._sound_scores(patch_TM),
            "speech": speech_V,
            "level_db": _level_db(chunk.pcm),
        }
        tail = heard_S[len(speech_V) * VAD_WINDOW_SAMPLES :]
        features = Features(chunk.session_id, chunk.index, tensors, chunk.last)
        return features, CascadeState(whisper, yamnet, patch_TM[FRAMES:], tail, hidden, cell)

    def _sound_scores(self, patch_TM: Patch) -> Array:
        (logits_1C,) = self._yamnet.run(None, {"audio": patch_TM[None, None]})
        scores_C: Array = SCORES[logits_1C[0]]
        return scores_C


def _session(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph for one thread that sleeps, rather than spins, between calls."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # the published graphs carry unused initialisers, each a warning
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _quantised(sound_TM: NDArray[np.floating]) -> Patch:
    return np.clip(np.round(sound_TM / AUDIO_SCALE + AUDIO_ZERO), 0, 255).astype(np.uint8)


def _vad_windows(heard_S: Array) -> Array:
    size = VAD_CONTEXT_SAMPLES + VAD_WINDOW_SAMPLES
    return np.lib.stride_tricks.sliding_window_view(heard_S, size)[::VAD_WINDOW_SAMPLES]


def _level_db(pcm_S: Array) -> Array:
    power = float(np.mean(np.square(pcm_S)))
    return np.array([10 * np.log10(max(power, 10 ** (QUIETEST_DB / 10)))], np.float32)


_SHAPES = {
    "patch": (PATCH_CARRY_FRAMES, YAMNET_MELS),
    "vad_hidden": (1, 1, VAD_CELLS),
    "vad_cell": (1, 1, VAD_CELLS),
}
_LENGTHS = {
    "whisper": (0, WHISPER_CARRY_SAMPLES),
    "yamnet": (0, YAMNET_CARRY_SAMPLES),
    "vad_tail": range(VAD_CONTEXT_SAMPLES, VAD_CONTEXT_SAMPLES + VAD_WINDOW_SAMPLES),
}


def _restored(arrays: dict[str, NDArray[np.generic]]) -> CascadeState:
    if set(arrays) != {"version", *_SHAPES, *_LENGTHS} or arrays["version"] != STATE_VERSION:
        raise ValueError(f"not version {STATE_VERSION} of a cascade state: {sorted(arrays)}")
    for name, shape in _SHAPES.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} is {shape}, got {arrays[name].shape=}")
    for name, lengths in _LENGTHS.items():
        if arrays[name].ndim != 1 or arrays[name].size not in lengths:
            raise ValueError(f"{name} has an impossible shape, got {arrays[name].shape=}")
    return CascadeState(
        whisper=Carry(arrays["whisper"].astype(np.float32)),
        yamnet=Carry(arrays["yamnet"].astype(np.float32)),
        patch=arrays["patch"].astype(np.uint8),
        vad_tail=arrays["vad_tail"].astype(np.float32),
        vad_hidden=arrays["vad_hidden"].astype(np.float32),
        vad_cell=arrays["vad_cell"].astype(np.float32),
    )
