"""What a cascade session is to do, from its spec and the instructions it was given since."""

from dataclasses import dataclass, field

from soundflow.cascade.instructions import Order, manner, understand, understand_spoken
from soundflow.cascade.vocabulary import SoundGroup, resolve_sound
from soundflow.interaction import Ability, SessionSpec

# Without abilities and without an instruction, a session does what no caller would mind.
DEFAULT_ABILITIES = frozenset({Ability.TRANSCRIBE, Ability.PROACTIVE})

ABILITY_WORDS = {
    Ability.TRANSCRIBE: "transcribe speech",
    Ability.TRANSLATE: "translate speech into English",
    Ability.DESCRIBE: "name sounds",
    Ability.COUNT: "count a sound",
    Ability.PROACTIVE: "warn of danger",
    Ability.CHAT: "answer questions",
}

WHICH_SOUND = "Which sound shall I count? Say, for example, “count the dog barks”."


@dataclass(slots=True)
class Duties:
    """The abilities in force, and their details.

    given: those of the spec; a typed instruction adds to them, and replaces what the instruction
    before it added. A spoken command adds and takes away one by one.
    counted: the sound to count, where one was named that is known.
    persona: how to talk, in the instruction's own words; "" where it says nothing of that.
    notices: what has to be said about instructions, once each.
    """

    given: set[Ability]
    instructed: set[Ability] = field(default_factory=set)
    counted: SoundGroup | None = None
    source_language: str = ""
    persona: str = ""
    notices: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, spec: SessionSpec) -> "Duties":
        """Read a spec: its abilities, then its instruction."""
        duties = cls(given=set(spec.abilities), source_language=spec.source_language)
        if spec.instruction.strip():
            duties.instruct(spec.instruction)
            duties.given = set(spec.abilities)  # nobody asks for what the same spec forbids
            if not (duties.abilities or duties.notices):
                duties.notices.append(f"That leaves nothing for me to do. {_offer()}")
        elif not spec.abilities:
            duties.given = set(DEFAULT_ABILITIES)
        if Ability.COUNT in spec.abilities and not (duties.counted or duties.notices):
            duties.notices.append(WHICH_SOUND)
        if spec.target_language not in ("", "en"):
            duties._cannot_translate_into(spec.target_language)
        return duties

    @property
    def abilities(self) -> set[Ability]:
        """All that is to be done now."""
        return self.given | self.instructed

    def has(self, ability: Ability) -> bool:
        """Whether an ability is in force."""
        return ability in self.given or ability in self.instructed

    def instruct(self, text: str) -> None:
        """Follow a typed instruction; notice what cannot be followed."""
        order = understand(text)
        if order is None:
            self._not_understood(text)
            return
        if Ability.CHAT in self.given | order.start:
            self.persona = manner(text) or self.persona
        if order.start:
            self.instructed.clear()
        self._follow(order)

    def hear(self, utterance: str) -> bool:
        """Follow a spoken command, and say so; False when the utterance is none."""
        order = understand_spoken(utterance)
        if order is None:
            return False
        self._follow(order)
        doing = [ABILITY_WORDS[ability] for ability in sorted(self.abilities)]
        if doing:
            self.notices.append(f"Understood. I {_listed(doing)} now.")
        elif order.stop or order.stop_all:
            self.notices.append("I stopped.")
        return True

    def _follow(self, order: Order) -> None:
        self.instructed |= order.start
        if Ability.COUNT in order.start:
            self._count(order.counted)
        self.source_language = order.source_language or self.source_language
        if order.target_language not in ("", "en") and Ability.TRANSLATE in order.start:
            self._cannot_translate_into(order.target_language)
        leaving = set(order.stop)
        if order.stop_all:  # warnings go on: nobody who says "stop" means those
            leaving |= self.abilities - {Ability.PROACTIVE}
        self.given -= leaving
        self.instructed -= leaving

    def _count(self, sound: str) -> None:
        self.counted = resolve_sound(sound) if sound else self.counted
        if self.counted is None:
            self.instructed.discard(Ability.COUNT)
            unknown = f"I do not know the sound “{sound}”, so I cannot count it."
            self.notices.append(unknown if sound else WHICH_SOUND)

    def _not_understood(self, text: str) -> None:
        if Ability.CHAT in self.given:  # how to talk, rather than what to do
            self.persona = text.strip()
            return
        self.notices.append(f"I did not understand the instruction “{text.strip()}”. {_offer()}")

    def _cannot_translate_into(self, language: str) -> None:
        self.notices.append(f"I can translate into English only, not into “{language}”.")


def _offer() -> str:
    return f"I can {_listed([ABILITY_WORDS[ability] for ability in Ability])}."


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
