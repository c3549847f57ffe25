"""The engine's calls and its answers as bytes: what a served decoder and its clients agree on.

A message carries many calls, of any sessions. Each has a number, by which its answers are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from soundflow.decoder import DecoderFull
from soundflow.encoder import StateMisfit
from soundflow.engine_session import EngineError, Heard, NotOpen, OutOfOrder
from soundflow.interaction import ModelInfo, Past, Piece, SessionSpec


@dataclass(frozen=True, slots=True)
class Ping:
    """Say that the engine lives, and who it is."""

    call: int
    op: Literal["ping"] = "ping"


@dataclass(frozen=True, slots=True)
class Open:
    """`Engine.open`."""

    call: int
    session_id: str
    spec: SessionSpec
    past: Past
    op: Literal["open"] = "open"


@dataclass(frozen=True, slots=True)
class Hear:
    """`Engine.hear`. The tensors travel beside: a row for each of the message's `Hear`s."""

    call: int
    session_id: str
    index: int
    last: bool
    op: Literal["hear"] = "hear"


@dataclass(frozen=True, slots=True)
class Speak:
    """`Engine.speak`: a `Said` for each piece, then `Done`."""

    call: int
    session_id: str
    turn: int
    op: Literal["speak"] = "speak"


@dataclass(frozen=True, slots=True)
class Unfollow:
    """Nobody follows the turn any more that was followed by call `following`."""

    call: int
    following: int
    op: Literal["unfollow"] = "unfollow"


@dataclass(frozen=True, slots=True)
class Instruct:
    """`Engine.instruct`."""

    call: int
    session_id: str
    text: str
    op: Literal["instruct"] = "instruct"


@dataclass(frozen=True, slots=True)
class Cancel:
    """`Engine.cancel`."""

    call: int
    session_id: str
    turn: int
    op: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Close:
    """`Engine.close`."""

    call: int
    session_id: str
    op: Literal["close"] = "close"


Call = Ping | Open | Hear | Speak | Unfollow | Instruct | Cancel | Close


@dataclass(frozen=True, slots=True)
class Pong:
    """engine: another one after a restart, which knows none of the sessions of the one before."""

    call: int
    engine: str
    info: ModelInfo
    op: Literal["pong"] = "pong"


@dataclass(frozen=True, slots=True)
class Opened:
    """next_index: the chunk that the session expects."""

    call: int
    next_index: int
    op: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to `Hear`."""

    call: int
    heard: Heard
    op: Literal["answered"] = "answered"


@dataclass(frozen=True, slots=True)
class Said:
    """One piece of the turn that is followed."""

    call: int
    piece: Piece
    op: Literal["said"] = "said"


@dataclass(frozen=True, slots=True)
class Done:
    """The call is over."""

    call: int
    op: Literal["done"] = "done"


@dataclass(frozen=True, slots=True)
class Refused:
    """The call failed. error: one of `ERRORS`, or the name of what nobody expected."""

    call: int
    error: str
    message: str
    op: Literal["refused"] = "refused"


Reply = Pong | Opened | Answered | Said | Done | Refused

CALLS: TypeAdapter[tuple[Call, ...]] = TypeAdapter(
    tuple[Annotated[Call, Field(discriminator="op")], ...]
)
REPLIES: TypeAdapter[Sequence[Reply]] = TypeAdapter(
    list[Annotated[Reply, Field(discriminator="op")]]
)

# The most particular first.
ERRORS: tuple[type[Exception], ...] = (
    NotOpen,
    OutOfOrder,
    EngineError,
    DecoderFull,
    StateMisfit,
    ValueError,
)


def named(error: BaseException) -> str:
    """Return the name by which an error travels."""
    return next((e.__name__ for e in ERRORS if isinstance(error, e)), type(error).__name__)


def error_of(name: str, message: str) -> Exception:
    """Return the error of that name; one that nobody expected is a RuntimeError."""
    for kind in ERRORS:
        if kind.__name__ == name:
            return kind(message)
    return RuntimeError(f"{name}: {message}")
