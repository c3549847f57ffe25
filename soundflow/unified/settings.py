"""How much of a session the unified decoder holds, and how much work one step may be."""

from dataclasses import dataclass

from soundflow.unified.sampling import GREEDY, Sampling
from soundflow.unified.tokens import BLOCK_FRAMES

BLOCK_POSITIONS = BLOCK_FRAMES + 2  # AUDIO_BEGIN, the frames, ASSISTANT
PREFIX_POSITIONS = 5  # around the system prompt
# One session's usual step: the control token before, and two chunks. A step feeds it whole.
SHORT_POSITIONS = 2 + 2 * BLOCK_POSITIONS


@dataclass(frozen=True, slots=True)
class UnifiedSettings:
    """Bounds on one session, by which its memory and its cost per chunk are constant.

    window_chunks: audio blocks held at most; above that the sequence is laid out anew, with at
    most `kept_chunks` of them, none older than `span_chunks`. What is kept is fed again, but for
    answered chunks that stay in front, so that each chunk pays for up to
    13 x kept / (window - kept) positions beside its own 13: with a third of the window for half a
    chunk, with two thirds it would be two. 20 chunks are 8 s.
    positions: of the sequence, reserved in the cache when a session opens.
    system_tokens, past_tokens, reply_tokens: the system prompt, the text of all past turns whose
    audio has left, and one reply, at most.
    piece_tokens: text is given out after so many.
    peek_chunks: the newest chunks that a reply is interrupted for, from its `peek_from_tokens` on;
    0 = none is.
    long_positions: what one step does at most for all those together that have more to feed than
    `SHORT_POSITIONS`, or that much for each where they are very many; another session's decision
    waits for no more than that.
    """

    window_chunks: int = 60
    kept_chunks: int = 20
    span_chunks: int = 180
    positions: int = 2048
    system_tokens: int = 384
    past_tokens: int = 384
    reply_tokens: int = 512
    piece_tokens: int = 4
    peek_chunks: int = 2
    peek_from_tokens: int = 16
    long_positions: int = 512
    sampling: Sampling = GREEDY

    def __post_init__(self) -> None:
        if not 0 < self.kept_chunks < self.window_chunks <= self.span_chunks:
            raise ValueError(f"0 < kept < window <= span chunks, got {self}")
        if min(self.system_tokens, self.past_tokens, self.peek_chunks) < 0:
            raise ValueError(f"no bound is negative, got {self}")
        if min(self.reply_tokens, self.piece_tokens, self.long_positions) < 1:
            raise ValueError(f"a reply, a piece and a step have room for something, got {self}")
        needed = self.window_chunks * BLOCK_POSITIONS + 1
        missing = needed - self.entry_positions(PREFIX_POSITIONS + self.system_tokens)
        if missing > 0:
            raise ValueError(
                f"{self.positions} positions leave no room for {self.window_chunks} chunks; "
                f"{self.positions + missing} do"
            )

    def entry_positions(self, prefix: int) -> int:
        """Return what is left for chunks and their answers, after a prefix of so many positions.

        The newest reply, with all that is tried after it, fits behind them.
        """
        peek = 2 + self.peek_chunks * BLOCK_POSITIONS
        return self.positions - prefix - self.past_tokens - self.reply_tokens - peek
