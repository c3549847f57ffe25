import pytest

from training.speech.spoken import spoken


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("I have 3 cats.", "I have three cats."),
        ("1,234 people", "one thousand two hundred and thirty-four people"),
        ("about 3.14", "about three point one four"),
        ("pages 3-5", "pages three to five"),
        ("the 21st floor", "the twenty-first floor"),
        ("on 2026-11-25", "on November twenty-fifth, twenty twenty-six"),
        ("on May 3rd, 2020", "on May third, twenty twenty"),
        ("on 4 July", "on July fourth"),
        ("in 1984", "in nineteen eighty-four"),
        ("May 1999", "May nineteen ninety-nine"),
        ("at 7:30 pm", "at seven thirty p m"),
        ("at 9 am", "at nine a m"),
        ("at 14:05", "at fourteen oh five"),
        ("at 10:00", "at ten o'clock"),
        ("$3.50", "three dollars and fifty cents"),
        ("£1", "one pound"),
        ("€2.5 million", "two point five million euros"),
        ("45%", "forty-five percent"),
        ("-5°C", "minus five degrees Celsius"),
        ("60 km/h, 1 kg", "sixty kilometres per hour, one kilogram"),
        ("555-1234", "five five five, one two three four"),
        ("salt & pepper", "salt and pepper"),
        ("Dr. Smith vs. Mrs. Jones", "Doctor Smith versus Missus Jones"),
        ("the USA", "the U S A"),
        ("NASA", "NASA"),
    ],
)
def test_written_text_is_said_in_words(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    "text", ["Where do you come from?", "I am fine, thank you.", "it's 🙂", ""]
)
def test_what_is_spoken_already_stays_as_it_is(text: str) -> None:
    assert spoken(text) == text


def test_saying_what_was_said_changes_nothing() -> None:
    for text in ("Call 555-1234 at 7:30 pm.", "It was -5°C on May 3rd, 2020.", "$3.50 & 45%"):
        assert spoken(spoken(text)) == spoken(text)
        assert not any(character.isdigit() for character in spoken(text))


@pytest.mark.parametrize("text", ["2026-13-45", "99:99"])
def test_what_is_no_date_or_time_is_read_as_numbers(text: str) -> None:
    assert not any(character.isdigit() for character in spoken(text))
