"""Pictures to look at: clips before and after, and a stream's clips and responses on one time line.

`python -m training.composition.picture FOLDER/base.jsonl [--row 0] --to PICTURE.png`
"""

import argparse
import sys
import warnings
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np

from soundflow.audio import CHUNK_MS, SAMPLE_RATE_HZ, Pcm
from training.compose import Role
from training.composition.rows import Row, read_rows
from training.composition.timeline import Answer
from training.curation.recordings import seconds
from training.curation.spectrogram import HOP_SAMPLES, analyse
from training.data import Heard, hear

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

QUIETEST_DB = -80.0  # below the loudest, in a picture
COLOURS = {
    Role.FOREGROUND: "tab:blue",
    Role.BACKGROUND: "tab:green",
    Role.AMBIENT: "tab:olive",
    Role.NOISE: "tab:gray",
}
CHUNK_S = CHUNK_MS / 1000
# Below one another, so that what is said in chunks that follow each other can be read.
LANES = 6
LETTER_S = 0.12  # how wide a letter is about
USUAL = "normal"
LONGEST_TOLD = 80


def draw_clips(path: Path, clips: Mapping[str, Pcm], title: str) -> None:
    """Draw spectrograms below one another, on one scale of time, frequency and level."""
    # Only who draws needs it; it takes a second to import.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3 * len(clips)), layout="constrained")
    figure.suptitle(title)
    loudest_db = max(_levels_db(pcm_S).max() for pcm_S in clips.values())
    rows = figure.subplots(len(clips), sharex=True, squeeze=False)[:, 0]
    for axes, (name, pcm_S) in zip(rows, clips.items(), strict=True):
        image = _spectrogram(axes, pcm_S, loudest_db)
        axes.set(xlim=(0, max(map(seconds, clips.values()))), facecolor="0.9")
        axes.set_title(f"{name}: {seconds(pcm_S):.2f} s", loc="left", fontsize="medium")
    rows[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(rows), label="dB")
    figure.savefig(path, dpi=100)


def draw_row(path: Path, row: Row, heard: Heard) -> None:
    """Draw a stream: its spectrogram, where each clip lies, and where it is answered.

    A response stands at the close of its chunk; its evidence ends at the thin line before.
    """
    from matplotlib.figure import Figure

    length_s = seconds(heard.pcm_S)
    figure = Figure(figsize=(max(8.0, length_s * 0.6), 6), layout="constrained")
    figure.suptitle(f"{row.id}: {heard.timeline.system}")
    sound, clips, said = figure.subplots(3, sharex=True, height_ratios=(3, 2, 2))
    _spectrogram(sound, heard.pcm_S, float(_levels_db(heard.pcm_S).max()))
    for place, clip in enumerate(row.clips):
        colour = COLOURS.get(Role(clip.role), "tab:gray") if clip.role else "tab:gray"
        clips.barh(-place, clip.end_s - clip.start_s, left=clip.start_s, color=colour, alpha=0.5)
        label = f" {shorten(clip.label, LONGEST_TOLD)}"
        clips.text(clip.start_s, -place, label, va="center", fontsize="small", in_layout=False)
    for number, response in enumerate(heard.timeline.responses):
        close_s = (response.chunk + 1) * CHUNK_S
        said.axvline(response.evidence_samples / SAMPLE_RATE_HZ, color="tab:red", linewidth=0.5)
        said.axvline(close_s, color="tab:red")
        told = f" {_told(response.answer)} "
        said.text(
            *(close_s, -(number % LANES), told),
            fontsize="small",
            va="center",
            ha="left" if close_s + len(told) * LETTER_S < length_s else "right",
            # What is long runs out of the picture; it must not push the axes together.
            in_layout=False,
        )
    clips.set(ylabel="clips", yticks=[])
    said.set(ylabel="responses", yticks=[], ylim=(-LANES, 1), xlabel="seconds; a line each chunk")
    for axes in (clips, said):
        axes.set_xticks(np.arange(heard.timeline.chunks + 1) * CHUNK_S, minor=True)
        axes.grid(axis="x", which="minor", linewidth=0.3)
    sound.set_xlim(0, length_s)
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw one row of a corpus; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.composition.picture", description=draw_row.__doc__
    )
    parser.add_argument("rows", type=Path, help="a file of rows")
    parser.add_argument("--row", type=int, default=0, help="which one, from 0 on")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        row = next(islice(read_rows(options.rows), options.row, None), None)
        if not isinstance(row, Row):
            raise ValueError(f"{options.rows}: row {options.row} is no stream")
        draw_row(options.to, row, hear(row, options.rows.parent, np.random.default_rng(0)))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _told(answer: Answer) -> str:
    """Return an answer in short, with the tag that it is spoken by unless that is the usual one."""
    text = shorten(answer.text, LONGEST_TOLD)
    return text if answer.emotion == USUAL else f"{text} [{answer.emotion or 'no tag'}]"


def _spectrogram(axes: "Axes", pcm_S: Pcm, loudest_db: float) -> "AxesImage":
    levels_TF = _levels_db(pcm_S)
    axes.set_ylabel("kHz")
    return axes.imshow(
        levels_TF.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, len(levels_TF) * HOP_SAMPLES / SAMPLE_RATE_HZ, 0, SAMPLE_RATE_HZ / 2000),
        vmin=loudest_db + QUIETEST_DB,
        vmax=loudest_db,
        cmap="magma",
    )


def _levels_db(pcm_S: Pcm) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return 20 * np.log10(np.abs(analyse(pcm_S).own) + np.float32(1e-9))


if __name__ == "__main__":
    sys.exit(main())
