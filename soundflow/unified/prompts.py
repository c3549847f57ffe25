"""What a session's abilities mean to the unified model: its system prompt, and its turns' kinds."""

from collections.abc import Mapping

from soundflow.interaction import Ability, Kind, SessionSpec

# Where the caller gives abilities and no instruction of their own.
STANDARD_PROMPTS: Mapping[Ability, str] = {
    Ability.TRANSCRIBE: "Write down what is said, word for word.",
    Ability.TRANSLATE: "Translate what is said into {target}.",
    Ability.DESCRIBE: "Describe the sounds you hear.",
    Ability.COUNT: "Count the sounds you hear, and say the new number after each.",
    Ability.PROACTIVE: "Speak up when you hear something that calls for help; else stay silent.",
    Ability.CHAT: "Talk with the user: answer what they ask.",
}
NO_PROMPT = "Follow what the user asks of you."

KINDS: Mapping[Ability, Kind] = {
    Ability.TRANSCRIBE: Kind.TRANSCRIPT,
    Ability.TRANSLATE: Kind.TRANSLATION,
    Ability.DESCRIBE: Kind.DESCRIPTION,
    Ability.COUNT: Kind.COUNT,
    Ability.PROACTIVE: Kind.ADVICE,
    Ability.CHAT: Kind.ANSWER,
}

# A transcript or a count is what was asked for, to its end; whoever talks on does not end it.
INTERRUPTIBLE = frozenset({Kind.ANSWER, Kind.ADVICE, Kind.DESCRIPTION, Kind.NOTICE})

_LANGUAGES: Mapping[str, str] = {
    "": "English",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "pt": "Portuguese",
    "ru": "Russian",
    "zh": "Chinese",
}


def system_text(spec: SessionSpec) -> str:
    """Return the caller's instruction, or what stands for their abilities."""
    if spec.instruction.strip():
        return spec.instruction
    target = _LANGUAGES.get(spec.target_language, spec.target_language)
    asked = [
        prompt.format(target=target)
        for ability, prompt in STANDARD_PROMPTS.items()
        if ability in spec.abilities
    ]
    return " ".join(asked) or NO_PROMPT


def kind_of(abilities: frozenset[Ability]) -> Kind:
    """Return what every turn of a session is: the model says what it says, but not which it is.

    One ability makes turns of its kind. Of several, or where there are none, a turn is an answer
    if someone may ask, else a notice.
    """
    if len(abilities) == 1:
        return KINDS[next(iter(abilities))]
    return Kind.ANSWER if not abilities or Ability.CHAT in abilities else Kind.NOTICE
