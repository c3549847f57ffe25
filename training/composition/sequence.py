"""A stream's tokens as a live session lays them out, and the way back.

The layout is the session's own (`soundflow.unified.window`): prefix, past turns as text, blocks
with their answers. Here stands what training adds: which tokens are targets.
Shape suffixes: T positions, N blocks.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundflow.unified.settings import UnifiedSettings
from soundflow.unified.tokens import BLOCK_FRAMES, ControlTokens, TextTokens
from soundflow.unified.window import Entry, Ids, Window, text_segments
from training.composition.timeline import Answer, Drain


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Tokens, targets and blocks, as in `training.learning.example.Example`."""

    tokens_T: NDArray[np.int64]
    text_T: NDArray[np.bool_]
    stream_T: NDArray[np.bool_]
    blocks_N: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parts:
    """What tokens are made with."""

    control: ControlTokens
    text: TextTokens

    def answer_ids(self, answer: Answer | None) -> Ids:
        """Return what follows a drained queue."""
        if answer is None:
            return (self.control.silence,)
        emotion = [token for token, name in self.control.emotions.items() if name == answer.emotion]
        if answer.emotion and not emotion:
            raise ValueError(f"there is no token for the emotion {answer.emotion!r}")
        text_ids = self.text.encode(answer.text)
        return (self.control.text_begin, *emotion, *text_ids, self.control.text_end)

    def answer(self, ids: Sequence[int]) -> Answer | None:
        """Return what `answer_ids` was made of. ValueError."""
        if tuple(ids) == (self.control.silence,):
            return None
        if len(ids) < 3 or (ids[0], ids[-1]) != (self.control.text_begin, self.control.text_end):
            raise ValueError(f"no answer is {tuple(ids)}")
        emotion = self.control.emotions.get(ids[1], "")
        return Answer(self.text.decode(ids[2 if emotion else 1 : -1]), emotion)


def sequences(
    drained: Iterable[Drain], system: str, parts: Parts, settings: UnifiedSettings
) -> Iterator[TokenSequence]:
    """Yield what a session's lane holds each time before it is laid out anew, and at the end.

    Every answer is a target in exactly one of them, the first that holds it.
    """
    prefix = parts.control.prefix_ids(parts.text.encode(system))
    window = Window(parts.control, settings, 1, prefix)
    fresh = 0  # the entries from here on have not been targets
    cut: set[int] = set()  # the first chunks of those whose answer does not end by itself
    for drain in drained:
        entry = _entry(drain, parts)
        if drain.said < 1:
            cut.add(entry.first)
        # Room is made for what comes, and behind it for one chunk more: as a session does.
        for chunks, added in ((entry.blocks, [entry]), (1, [])):
            if not window.has_room(chunks):
                if fresh < len(window.entries):
                    yield _laid_out(window, fresh, cut)
                window.make_room(chunks)
                fresh = len(window.entries)
            window.entries += added
    if fresh < len(window.entries):
        yield _laid_out(window, fresh, cut)


def offline(answer: str, user: str, system: str, chunks: int, parts: Parts) -> TokenSequence:
    """Return a question's sequence as the published model was trained on it: no decision.

    chunks: of its audio, 0 = none; each is ten AUDIO_PADs.
    """
    control, encode = parts.control, parts.text.encode
    system_ids = (control.offline, *control.prefix_ids(encode(system))[1:])
    audio_ids = (
        control.audio_begin,
        *[control.audio_pad] * BLOCK_FRAMES * chunks,
        control.audio_end,
    )
    user_ids = (control.user, control.text_begin, *encode(user), control.text_end)
    asked = (*system_ids, *(audio_ids if chunks else ()), *(user_ids if user else ()))
    said = parts.answer_ids(Answer(answer))
    tokens_T = np.array([*asked, control.assistant, *said], np.int64)
    text_T = np.arange(len(tokens_T)) >= len(tokens_T) - len(said)
    return TokenSequence(tokens_T, text_T, np.zeros(len(tokens_T), np.bool_), np.arange(chunks))


@dataclass(frozen=True, slots=True)
class Read:
    """What a sequence says. drained: with the chunks' numbers as in `blocks_N`."""

    system: str
    past: tuple[Answer, ...]
    drained: tuple[Drain, ...]


def read(sequence: TokenSequence, parts: Parts) -> Read:
    """Read a live session's sequence. ValueError where it is none."""
    ids = sequence.tokens_T.tolist()
    begin = parts.control.prefix_ids(())[:-1]
    end = ids.index(parts.control.text_end)
    if tuple(ids[: len(begin)]) != begin:
        raise ValueError(f"no session begins with {ids[: len(begin)]}")
    past: list[Answer] = []
    drained: list[Drain] = []
    block, blocks, place = 0, 0, end + 1
    while place < len(ids):
        if tuple(ids[place : place + len(parts.control.block)]) == parts.control.block:
            place, blocks = place + len(parts.control.block), blocks + 1
            continue
        if not blocks and ids[place] == parts.control.assistant:
            place += 1
        length = (
            1
            if ids[place] == parts.control.silence
            else ids[place:].index(parts.control.text_end) + 1
        )
        answer = parts.answer(ids[place : place + length])
        if blocks:
            drained.append(Drain(int(sequence.blocks_N[block]), blocks, answer))
        elif answer and not drained:
            past.append(answer)
        else:
            raise ValueError(f"position {place}: an answer to nothing")
        place, block, blocks = place + length, block + blocks, 0
    return Read(parts.text.decode(ids[len(begin) : end]), tuple(past), tuple(drained))


def _entry(drain: Drain, parts: Parts) -> Entry:
    """Return the drain as a session keeps it; each chunk's number stands for its frames."""
    numbers = range(drain.first, drain.first + drain.chunks)
    frames = [np.full((BLOCK_FRAMES, 1), number, np.float32) for number in numbers]
    answer = parts.answer_ids(drain.answer)
    if drain.said < 1:
        # At least TEXT_BEGIN and two tokens more stay, an emotion perhaps and a text; of its own
        # TEXT_END nothing.
        kept = min(len(answer) - 1, max(3, int(len(answer) * drain.said)))
        answer = (*answer[:kept], parts.control.text_end)
    return Entry(drain.first, frames, answer)


def _laid_out(window: Window, fresh: int, cut: Container[int]) -> TokenSequence:
    """cut: an answer that was ended from outside has a TEXT_END that nobody is to learn."""
    segments = [*text_segments(window.text), *window.entry_segments()]
    tokens_T = np.array([token for segment in segments for token in segment.ids], np.int64)
    blocks = [segment.frames[0, 0] for segment in segments if segment.frames is not None]
    text_T, stream_T = np.zeros((2, len(tokens_T)), np.bool_)
    place = len(tokens_T) - window.entry_positions
    for number, entry in enumerate(window.entries):
        decision, place = place + entry.positions - len(entry.answer), place + entry.positions
        if number >= fresh:
            stream_T[decision] = True
            text_T[decision + 1 : place - (entry.first in cut)] = True
    return TokenSequence(tokens_T, text_T, stream_T, np.array(blocks, np.int64))
