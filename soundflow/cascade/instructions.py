"""What an instruction asks for, read by rules: typed before or during a session, or spoken in it.

The rules are two tables, verbs and stops; whatever fits none of them is not understood, and the
cascade says so instead of guessing.
"""

import re
from dataclasses import dataclass, field

from soundflow.interaction import Ability

# The first pattern that fits a clause names what it asks for.
_VERBS: tuple[tuple[Ability, str], ...] = (
    (Ability.COUNT, r"\b(count(?:ing)?|how many(?: times)?|number of)\b"),
    (Ability.TRANSLATE, r"\b(translat\w*|interpret(?:ing)?|in(?:to)? english)\b"),
    (
        Ability.PROACTIVE,
        r"\b(warn\w*|alert\w*|protect\w*|watch out|look out|emergenc\w*|danger\w*|hazard\w*|"
        r"help (?:me |us )?(?:if|when)|advi[cs]e\w*|proactive\w*|safety)\b",
    ),
    (
        Ability.TRANSCRIBE,
        r"\b(transcri\w*|dictat\w*|captions?|captioning|subtitles?|minutes|"
        r"write (?:down|out)|type (?:down|out)|take notes|note down|speech to text|asr)\b",
    ),
    (
        Ability.DESCRIBE,
        r"\b(describ\w*|narrat\w*|what(?:'s| is| are| do| can)? .*(?:sounds?|noises?|hear\w*)|"
        r"name .*(?:sounds?|noises?)|(?:tell|say|report|list|identify|detect)\b.*"
        r"(?:sounds?|noises?|hear\w*|events?))\b",
    ),
    (
        Ability.CHAT,
        r"\b(chat\w*|talk\w*|convers\w*|dialog\w*|(?:answer|reply|respond)\w*|questions?|"
        r"assist\w*|assistant|help(?:ful)?)\b",
    ),
)
# What is named after one of these is left, not taken up.
_STOP = re.compile(
    r"\b(stop|don't|do not|no more|never mind|quit|cancel|pause|without|(?:switch|turn) off)\b"
)
# Nothing is named at all; "do not mention prices" names something that is none of our abilities.
_STOP_ALL = re.compile(
    r"(?:(?:please|now) )*(?:stop|don't|do not|no more|never mind|quit|cancel|pause)"
    r"(?: (?:it|that|this|all|everything|listening|recording|now|please))*"
)
_SENTENCES = re.compile(r"(?<=[.;!?])\s+|\n+")
_CLAUSES = re.compile(r"[.;,!?\n]+|\b(?:and then|and also|and|then|but|also)\b|(?=\bwithout\b)")
_COUNTED = re.compile(
    r"\b(?:count(?:ing)?|how many(?: times)?|number of)\b\s*"
    r"(?:up\s+)?(?:the\s+)?(?:number of\s+|times\s+(?:you hear\s+|of\s+)?)?"
    r"(?:how many\s+)?(?:times\s+)?"
    r"(?:you hear\s+|(?:a|an|the|all|each|every|any)\s+)*(?P<sound>.+)$"
)
_COUNTED_TAIL = re.compile(
    r"\s+(?:you hear|that you hear|there are|are there|do you hear|please|for me|now|you can hear|"
    r"in this (?:recording|audio|stream|clip|call))\b.*$"
)
_INTO = re.compile(r"\b(?:in)?to\s+(?P<language>[a-z]+)\b")
_FROM = re.compile(r"\bfrom\s+(?P<language>[a-z]+)\b")

LANGUAGES = {
    "english": "en",
    "spanish": "es",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "portuguese": "pt",
    "russian": "ru",
    "dutch": "nl",
    "polish": "pl",
    "japanese": "ja",
    "chinese": "zh",
    "korean": "ko",
    "arabic": "ar",
    "turkish": "tr",
    "ukrainian": "uk",
    "hindi": "hi",
}

