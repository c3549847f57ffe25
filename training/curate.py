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
from training.composition.picture import draw_clips
from training.curation.recordings import read_pcm, seconds
from training.curation.tfjp import Curated, UnusableClipError, tfjp


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 where the file holds no event, or is no audio."""
    options = _parser().parse_args(arguments)
    try:
        before_S = read_pcm(options.file)
        curated = tfjp(before_S)
    except (AudioError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except UnusableClipError as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    print(summary(before_S, curated))
    if options.to:
        soundfile.write(options.to, curated.pcm_S, SAMPLE_RATE_HZ)
    if options.picture is not None:
        path = options.picture if options.picture.name else options.file.with_suffix(".curated.png")
        draw_clips(path, {"before": before_S, "after": curated.pcm_S}, options.file.name)
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
