"""Where events go: JSON lines for programs, plain lines for files, a timeline for people."""

import json
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from services.cli.story import Line, Story, clock
from services.core.events import CallerEvent, to_json

CHANNEL_NAMES: Sequence[str] = ("left", "right")


class Output(Protocol):
    """Shows one stream while it runs; a context, so that the terminal is left as it was found."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, told: CallerEvent) -> None:
        """Show an event. BrokenPipeError when nobody reads any more."""

    def progress(self, done_ms: int, total_ms: int | None) -> None:
        """Show how far the audio is; `total_ms` is None while its end is not known."""


class _Quiet:
    """An output that writes line by line, and nothing about progress."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to put back."""

    def progress(self, done_ms: int, total_ms: int | None) -> None:
        """Say nothing of it."""

    def _write(self, line: str) -> None:
        print(line, file=self._stdout, flush=True)


class JsonLines(_Quiet):
    """One event a line, exactly as `services.core.events.to_json`."""

    def show(self, told: CallerEvent) -> None:
        """Write every event."""
        self._write(json.dumps(to_json(told), ensure_ascii=False))


class Plain(_Quiet):
    """What is final, one turn a line: time, what it is, text."""

    def __init__(self, stdout: TextIO, *, channels: int) -> None:
        super().__init__(stdout)
        self._names = CHANNEL_NAMES[:channels] if channels > 1 else ()
        self._story = Story()

    def show(self, told: CallerEvent) -> None:
        """Write what the event makes final."""
        for line in self._story.take(told):
            self._write(self._plain(line))

    def _plain(self, line: Line) -> str:
        channel = f"{self._names[line.channel]:<5}  " if self._names else ""
        return f"{clock(line.at_ms)}  {channel}{line.label:<11}  {line.text}"