# A spoken command is a whole utterance of this form; anything longer is just speech.
_SPOKEN = re.compile(
    r"^(?:ok(?:ay)?|please|now|computer|assistant|hey)?\s*(?:please|now)?\s*"
    r"(?P<command>(?:start|begin|resume|continue)\s+(?:to \w+|\w+ing|the \w+)\b.*"
    r"|(?:stop|pause|quit)(?:\s+(?:\w+ing|the \w+|it|that|now|please))*"
    r"|(?:transcribe|translate|count|describe)\s.+"
    r"|switch (?:to|on|off)\s.+)$"
)
SPOKEN_WORDS = 9
# So many ask for an ability, and say nothing of how it is to be done.
BARE_WORDS = 4


@dataclass(frozen=True, slots=True)
class Order:
    """What an instruction asks for.

    start, stop: abilities to take up and to leave, none of which is both; stop_all: leave
    everything but warnings.
    counted: the sound to count, in the instruction's words; "" when none is named.
    source_language, target_language: ISO 639-1 codes; "" where the instruction names none.
    """

    start: frozenset[Ability] = frozenset()
    stop: frozenset[Ability] = frozenset()
    stop_all: bool = False
    counted: str = ""
    source_language: str = ""
    target_language: str = ""


@dataclass(slots=True)
class _Reading:
    """An order while its clauses are read."""

    start: set[Ability] = field(default_factory=set)
    stop: set[Ability] = field(default_factory=set)
    stop_all: bool = False
    counted: str = ""


def understand(text: str) -> Order | None:
    """Read a typed instruction; None when nothing in it is understood."""
    lowered = text.lower().replace("’", "'")
    reading = _Reading()
    for clause in _CLAUSES.split(lowered):
        _read_clause(clause.strip(), reading)
    if not (reading.start or reading.stop or reading.stop_all):
        return None
    return Order(
        start=frozenset(reading.start),
        # "Answer questions. Do not talk about prices": what is asked for may be limited.
        stop=frozenset(reading.stop - reading.start),
        stop_all=reading.stop_all,
        counted=reading.counted,
        source_language=_language(_FROM, lowered),
        target_language=_language(_INTO, lowered),
    )


def manner(text: str) -> str:
    """Return the sentences of a typed instruction that say how to talk, if they are any words.

    Which are those that are not understood, and those about talking alone: “You are the assistant
    of a bakery. Answer questions about bread.” A bare “answer questions” says nothing of how.
    """
    about_talk = " ".join(filter(_is_about_talk, _SENTENCES.split(text.strip())))
    return about_talk if len(about_talk.split()) > BARE_WORDS else ""


def _is_about_talk(sentence: str) -> bool:
    order = understand(sentence)
    return order is None or (not order.stop_all and order.start | order.stop == {Ability.CHAT})


def understand_spoken(text: str) -> Order | None:
    """Read an utterance; None unless the whole of it is a short command."""
    spoken = " ".join(re.sub(r"[^\w' ]+", " ", text.lower()).split())
    command = _SPOKEN.match(spoken)
    if len(spoken.split()) > SPOKEN_WORDS or not command:
        return None
    return understand(command["command"])


def _read_clause(clause: str, reading: _Reading) -> None:
    """Add what one clause asks for, if anything."""
    found = ((ability, re.search(pattern, clause)) for ability, pattern in _VERBS)
    ability, verb = next(((each, match) for each, match in found if match), (None, None))
    if ability is None or verb is None:
        reading.stop_all |= _STOP_ALL.fullmatch(clause) is not None
        return
    if _STOP.search(clause, 0, verb.start()):
        reading.stop.add(ability)
        return
    reading.start.add(ability)
    if ability is Ability.COUNT and (match := _COUNTED.search(clause)):
        reading.counted = _COUNTED_TAIL.sub("", match["sound"]).strip(" '\"")


def _language(pattern: re.Pattern[str], text: str) -> str:
    named = (LANGUAGES.get(match["language"]) for match in pattern.finditer(text))
    return next((code for code in named if code), "")
