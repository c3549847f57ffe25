"""Composed streams as rows on disk: each turn's audio in a file of its own, as published."""

from collections.abc import Iterator
from pathlib import Path

import soundfile

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.compose import Role, Stream
from training.composition.rows import SILENT, Clip, Row, Turn
from training.composition.timeline import Answer
from training.whole import written_whole

AUDIO = "audio"


def save_stream(
    stream: Stream, folder: Path, row_id: str, *, scene_type: str = "", system: str = ""
) -> Row:
    """Write a stream's audio below a folder, and return its row; the row's lines are not written.

    A turn ends with the chunk of its response; what follows the last is a silent turn.
    """
    turns = []
    for number, (first, end, answer) in enumerate(_turns(stream)):
        place = Path(AUDIO, row_id, f"{number:02}.flac")
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        pcm = stream.pcm_S[first * CHUNK_SAMPLES : end * CHUNK_SAMPLES]
        # Whoever was taken for dead may write the same stream beside this process.
        with written_whole(folder / place) as partial:
            soundfile.write(partial, pcm, SAMPLE_RATE_HZ, format="FLAC")
        said = {"assistant": answer.text if answer else SILENT, "user": _heard(stream, first, end)}
        if answer and answer.emotion:
            said["emotion"] = answer.emotion
        turns.append(Turn.model_validate({"audio_path": place.as_posix(), **said}))
    return Row(
        id=row_id,
        scene_type=scene_type,
        turns=tuple(turns),
        system=system,
        timed=True,
        split=stream.split,
        clips=tuple(_clips(stream)),
    )


def _turns(stream: Stream) -> Iterator[tuple[int, int, Answer | None]]:
    """Yield each turn's first chunk, the one after its last, and its answer."""
    first = 0
    for response in stream.timeline.responses:
        yield first, response.chunk + 1, response.answer
        first = response.chunk + 1
    if first < stream.timeline.chunks:
        yield first, stream.timeline.chunks, None


def _heard(stream: Stream, first: int, end: int) -> str:
    """Name what comes to its end between two chunks in the foreground."""
    return ", ".join(
        placed.recording.label
        for placed in stream.placed
        if placed.role is Role.FOREGROUND
        and first * CHUNK_SAMPLES < placed.end <= end * CHUNK_SAMPLES
    )


def _clips(stream: Stream) -> Iterator[Clip]:
    for placed in stream.placed:
        yield Clip(
            label=placed.recording.label,
            source=placed.recording.source,
            licence=placed.recording.licence,
            role=placed.role,
            start_s=round(placed.start / SAMPLE_RATE_HZ, 4),
            end_s=round(placed.end / SAMPLE_RATE_HZ, 4),
        )
