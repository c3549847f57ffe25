import pytest

from soundflow.cascade.duties import DEFAULT_ABILITIES, WHICH_SOUND, Duties
from soundflow.interaction import Ability, SessionSpec


def spec(instruction: str = "", *abilities: Ability) -> SessionSpec:
    return SessionSpec(instruction=instruction, abilities=frozenset(abilities))


def test_a_bare_session_transcribes_and_warns() -> None:
    assert Duties.of(spec()).abilities == DEFAULT_ABILITIES


def test_an_instruction_adds_to_the_abilities_given() -> None:
    duties = Duties.of(spec("count the dog barks", Ability.PROACTIVE))
    assert duties.abilities == {Ability.COUNT, Ability.PROACTIVE}
    assert duties.counted is not None
    assert "Bark" in duties.counted.classes


def test_a_new_instruction_replaces_the_one_before_but_not_what_was_given() -> None:
    duties = Duties.of(spec("transcribe", Ability.PROACTIVE))
    duties.instruct("translate into English")
    assert duties.abilities == {Ability.TRANSLATE, Ability.PROACTIVE}


def test_what_is_not_understood_is_said_once_and_names_what_can_be_done() -> None:
    duties = Duties.of(spec("make me a sandwich"))
    assert duties.abilities == set()
    assert len(duties.notices) == 1
    assert "make me a sandwich" in duties.notices[0]
    assert "transcribe speech" in duties.notices[0]


def test_free_words_tell_a_chat_how_to_talk() -> None:
    duties = Duties.of(spec("Be brief and speak like a pirate", Ability.CHAT))
    assert duties.persona == "Be brief and speak like a pirate"
    assert duties.notices == []


def test_what_a_chat_is_forbidden_does_not_end_it() -> None:
    for manner in ("Be kind. Do not mention prices.", "Do not talk about prices."):
        duties = Duties.of(spec(manner, Ability.CHAT))
        assert duties.abilities == {Ability.CHAT}
        assert duties.persona == manner


BAKERY = "You are the assistant of a bakery. Answer questions about bread."


@pytest.mark.parametrize(
    ("instruction", "persona"),
    [
        (BAKERY, BAKERY),
        (f"{BAKERY} Transcribe what is said.", BAKERY),
        (f"Count the dog barks.\n{BAKERY}", BAKERY),
        ("Answer questions.", ""),
        ("Transcribe, and answer my questions.", ""),
        ("Answer questions. Stop.", ""),
    ],
)
def test_who_asks_for_talk_may_say_how(instruction: str, persona: str) -> None:
    duties = Duties.of(spec(instruction))
    assert Ability.CHAT in duties.abilities or "Stop" in instruction
    assert duties.persona == persona


def test_other_tasks_say_nothing_of_how_to_talk() -> None:
    duties = Duties.of(spec(BAKERY, Ability.CHAT))
    duties.instruct("Please transcribe everything that is said from now on.")
    assert duties.persona == BAKERY
    duties.instruct("Answer like a pirate from now on.")
    assert duties.persona == "Answer like a pirate from now on."


def test_an_instruction_that_only_forbids_is_answered_with_what_can_be_done() -> None:
    duties = Duties.of(spec("Do not translate"))
    assert duties.abilities == set()
    assert [notice.split(".")[0] for notice in duties.notices] == [
        "That leaves nothing for me to do"
    ]
    assert "transcribe speech" in duties.notices[0]


def test_speech_starts_and_stops_one_thing() -> None:
    duties = Duties.of(spec("", Ability.TRANSCRIBE))
    assert duties.hear("Start translating.")
    assert duties.abilities == {Ability.TRANSCRIBE, Ability.TRANSLATE}
    assert duties.hear("Stop transcribing.")
    assert duties.abilities == {Ability.TRANSLATE}
    assert len(duties.notices) == 2


def test_ordinary_speech_changes_nothing() -> None:
    duties = Duties.of(spec("", Ability.TRANSCRIBE))
    assert not duties.hear("I will stop by tomorrow and start with the kitchen.")
    assert duties.abilities == {Ability.TRANSCRIBE}
    assert duties.notices == []


def test_stop_leaves_the_warnings_on() -> None:
    duties = Duties.of(spec("transcribe and warn me of danger"))
    assert duties.hear("Stop!")
    assert duties.abilities == {Ability.PROACTIVE}


def test_what_is_said_of_a_command_is_what_became_of_it() -> None:
    duties = Duties(given={Ability.TRANSCRIBE})
    assert duties.hear("Stop!")
    assert duties.hear("Start counting the quarks.")
    assert duties.notices == [
        "I stopped.",
        "I do not know the sound “quarks”, so I cannot count it.",
    ]


def test_other_target_languages_are_refused_in_words() -> None:
    duties = Duties.of(spec("translate into French"))
    assert any("English only" in notice for notice in duties.notices)


def test_a_sound_that_is_not_known_cannot_be_counted() -> None:
    duties = Duties.of(spec("count the quarks"))
    assert duties.abilities == set()
    assert any("quarks" in notice for notice in duties.notices)


@pytest.mark.parametrize("given", [spec("", Ability.COUNT), spec("Count.")])
def test_counting_needs_a_sound_to_count(given: SessionSpec) -> None:
    duties = Duties.of(given)
    assert duties.notices == [WHICH_SOUND]
    duties.instruct("count the coughs")
    assert duties.counted is not None
