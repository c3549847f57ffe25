"""A held-out set: one folder of recordings that no model has learnt from, in the public forms.

| in the folder | what it is |
|---|---|
| `proactive/NAME.jsonl` | manifests of Proactive-Sound-Bench |
| `transcription/NAME/` | LibriSpeech's form, with alignments |
| `streams/` | our own rows: sounds to be counted, told, or passed over in silence |
| `translation/FROM_INTO.tsv` | CoVoST2's form, the clips beside it |
| `questions.jsonl` | Llama Questions' form |
| `sources.csv` | item, source, licence: what each was made from |
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from training.composition.rows import Row, read_rows
from training.curation.recordings import Split
from training.data import files_of
from training.evaluation import benchmarks, corpus, formats
from training.evaluation.answers import named
from training.evaluation.figures import Result
from training.evaluation.offline import live
from training.evaluation.subject import Subject

PROACTIVE, TRANSCRIPTION, STREAMS = "proactive", "transcription", "streams"
TRANSLATION, QUESTIONS, SOURCES = "translation", "questions.jsonl", "sources.csv"
SOURCE_COLUMNS = ("item", "source", "licence")


def evaluate(subject: Subject, folder: Path, most: int) -> Iterator[Result]:
    """Play all that is in the folder, at most so many items of each set. ValueError, OSError."""
    sources(folder)  # a set that does not say what it was made from proves nothing
    for manifest in sorted((folder / PROACTIVE).glob("*.jsonl")):
        yield benchmarks.warnings(f"Warnings: {manifest.stem}", subject, manifest, most)
    for split in sorted(path for path in (folder / TRANSCRIPTION).glob("*") if path.is_dir()):
        items, spoken = formats.librispeech(split), formats.alignments(split)
        yield benchmarks.transcribed(f"Transcription: {split.name}", subject, items, spoken, most)
    if (folder / STREAMS).is_dir():
        yield from corpus.evaluate(subject, folder / STREAMS, Split.TEST, most)
    for table in sorted((folder / TRANSLATION).glob("*.tsv")):
        _, _, into = table.stem.partition("_")
        items = formats.covost2(table, table.parent)
        yield benchmarks.translated(f"Translation: {table.stem}", subject, items, into, most)
    if (folder / QUESTIONS).is_file():
        items = formats.llama_questions(folder / QUESTIONS)
        yield benchmarks.questions("Chat: questions", live(subject), items, named, most)


def sources(folder: Path) -> frozenset[str]:
    """Return what the set was made from. ValueError where it does not say."""
    path = folder / SOURCES
    if not path.is_file():
        raise ValueError(f"{folder} is no held-out set: it has no {SOURCES}")
    with path.open(newline="", encoding="utf-8") as file:
        return frozenset(row["source"] for row in csv.DictReader(file))


def refuse_what_was_learnt(folder: Path, corpora: Iterable[Path]) -> None:
    """Hold a set against the corpora that models were trained on.

    ValueError, which names sources that are in both, or a corpus that does not name its sources.
    """
    held = sources(folder)
    for learnt in corpora:
        shared = sorted(held & _sources_of_corpus(learnt))
        if shared:
            some = ", ".join(shared[:5])
            raise ValueError(f"{len(shared)} sources of {folder} are in {learnt}: {some}")


def _sources_of_corpus(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in files_of(folder).values():
        for row in read_rows(path):
            if not isinstance(row, Row) or not row.clips:
                raise ValueError(f"{path}: a row does not say what it was made from")
            found.update(clip.source for clip in row.clips)
    if not found:
        raise ValueError(f"{folder}: there is no corpus in it")
    return found
