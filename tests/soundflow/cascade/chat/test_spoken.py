import pytest

from soundflow.cascade.chat.spoken import SpokenAnswer


def said(pieces: list[str], max_sentences: int = 2) -> str:
    answer = SpokenAnswer(max_sentences)
    return "".join(answer.take(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["One", ".", " Two", "!", " Three", "."], "One. Two!"),
        (["One", ".", " Two"], "One. Two"),
        (["It", " is", " 3", ".", "5", " km", ".", " Far", "."], "It is 3.5 km. Far."),
        (["\n", " ", "Yes", ".", "\n\n", "No", "."], "Yes."),
        (["Yes\nNo"], "Yes"),
        (["", "a", "", "b"], "ab"),
    ],
)
def test_an_answer_ends_with_its_sentences_or_its_paragraph(
    pieces: list[str], expected: str
) -> None:
    assert said(pieces) == expected


def test_nothing_follows_the_end() -> None:
    answer = SpokenAnswer(max_sentences=1)
    assert [answer.take(piece) for piece in ("Yes", ".", " But", " no")] == ["Yes", ".", "", ""]
    assert answer.over
