"""The null model: decides and speaks at once, so that what the platform itself costs can be seen.

It also shows the smallest Encoder and Decoder that fit the interfaces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from soundflow.audio import Chunk
from soundflow.decoder import Speaking, Spoken, Stepped, Verdict
from soundflow.features import Features, TensorSpec
from soundflow.interaction import (
    Ability,
    Action,
    EndReason,
    Kind,
    ModelInfo,
    PastTurn,
    Piece,
    SessionSpec,
    TurnStart,
)

RESPOND_EVERY_CHUNKS = 5


class NullEncoder:
    """Features: `level`, the chunk's RMS. State: nothing."""

    tensors = (TensorSpec("level", "float32", (1,)),)

    def initial(self) -> None:
        """Return the state of a session that has heard nothing."""

    def encode(self, batch: Sequence[tuple[Chunk, None]]) -> list[tuple[Features, None]]:
        """Measure each chunk's level."""
        return [(self._level(chunk), None) for chunk, _ in batch]

    def dump(self, state: None) -> bytes:
        """Serialise nothing."""
        return b""

    def load(self, data: bytes) -> None:
        """Restore nothing."""
        if data:
            raise ValueError(f"the null encoder carries no state, got {len(data)} bytes")

    def _level(self, chunk: Chunk) -> Features:
        level = np.sqrt(np.mean(np.square(chunk.pcm), keepdims=True))
        return Features(chunk.session_id, chunk.index, {"level": level}, chunk.last)


@dataclass(slots=True)
class NullState:
    """What the null decoder keeps of a session. `to_say` is the open turn's text, if any."""

    instruction: str
    turn: int
    to_say: list[Piece] = field(default_factory=list)


class NullDecoder:
    """Responds after every RESPOND_EVERY_CHUNKS chunks with the number of the last of them."""

    def __init__(self) -> None:
        self.info = ModelInfo("null", frozenset(Ability))
        self.counts: Mapping[str, int] = {}

    def start(self, ready: Callable[[NullState], None]) -> None:
        """Nothing to warm up, and never waiting."""

    def stop(self) -> None:
        """Nothing to release."""

    def open(self, spec: SessionSpec, history: Sequence[PastTurn], memory: str = "") -> NullState:
        """Make a session that goes on after its history."""
        return NullState(spec.instruction, turn=max((past.turn for past in history), default=0))

    def step(
        self,
        hearing: Sequence[tuple[NullState, Sequence[Features]]],
        speaking: Sequence[tuple[NullState, Sequence[Features]]],
    ) -> Stepped:
        """Decide by counting; say all at once."""
        heard = [self._decide(state, queue) for state, queue in hearing]
        return Stepped(heard, [self._say(state) for state, _ in speaking])

    def instruct(self, state: NullState, text: str) -> None:
        """Remember it."""
        state.instruction = text

    def cancel(self, state: NullState, turn: int) -> None:
        """Too late: a turn is said in one step."""

    def close(self, state: NullState) -> None:
        """Nothing to forget."""

    def _decide(self, state: NullState, queue: Sequence[Features]) -> Verdict:
        due = [f.index for f in queue if (f.index + 1) % RESPOND_EVERY_CHUNKS == 0]
        if not due:
            return Verdict(Action.SILENT, window_start=queue[-1].index + 1)
        state.turn += 1
        state.to_say = [
            Piece(state.turn, 0, f"chunk {due[-1]}"),
            Piece(state.turn, 1, ended=EndReason.COMPLETE),
        ]
        # What it counts by is the index, but this chunk's number is still to be said.
        start = TurnStart(state.turn, Kind.NOTICE)
        return Verdict(Action.RESPOND, (start,), window_start=due[-1])

    def _say(self, state: NullState) -> Spoken:
        pieces, state.to_say = tuple(state.to_say), []
        return Spoken(pieces, Speaking.DONE)
