"""What a session is asked to do, what is decided, and what is said: the words all parts share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Ability(StrEnum):
    """What a session can be asked to do; the empty set means: whatever the instruction says."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"
    DESCRIBE = "describe"
    COUNT = "count"
    PROACTIVE = "proactive"
    CHAT = "chat"


class Action(StrEnum):
    """The streaming decision `d_t` (arXiv 2606.05121, section 3)."""

    SILENT = "silent"
    RESPOND = "respond"


class Kind(StrEnum):
    """What a turn is, so that a caller can show it in its place."""

    TRANSCRIPT = "transcript"
    TRANSLATION = "translation"
    DESCRIPTION = "description"
    COUNT = "count"
    ADVICE = "advice"
    ANSWER = "answer"
    NOTICE = "notice"


class EndReason(StrEnum):
    """Why a turn ended."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What the caller wants of a session; fixed at open but for the instruction.

    instruction: free text, as a person would say it; may be empty.
    abilities: empty = what the instruction says.
    source_language, target_language: ISO 639-1 codes; "" = found out from the audio, English.
    model: "" = the platform's default.
    """

    instruction: str = ""
    abilities: frozenset[Ability] = frozenset()
    source_language: str = ""
    target_language: str = ""
    tenant: str = "default"
    model: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """One word and where it lies in the session, in milliseconds from the session's start."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TurnStart:
    """A turn that a decision opens, or goes on with. `emotion` is "" where the model gives none."""

    turn: int
    kind: Kind
    emotion: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about everything heard up to chunk `index` of a session.

    turns: those that this decision makes speak; empty when the action is `silent`. A turn that is
    already open may be named again: its next text follows.
    """

    session_id: str
    index: int
    action: Action
    turns: tuple[TurnStart, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of a turn's text, or its end.

    sequence: place in the turn. A piece that is not final may be replaced by a later piece of the
    same turn and sequence; a final one never is. Joined in order of sequence, the last pieces of
    all sequences are the turn's text (each piece carries its own leading space where one belongs).
    ended: set on the turn's last piece, which has no text.
    """

    turn: int
    sequence: int
    text: str = ""
    final: bool = True
    words: tuple[Word, ...] = ()
    ended: EndReason | None = None


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn that is being said. chunk: the newest heard when it began."""

    turn: int
    kind: Kind
    chunk: int


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A finished turn, kept as text: what a rebuilt or long session remembers of it.

    chunk: the newest heard when it began.
    """

    turn: int
    kind: Kind
    text: str
    chunk: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a session whose model state may be lost.

    turns: those finished, oldest first. open_turns: those not finished.
    window_start: the oldest chunk that the lost state depended on; hearing begins again there.
    decided: the newest chunk whose decision is known already; -1 where none is.
    memory: what else the decoder wanted to know; it belongs to that window_start.
    """

    turns: tuple[PastTurn, ...] = ()
    open_turns: tuple[OpenTurn, ...] = ()
    window_start: int = 0
    decided: int = -1
    memory: str = ""


NOTHING_PAST = Past()


@dataclass(frozen=True, slots=True)
class Overrun:
    """Chunks `first..last` of a session that were dropped unheard because its queue was full."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a loaded model says of itself.

    languages: those it hears; empty = any.
    capacity: the sessions that its decoder has room for; 0 = nobody has counted them.
    version: its number in a repository of models; 0 outside of one.
    """

    name: str
    abilities: frozenset[Ability]
    languages: frozenset[str] = frozenset()
    details: Mapping[str, str] = field(default_factory=dict)
    capacity: int = 0
    version: int = 0
