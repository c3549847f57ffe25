import pytest

from soundflow.cascade.instructions import Order, understand, understand_spoken
from soundflow.interaction import Ability

TRANSCRIBE, TRANSLATE, COUNT = Ability.TRANSCRIBE, Ability.TRANSLATE, Ability.COUNT
DESCRIBE, PROACTIVE, CHAT = Ability.DESCRIBE, Ability.PROACTIVE, Ability.CHAT


@pytest.mark.parametrize(
    ("text", "abilities"),
    [
        ("Transcribe what is said", {TRANSCRIBE}),
        ("Please write down everything they say.", {TRANSCRIBE}),
        ("Write minutes of this meeting", {TRANSCRIBE}),
        ("Translate into English", {TRANSLATE}),
        ("Tell me about the sounds you hear", {DESCRIBE}),
        ("What sounds are there?", {DESCRIBE}),
        ("Warn me of danger", {PROACTIVE}),
        ("help me if something dangerous happens", {PROACTIVE}),
        ("Answer my questions", {CHAT}),
        ("You are a friendly assistant", {CHAT}),
        ("Transcribe the call and warn me when there is an emergency", {TRANSCRIBE, PROACTIVE}),
        (
            "Count the knocks, describe the sounds; translate into English",
            {COUNT, DESCRIBE, TRANSLATE},
        ),
        ("You are an assistant. Do not mention prices. Don't talk about politics.", {CHAT}),
        ("Answer questions about how to cancel an order", {CHAT}),
        ("Transcribe the call, mark every pause", {TRANSCRIBE}),
        ("Transcribe the call without comments", {TRANSCRIBE}),
    ],
)
def test_an_instruction_names_abilities(text: str, abilities: set[Ability]) -> None:
    order = understand(text)
    assert order is not None
    assert order.start == abilities
    assert not (order.stop or order.stop_all)


@pytest.mark.parametrize(
    "text", ["", "Don't interrupt me", "make me a sandwich", "42", "…", "the weather was fine"]
)
def test_what_fits_no_rule_is_not_understood(text: str) -> None:
    assert understand(text) is None


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("count the dog barks", "dog barks"),
        ("Count how many times you hear a dog bark", "dog bark"),
        ("How many coughs are there?", "coughs"),
        ("count the number of door knocks please", "door knocks"),
        ("count", ""),
    ],
)
def test_the_sound_to_count_is_named(text: str, sound: str) -> None:
    order = understand(text)
    assert order is not None
    assert order.counted == sound


def test_languages_are_named_by_from_and_into() -> None:
    order = understand("Translate from Spanish to English")
    assert order == Order(start=frozenset({TRANSLATE}), source_language="es", target_language="en")


@pytest.mark.parametrize(
    "text", ["Stop translating, and transcribe instead", "Transcribe without translating"]
)
def test_stopping_one_thing_and_starting_another(text: str) -> None:
    order = understand(text)
    assert order == Order(start=frozenset({TRANSCRIBE}), stop=frozenset({TRANSLATE}))


@pytest.mark.parametrize("text", ["Stop the translation.", "Okay, switch off the translation"])
def test_a_spoken_command_stops_one_thing(text: str) -> None:
    assert understand_spoken(text) == Order(stop=frozenset({TRANSLATE}))


@pytest.mark.parametrize(
    "text", ["Stop.", "stop it now!", "Please stop", "stop", "Assistant, stop listening."]
)
def test_stop_alone_stops_everything(text: str) -> None:
    order = understand_spoken(text)
    assert order is not None
    assert order.stop_all


@pytest.mark.parametrize(
    ("text", "abilities"),
    [
        ("Start translating.", {TRANSLATE}),
        ("Okay, start counting the dog barks", {COUNT}),
        ("Please begin to transcribe", {TRANSCRIBE}),
    ],
)
def test_a_short_spoken_command_is_followed(text: str, abilities: set[Ability]) -> None:
    order = understand_spoken(text)
    assert order is not None
    assert order.start == abilities


@pytest.mark.parametrize(
    "text",
    [
        "stop by the store and get some milk",
        "stop the music",
        "we will begin shipping on Monday",
        "please transcribe the numbers that you see on the back of your card and then press pound",
        "don't count on it",
        "the translation was wrong",
    ],
)
def test_ordinary_speech_is_no_command(text: str) -> None:
    assert understand_spoken(text) is None
