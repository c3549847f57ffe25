"""What a session has to remember to be rebuilt: its state at its last rest, and what came since.

A session rests where no utterance, question or answer is going on. All that it knows there but for
a little audio is small, so that it is written down; the chunks since then are heard again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from soundflow.cascade import conversation, soundscape
from soundflow.cascade.duties import Duties
from soundflow.cascade.speech import Hearing
from soundflow.features import Features
from soundflow.interaction import Ability, Kind

log = logging.getLogger(__name__)

# What is heard again before a session's last rest, for its audio: an utterance that was in doubt
# for 2 s begins 0.3 s before that; the end of a question is scored by the 8 s before it.
RUN_IN_CHUNKS = 6
RUN_IN_CHUNKS_OF_TALK = 20


def run_in_chunks(duties: Duties) -> int:
    """Return how many chunks before a rest are wanted for their audio."""
    return RUN_IN_CHUNKS_OF_TALK if duties.has(Ability.CHAT) else RUN_IN_CHUNKS


@dataclass(frozen=True, slots=True)
class Rest:
    """A session's state before it hears chunk `index`.

    language: that the ears listen for. ears: by kind; "unseen" is the one that nobody sees.
    """

    index: int
    run_in_chunks: int
    duties: Duties
    language: str
    sounds: soundscape.Remembered
    ears: dict[Kind | Literal["unseen"], Hearing]
    talk: conversation.Remembered


@dataclass(frozen=True, slots=True)
class Wish:
    """Something that was asked of the session before it heard chunk `index`.

    Follow an instruction, or give up the open turn of a kind.
    """

    index: int
    instruct: str = ""
    cancel: Kind | None = None


@dataclass(slots=True)
class Memory:
    """The last rest, and what hearing the chunks since then again does not tell.

    joined: chunks that were decided on together with the one after them.
    """

    rest: Rest | None = None
    wishes: list[Wish] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> "Memory":
        """Read what `written` wrote. What another version wrote, and this cannot read, is lost."""
        if not text:
            return cls()
        try:
            return _MEMORY.validate_json(text)
        except ValidationError:
            log.exception("a session begins anew: its memory is not readable")
            return cls()

    def written(self) -> str:
        """Return it as text, a kilobyte or so."""
        return _MEMORY.dump_json(self).decode()

    @property
    def window_start(self) -> int:
        """The first chunk that must be heard again."""
        return max(0, self.rest.index - self.rest.run_in_chunks) if self.rest else 0

    def is_run_in(self, index: int) -> bool:
        """Whether a chunk is of the time before the rest."""
        return self.rest is not None and index < self.rest.index

    def take_rest(self, rest: Rest) -> None:
        """Begin anew: what came before has become part of the state."""
        self.rest = rest
        self.wishes = [wish for wish in self.wishes if wish.index > rest.index]
        self.joined = [index for index in self.joined if index >= rest.index]

    def join(self, queue: Sequence[Features]) -> None:
        """Note what is decided on together."""
        self.joined += [each.index for each in queue[:-1] if each.index not in self.joined]


_MEMORY = TypeAdapter(Memory)
