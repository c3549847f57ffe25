"""Where a written answer ends when it is to be spoken: a few sentences, no second paragraph."""

SENTENCE_ENDS = (".", "!", "?")


class SpokenAnswer:
    """Cuts one answer, piece by piece."""

    def __init__(self, max_sentences: int) -> None:
        self._left_sentences = max_sentences
        self._begun = False
        self._after_end_mark = False

    @property
    def over(self) -> bool:
        """Whether what follows belongs to the answer no more."""
        return self._left_sentences <= 0

    def take(self, piece: str) -> str:
        """Return what of the next piece belongs to the answer."""
        if not self._begun:
            piece = piece.lstrip()
        if self.over or not piece:
            return ""
        self._begun = True
        # "3.5" and "e.g." go on without a space, so a mark alone ends nothing.
        if self._after_end_mark and piece[0].isspace():
            self._left_sentences -= 1
            if self.over:
                return ""
        line, newline, _ = piece.partition("\n")
        if newline:
            self._left_sentences = 0
        self._after_end_mark = line.endswith(SENTENCE_ENDS)
        return line
