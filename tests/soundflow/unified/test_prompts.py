import pytest

from soundflow.interaction import Ability, SessionSpec
from soundflow.unified.instructions import Instructions
from soundflow.unified.prompts import KINDS, NO_PROMPT, STANDARD_PROMPTS, kind_of, system_text
from tests.soundflow.unified.hashed_model import text_tokens


def test_every_ability_has_a_prompt_and_a_kind_of_its_own() -> None:
    assert set(STANDARD_PROMPTS) == set(KINDS) == set(Ability)
    assert len(set(STANDARD_PROMPTS.values())) == len(set(KINDS.values())) == len(Ability)
    assert [kind_of(frozenset({ability})) for ability in KINDS] == list(KINDS.values())


def test_the_callers_own_words_come_before_ours() -> None:
    spec = SessionSpec("Say when the bell rings.", frozenset({Ability.DESCRIBE}))
    assert system_text(spec) == "Say when the bell rings."
    assert system_text(SessionSpec()) == NO_PROMPT
    blank = SessionSpec(" \n", frozenset({Ability.DESCRIBE}))
    assert system_text(blank) == STANDARD_PROMPTS[Ability.DESCRIBE]


@pytest.mark.parametrize(
    ("language", "named"), [("", "English"), ("de", "German"), ("{x}", "{x}"), ("eo", "eo")]
)
def test_abilities_are_asked_for_in_one_order_whatever_the_language(
    language: str, named: str
) -> None:
    asked = frozenset({Ability.CHAT, Ability.TRANSLATE})
    text = system_text(SessionSpec(abilities=asked, target_language=language))
    assert text == f"Translate what is said into {named}. {STANDARD_PROMPTS[Ability.CHAT]}"


def instructions(system: str, most_tokens: int = 20) -> Instructions:
    return Instructions(system, text_tokens().encode, most_tokens)


def text_of(given: Instructions) -> str:
    ids = given.ids()
    assert len(ids) <= given.most_tokens
    return text_tokens().decode(ids)


def test_what_is_typed_is_followed_once_it_is_taken_up() -> None:
    given = instructions("be kind")
    given.add("be")
    assert text_of(given) == "be kind"
    assert given.take_up()
    assert text_of(given) == "be kind\nbe"
    assert not given.take_up()


def test_the_oldest_line_is_forgotten_and_the_first_kept() -> None:
    given = instructions("be kind")
    for line in ("abcd", "efgh", "ijkl"):
        given.add(line)
        given.take_up()
    assert text_of(given) == "be kind\nefgh\nijkl"


def test_of_lines_that_are_too_long_both_keep_their_beginning() -> None:
    given = instructions("a" * 100)
    assert text_of(given) == "a" * 20
    given.add("b" * 10_000)
    given.take_up()
    assert text_of(given) == "a" * 10 + "\n" + "b" * 9
    assert len(given.typed[0]) == 80


def test_what_is_typed_between_two_chunks_is_bounded() -> None:
    given = instructions("be kind")
    for _ in range(1000):
        given.add("c" * 50)
    assert len(given.next_typed) == 1
