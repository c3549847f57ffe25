"""A language model that does what the features tell it, so that a test decides what is heard."""

import struct
from dataclasses import dataclass

import numpy as np

from soundflow.features import Features
from tests.soundflow.unified.hashed_model import HashedModel

SILENT, RESPOND, ODD = 1.0, 2.0, 3.0
LETTER = 40  # the first token of a reply; they go on from there


@dataclass
class Reply:
    """What it says after `respond`: so many letters, perhaps after an emotion."""

    tokens: int = 5
    emotion: str = ""


class ToldModel(HashedModel):
    """Follows the newest chunk's code; what it says is `reply`. Its numbers may be not finite."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__()
        self.reply = reply or Reply()

    def _next(self, rows: list[bytes]) -> int:
        ids = [struct.unpack("4f", row)[0] for row in rows]
        if ids[-1] == self.control.assistant:
            answers = {SILENT: self.control.silence, RESPOND: self.control.text_begin}
            return answers.get(ids[-2], self.control.user)
        said = (
            len(ids) - 1 - max(i for i, each in enumerate(ids) if each == self.control.text_begin)
        )
        if self.reply.emotion:
            if said == 0:
                return int(getattr(self.control, self.reply.emotion))
            said -= 1
        return LETTER + said % 20 if said < self.reply.tokens else self.control.text_end


@dataclass
class Sounds:
    """One session's chunks, as codes."""

    name: str
    next_index: int = 0

    def chunks(self, *codes: float) -> list[Features]:
        return [self.chunk(code) for code in codes]

    def chunk(self, code: float) -> Features:
        frames = np.full((10, 4), code, np.float32)
        frames[:, 1] = self.next_index
        made = Features(self.name, self.next_index, {"frames": frames})
        self.next_index += 1
        return made
