import csv
from pathlib import Path

import pytest

from training.corpora.material import read_material
from training.curation.recordings import Split
from training.sentences import main
from training.speech.prose import WORDS, sentences

PROSE = """The Title

It was the 3rd, and Dr. Smith
had come at 7:30 at last.  “Who is there?” said the voice.

    for i in range(3): print(i)

He did not answer at once -- he had seen, from the far end of the long dark corridor, somebody whom
he had not met for many years; and yet he knew her. He did not answer. The __init__ is _called_.
"Who is there?" NO ENTRY FOR CARS. Yes.
"""


def test_sentences_of_prose_are_plain_spoken_words() -> None:
    assert list(sentences(PROSE)) == [
        "It was the third, and Doctor Smith had come at seven thirty at last.",
        "He did not answer at once, he had seen.",
        "from the far end of the long dark corridor.",
        "somebody whom he had not met for many years; and yet he knew her.",
        "He did not answer.",
        "Who is there?",
    ]


def test_pieces_of_long_sentences_are_short_enough_and_whole() -> None:
    long = ", ".join(["and then the old man went down to the river"] * 9)
    pieces = list(sentences(f"First he slept, {long}."))
    assert all(WORDS[0] <= len(piece.split()) <= WORDS[1] for piece in pieces)
    assert all(piece.endswith(".") for piece in pieces)


@pytest.mark.parametrize("split", Split)
def test_sentences_are_material_of_the_split_that_their_text_is_of(
    split: Split, tmp_path: Path
) -> None:
    prose, table = tmp_path / "prose.txt", tmp_path / "sentences.csv"
    animals = ("cat", "dog", "horse", "cow", "hen", "duck", "goose", "bee", "fox", "bear")
    wanted = [f"The {one} saw the {other}." for one in animals for other in animals]
    prose.write_text(" ".join(wanted))
    assert main([str(prose), "--licence", "CC0", "--to", str(table)]) == 0
    found = {each.label for each in read_material([table], split).sentences}
    others = {
        each.label
        for other in Split
        if other is not split
        for each in read_material([table], other).sentences
    }
    assert found and not found & others and found | others == set(wanted)


def test_a_sentence_whose_source_is_not_its_text_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "sentences.csv"
    main([*_prose(tmp_path, "The cat saw the dog."), "--to", str(table)])
    rows = list(csv.reader(table.read_text().splitlines()))
    rows[1] = [cell.replace("text/", "book/") for cell in rows[1]]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(ValueError, match="line 2.*source is its text"):
        read_material([table], Split.TRAIN)


def _prose(folder: Path, text: str) -> list[str]:
    path = folder / "prose.txt"
    path.write_text(text)
    return [str(path)]
