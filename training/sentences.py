"""`python -m training.sentences --to TABLE [--write N] [FILE …]`: what synthesised voices read.

Sentences come out of prose: of files, and of the small language model, asked for everyday texts.
The table is one of a corpus's material (`training.curation.recordings.read_table`).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from soundflow.cascade.chat.local import MODEL
from soundflow.checkpoint import CheckpointError
from training.curation.recordings import Entry, Kind, Recording, text_source, write_table
from training.speech.prose import sentences
from training.speech.writing import Writer


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 where something is missing."""
    given = _parser().parse_args(arguments)
    try:
        count = write_table(given.to, _once(_lines(given)))
    except (CheckpointError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{given.to}: {count} sentences")
    return 0


def _lines(given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield sentences, each with its licence."""
    for path in given.prose:
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from ((said, f"{given.licence} ({path.name})") for said in sentences(text))
    if given.write:
        with tqdm(total=given.write, desc="sentences", unit="", dynamic_ncols=True) as bar:
            for text in Writer.loaded(given.threads).texts(given.seed):
                for said in sentences(text):
                    yield said, f"Apache-2.0 ({MODEL})"
                    bar.update()
                if bar.n >= given.write:
                    return


def _once(lines: Iterator[tuple[str, str]]) -> Iterator[Entry]:
    seen: set[str] = set()
    for said, licence in lines:
        source = text_source(said)
        if source not in seen:
            seen.add(source)
            recording = Recording(Path(), said, source, licence)
            yield Entry(recording, Kind.SENTENCE, language="en")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.sentences", description=__doc__)
    parser.add_argument("prose", type=Path, nargs="*", help="text files")
    parser.add_argument("--licence", default="unknown", help="of those files")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument(
        "--write", type=int, default=0, help=f"how many sentences {MODEL} is to write"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
