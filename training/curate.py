"""Curate one recording from the command line, and look at what that does to it.

`python -m training.curate FILE [--to CLEAN.wav] [--picture [PICTURE.png]]`
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from soundflow.audio import SAMPLE_RATE_HZ, AudioError, Pcm
from training.recordings import read_pcm, seconds
from training.spectrogram import HOP_SAMPLES, analyse
from training.tfjp import Curated, UnusableClipError, tfjp

QUIETEST_DB = -80.0  # below the loudest, in a picture


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 where the file holds no event, or is no audio."""
    options = _parser().parse_args(arguments)
    try:
        before_S = read_pcm(options.file)
        curated = tfjp(before_S)
    except (AudioError, OSError, UnusableClipError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    print(summary(before_S, curated))
    if options.to:
        soundfile.write(options.to, curated.pcm_S, SAMPLE_RATE_HZ)
    if options.picture is not None:
        path = options.picture if options.picture.name else options.file.with_suffix(".curated.png")
        draw(path, {"before": before_S, "after": curated.pcm_S}, options.file.name)
        print(path)
    return 0


def summary(before_S: Pcm, curated: Curated) -> str:
    """Say in a line what was done."""
    kept = np.square(curated.pcm_S).sum(dtype=np.float64) / np.square(before_S).sum(
        dtype=np.float64
    )
    return (
        f"{seconds(before_S):.2f} s -> {seconds(curated.pcm_S):.1f} s, "
        f"{10 * np.log10(kept):.1f} dB of energy, "
        f"{curated.rounds} rounds, {curated.iterations} iterations"
    )


def draw(path: Path, clips: dict[str, Pcm], title: str) -> None:
    """Draw spectrograms below one another, on one scale of time, frequency and level."""
    # Only who draws needs it; it takes a second to import.
    from matplotlib.figure import Figure

    longest_s = max(seconds(pcm_S) for pcm_S in clips.values())
    figure = Figure(figsize=(10, 3 * len(clips)), layout="constrained")
    figure.suptitle(title)
    levels = {name: 20 * np.log10(np.abs(_magnitudes(pcm)) + 1e-9) for name, pcm in clips.items()}
    loudest_db = max(level_TF.max() for level_TF in levels.values())
    axes_list = figure.subplots(len(clips), sharex=True, squeeze=False)[:, 0]
    for axes, (name, level_TF) in zip(axes_list, levels.items(), strict=True):
        image = axes.imshow(
            level_TF.T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(0, len(level_TF) * HOP_SAMPLES / SAMPLE_RATE_HZ, 0, SAMPLE_RATE_HZ / 2000),
            vmin=loudest_db + QUIETEST_DB,
            vmax=loudest_db,
            cmap="magma",
        )
        axes.set(ylabel="kHz", xlim=(0, longest_s), facecolor="0.9")
        axes.set_title(f"{name}: {seconds(clips[name]):.2f} s", loc="left", fontsize="medium")
    axes_list[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(axes_list), label="dB")
    figure.savefig(path, dpi=100)


def _magnitudes(pcm_S: Pcm) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.abs(analyse(pcm_S).own)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.curate", description=__doc__)
    parser.add_argument("file", type=Path, help="any audio file")
    parser.add_argument("--to", type=Path, help="where the curated clip goes, as WAV or FLAC")
    parser.add_argument(
        "--picture",
        type=Path,
        nargs="?",
        const=Path(),
        help="draw spectrograms before and after; by default beside the file",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
