"""A page to listen to a corpus: each stream with its player, what sounds when, and its tokens.

The page holds its audio, so that it is one file.
"""

import base64
import html
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

import numpy as np
import soundfile

from soundflow.audio import CHUNK_MS, SAMPLE_RATE_HZ, Pcm
from training.composition.rows import Row, read_rows
from training.composition.timeline import Timeline
from training.data import files_of, hear

PAGE = Path(__file__).with_name("listening.html")


def chosen(folder: Path, most: int) -> Sequence[Row]:
    """Return some streams of a corpus, as many sub-tasks as possible among them."""
    rows = [
        row for path in files_of(folder).values() for row in read_rows(path) if isinstance(row, Row)
    ]
    seen, turns = Counter[str](), list[tuple[int, int]]()
    for number, row in enumerate(rows):
        turns.append((seen[_task(row)], number))
        seen[_task(row)] += 1
    return [rows[number] for _, number in sorted(turns)[:most]]


def page(folder: Path, rows: Sequence[Row]) -> str:
    """Return the page. AudioError, OSError."""
    shown = "\n".join(_stream(row, folder) for row in rows)
    template = Template(PAGE.read_text(encoding="utf-8"))
    return template.substitute(name=html.escape(folder.resolve().name), streams=shown)


def _stream(row: Row, folder: Path) -> str:
    heard = hear(row, folder, np.random.default_rng(0))
    seconds = heard.timeline.chunks * CHUNK_MS / 1000
    return "\n".join(
        (
            '<section class="stream">',
            f"<h2>{html.escape(_task(row))} <small>{html.escape(row.scene_type)}, "
            f"{html.escape(row.id)}, {html.escape(row.split)}, {seconds:.1f} s</small></h2>",
            f"<p class='system'>{html.escape(row.system or 'no instruction')}</p>",
            f'<audio controls preload="none" src="{_data(heard.pcm_S)}"></audio>',
            '<div class="lanes"><i class="now"></i>',
            *_clips(row, seconds),
            f'<div class="tokens">{"".join(_tokens(heard.timeline))}</div>',
            "</div><ol>",
            *_responses(heard.timeline),
            "</ol></section>",
        )
    )


def _clips(row: Row, seconds: float) -> Iterator[str]:
    """Draw what sounds when, a lane for each role."""
    roles = dict.fromkeys(clip.role for clip in row.clips)
    for role in roles:
        yield f'<div class="lane" title="{html.escape(role)}">'
        for clip in row.clips:
            if clip.role == role:
                left, width = clip.start_s / seconds, (clip.end_s - clip.start_s) / seconds
                told = html.escape(f"{clip.label} ({clip.source}, {clip.licence})", quote=True)
                yield (
                    f'<span class="{html.escape(role)}" title="{told}" style="left:{left:.3%};'
                    f'width:{width:.3%}">{html.escape(clip.label)}</span>'
                )
        yield "</div>"


def _tokens(timeline: Timeline) -> Iterator[str]:
    """Draw the control token of each chunk."""
    due = {response.chunk: response.answer for response in timeline.responses}
    for chunk in range(timeline.chunks):
        if answer := due.get(chunk):
            said = html.escape(f"{chunk}: respond: {answer.text}", quote=True)
            yield f'<b title="{said}"></b>'
        else:
            yield f'<u title="{chunk}: silent"></u>'


def _responses(timeline: Timeline) -> Iterator[str]:
    for response in timeline.responses:
        at_s = (response.chunk + 1) * CHUNK_MS / 1000
        emotion = f" <em>{html.escape(response.answer.emotion)}</em>"
        yield (
            f'<li data-at="{at_s:.1f}"><a href="#">{at_s:.1f} s</a>{emotion} '
            f"{html.escape(response.answer.text)}</li>"
        )


def _data(pcm_S: Pcm) -> str:
    file = io.BytesIO()
    soundfile.write(file, pcm_S, SAMPLE_RATE_HZ, format="FLAC")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"


def _task(row: Row) -> str:
    """Return a stream's sub-task, which its id ends with; its scene where it was not built here."""
    _, dash, name = row.id.rpartition("/")[2].partition("-")
    return name if dash else row.scene_type
