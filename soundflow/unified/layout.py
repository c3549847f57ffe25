"""How a window is laid out anew in its lane: fed from where it differs from what is there."""

from collections import deque
from dataclasses import dataclass

from soundflow.unified.pages import Lane
from soundflow.unified.window import Ids, Segment, Window, shared, text_segments


@dataclass(slots=True)
class Layout:
    """What a lane begins with.

    text: of the window as it was laid out last, what precedes its chunks; empty = whatever the lane
    holds, all is to be fed.
    """

    lane: Lane
    text: Ids = ()

    def lay_out(self, window: Window, unchanged: int) -> deque[Segment]:
        """Cut the lane off where the window differs from it; return what is to be fed behind.

        unchanged: the first entries that are as they were when the lane was filled. There is
        always something to feed, because what follows the last position is asked for.
        """
        before, self.text = self.text, window.text
        if before != self.text or not unchanged:
            same = min(shared(before, self.text), self.lane.length, len(self.text) - 1)
            self.lane.truncate(same)
            return deque([*text_segments(self.text[same:]), *window.entry_segments()])
        self.lane.truncate(len(self.text) + sum(e.positions for e in window.entries[:unchanged]))
        return deque(window.entry_segments(unchanged))
