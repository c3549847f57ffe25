"""How a lost session's sequence comes back: its layout from memory, its chunks heard again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from soundflow.features import Features
from soundflow.interaction import PastTurn
from soundflow.unified.memory import Memory, unpacked
from soundflow.unified.tokens import BLOCK_FRAMES
from soundflow.unified.window import Entry, Frames, Window

# Features are of the order of 1; what is so large would be infinite a few layers on.
LARGEST = 1e4


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be decided on. respond: that it was answered is known already."""

    entry: Entry
    respond: bool = False


@dataclass(slots=True)
class Recall:
    """Puts chunks that are heard again in their places; what comes after them is new.

    newest: the last chunk that the lost session had decided on when its memory was written.
    open: what it was answering then. texts: what it said since, by the chunk that it answered.
    """

    window: Window
    newest: int = -1
    open: Entry | None = None
    texts: dict[int, str] = field(default_factory=dict)
    _places: dict[int, Entry] = field(default_factory=dict)

    def restore(
        self,
        known: Memory | None,
        history: Sequence[PastTurn],
        encode: Callable[[str], list[int]],
    ) -> None:
        """Lay out what is remembered.

        known: None where the memory cannot be read: then the history's text is all there is.
        """
        control = self.window.control
        if known is None:
            for past in history:
                ids = encode(past.text)
                self.window.remember((control.text_begin, *ids, control.text_end))
            return
        self.newest = known.newest
        self.window.past.extend(map(unpacked, known.past))
        entries = known.entries(control.silence)
        if entries and not entries[-1].answer:
            self.open = entries[-1]
        self._places = {
            index: entry for entry in entries for index in range(entry.first, entry.last + 1)
        }
        self.window.entries = [entry for entry in entries if entry is not self.open]
        self.texts = {past.chunk: past.text for past in history if past.chunk >= self.newest}

    def take(self, queue: Sequence[Features]) -> Due | None:
        """Take a drained queue; None where nothing is due. ValueError: none of it is taken."""
        new = [features for features in queue if features.index > self.newest]
        frames = [self._frames(features) for features in new]
        again = self._take_again(queue) if self._places else None
        if not new:
            return Due(again, respond=True) if again else None
        if again:  # new chunks together with the last of the old: that never was decided on
            return Due(Entry(again.first, [*again.frames, *frames]))
        return Due(Entry(new[0].index, frames))

    def _take_again(self, queue: Sequence[Features]) -> Entry | None:
        """Put chunks in their places; once that is done, return what was being answered."""
        again = [(f.index, self._frames(f)) for f in queue if f.index in self._places]
        for index, frames in again:
            self._places.pop(index).frames.append(frames)
        if queue[-1].index < self.newest:
            return None
        self._forget_missing()
        opened, self.open = self.open, None
        return opened

    def _forget_missing(self) -> None:
        """Do without the entries of which chunks were not heard again."""
        missing = {id(entry) for entry in self._places.values()}
        self._places = {}
        self.window.entries = [e for e in self.window.entries if id(e) not in missing]
        if id(self.open) in missing:
            self.open = None

    def _frames(self, features: Features) -> Frames:
        return frames_of(features, self.window.width)


def frames_of(features: Features, width: int) -> Frames:
    """Return a chunk's features, as an array of its own. ValueError for what no encoder makes."""
    given = np.asarray(features.tensors["frames"])
    if given.shape != (BLOCK_FRAMES, width) or given.dtype.kind != "f":
        raise ValueError(f"frames are {(BLOCK_FRAMES, width)} floats, got {given.shape=}")
    if not np.abs(given).max() <= LARGEST:  # also false for what is not a number
        raise ValueError(f"chunk {features.index} of {features.session_id!r} is no sound's")
    return given.astype(np.float32)
