"""One short-time spectrum that whole curation works on, and the way back to samples.

Its frames are 10 ms apart, and each window is four of them, so that it is a tight frame: what is
taken away from the spectrum is taken away from the sound, and nothing can grow louder.
Shape suffixes: S samples, T frames, W window, F frequency bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundflow.audio import SAMPLE_RATE_HZ, Pcm

HOP_SAMPLES = SAMPLE_RATE_HZ // 100  # 160
OVERLAP = 4
WINDOW_SAMPLES = OVERLAP * HOP_SAMPLES  # 640: 40 ms
BINS = WINDOW_SAMPLES // 2 + 1
# Each hop of sound is the middle of one frame; two more on each side reach into it.
HALO = 2
# From the first sample of the outermost frame to the first of the sound.
EDGE_SAMPLES = HALO * HOP_SAMPLES + (WINDOW_SAMPLES - HOP_SAMPLES) // 2

HANN_W = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)).astype(
    np.float32
)
GAIN = float(np.square(HANN_W).sum()) / HOP_SAMPLES  # 1.5: the windows' squares add up to this

Spectrum = NDArray[np.complex64]
Levels = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """A clip of whole hops. frames_TF: `(hops + 2 * HALO, BINS)`."""

    frames_TF: Spectrum

    def __post_init__(self) -> None:
        frames, bins = self.frames_TF.shape
        if bins != BINS or frames < 2 * HALO:
            raise ValueError(f"not the spectrum of a clip: {self.frames_TF.shape=}")

    @property
    def hops(self) -> int:
        """How long it is, in steps of 10 ms."""
        return len(self.frames_TF) - 2 * HALO

    @property
    def own(self) -> Spectrum:
        """The frames of its own hops, without those that only reach into it."""
        return self.frames_TF[HALO : HALO + self.hops]

    @property
    def energies(self) -> Levels:
        """The energy of each hop's frame."""
        energies_T: Levels = np.square(np.abs(self.own)).sum(axis=1, dtype=np.float64)
        return energies_T

    def cut(self, first: int, end: int) -> "Spectrogram":
        """Keep the hops from one to another, the latter not included; beyond the clip is silence.

        What lay next to them no longer sounds, but for what a window reaches over.
        """
        before, after = max(0, -first), max(0, end - self.hops)
        padded_TF = np.pad(self.frames_TF, ((before, after), (0, 0)))
        first, end = first + before, end + before
        return Spectrogram(padded_TF[first : end + 2 * HALO])

    def keep(self, kept_T: NDArray[np.bool_]) -> "Spectrogram":
        """Keep some hops; what now lies side by side fades over within a window."""
        ends = np.ones(HALO, np.bool_)
        return Spectrogram(self.frames_TF[np.concatenate([ends, kept_T, ends])])

    def windows(self, frames: slice) -> NDArray[np.float32]:
        """Return the windows of some frames as samples, still weighted: `(frames, W)`."""
        return np.fft.irfft(self.frames_TF[frames], WINDOW_SAMPLES).astype(np.float32)


def analyse(pcm_S: Pcm) -> Spectrogram:
    """Return a clip's spectrogram; its last hop is filled up with silence."""
    hops = -(-len(pcm_S) // HOP_SAMPLES)
    after = EDGE_SAMPLES + hops * HOP_SAMPLES - len(pcm_S)
    padded_S = np.pad(pcm_S.astype(np.float32), (EDGE_SAMPLES, after))
    windows_TW = np.lib.stride_tricks.sliding_window_view(padded_S, WINDOW_SAMPLES)[::HOP_SAMPLES]
    return Spectrogram(spectra(windows_TW * HANN_W))


def spectra(windows_TW: NDArray[np.float32]) -> Spectrum:
    """Return the spectra of weighted windows."""
    return np.fft.rfft(windows_TW).astype(np.complex64)


def synthesise(spectrogram: Spectrogram) -> Pcm:
    """Return the samples: for a spectrogram as it was analysed the very same ones.

    They have at most the spectrogram's energy, whatever was done to it.
    """
    windows_TW = spectrogram.windows(slice(None)) * HANN_W / GAIN
    quarters = windows_TW.reshape(-1, OVERLAP, HOP_SAMPLES)
    sum_TS = np.zeros((len(quarters) + OVERLAP - 1, HOP_SAMPLES), np.float32)
    for place in range(OVERLAP):
        sum_TS[place : place + len(quarters)] += quarters[:, place]
    return sum_TS.reshape(-1)[EDGE_SAMPLES:][: spectrogram.hops * HOP_SAMPLES]
