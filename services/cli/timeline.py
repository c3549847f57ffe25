"""The account of a stream on a terminal: what is final scrolls by, what may change stays below."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.gauges import Gauge
from services.cli.output import CHANNEL_NAMES, JsonLines, Output, Plain
from services.cli.story import Line, Story, Turn, clock
from services.core.events import CallerEvent, DecisionMade, ResponseStarted, SessionOpened
from soundflow.interaction import Action

FAINT = "bright_black"
NEW_TURN_STYLE = "white"  # until its start says what kind it is
STYLES: Mapping[str, str] = {
    "transcript": "cyan",
    "translation": "blue",
    "description": "yellow",
    "count": "magenta",
    "advice": "bold red",
    "answer": "green",
    "notice": "white",
    "gap": FAINT,
    "overrun": "red",
    "resumed": FAINT,
}
LABEL_WIDTH = max(map(len, STYLES))
LABELS_WIDTH = 32  # time, channel and label, with what is between them
SILENT_MARK, RESPOND_MARK = "·", "▌"
SHOWN_DECISIONS = 150  # one minute; a narrower terminal shows fewer
CTRL_C_WIDTH = 3  # room for the terminal's "^C", which would push the live region down a line
SHOWN_LINES = 4  # of a turn that still grows


@dataclass(slots=True)
class Strip:
    """The newest decisions of one channel. styles: by chunk, in order; "" is a silent one."""

    styles: dict[int, str] = field(default_factory=dict)

    def decide(self, chunk: int, style: str) -> None:
        """Append a decision."""
        self.styles[chunk] = style
        if len(self.styles) > SHOWN_DECISIONS:
            del self.styles[next(iter(self.styles))]

    def begin(self, chunk: int, style: str) -> None:
        """Colour a decision by the turn that it began."""
        if chunk in self.styles:
            self.styles[chunk] = style

    def draw(self, width: int) -> Text:
        """Draw the newest marks that fit, the last one on the right."""
        marks = Text(no_wrap=True)
        for style in list(self.styles.values())[-width:]:
            marks.append(RESPOND_MARK if style else SILENT_MARK, style=style or FAINT)
        return marks


class Timeline:
    """Draws the account. Everything that can change is in the live region at the bottom."""

    def __init__(self, console: Console, title: str, gauge: Gauge, *, channels: int) -> None:
        self._console = console
        self._title = title
        self._gauge = gauge
        self._names = CHANNEL_NAMES[:channels] if channels > 1 else ("",)
        self._strips = [Strip() for _ in self._names]
        self._story = Story()
        self._done_ms = 0
        self._total_ms: int | None = None
        self._live = Live(console=console, refresh_per_second=12)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state of the live region standing."""
        self._live.stop()

    def show(self, told: CallerEvent) -> None:
        """Print what is final now, redraw the rest."""
        match told.event:
            case SessionOpened(session_id, model) if told.channel == 0:
                self._console.print(Text(f"{self._title} → {model}  {session_id}", FAINT))
            case DecisionMade(chunk, _, action, latency_ms):
                style = self._spoken_style(told) if action is Action.RESPOND else ""
                self._strips[told.channel].decide(chunk, style)
                self._gauge.decided(latency_ms)
            case ResponseStarted(_, chunk, kind):
                self._strips[told.channel].begin(chunk, STYLES[kind])
        for line in self._story.take(told):
            self._console.print(self._rows([(line, Text(line.text))]))
        self._live.update(self._region())

    def progress(self, done_ms: int, total_ms: int | None) -> None:
        """Move the bar."""
        self._done_ms, self._total_ms = done_ms, total_ms
        self._live.update(self._region())

    def _spoken_style(self, told: CallerEvent) -> str:
        """Guess what a decision to respond goes on with: the newest turn that is still open."""
        open_turns = self._story.open_turns.items()
        kinds = [turn.kind for (session_id, _), turn in open_turns if session_id == told.session_id]
        return STYLES[kinds[-1]] if kinds else NEW_TURN_STYLE

    def _region(self) -> RenderableType:
        growing = [(turn.line(), self._growing(turn)) for turn in self._story.open_turns.values()]
        bar = progress_bar(self._done_ms, self._total_ms, width=self._console.width)
        return Group(self._rows(growing), self._decisions(), bar)

    def _rows(self, rows: Iterable[tuple[Line, Text]]) -> Table:
        """Lay lines out in columns, so that long text stays beside its label."""
        table = Table.grid(padding=(0, 2, 0, 0))
        for line, text in rows:
            style = STYLES[line.label]
            cells = [Text(clock(line.at_ms), FAINT), Text(f"{line.label:<{LABEL_WIDTH}}", style)]
            if len(self._names) > 1:
                cells.insert(1, Text(f"{self._names[line.channel]:<5}", FAINT))
            table.add_row(*cells, text)
        return table

    def _growing(self, turn: Turn) -> Text:
        """Show what is final as it is, and what may be replaced faintly; the newest lines of it."""
        text = Text()
        for piece in turn.in_order:
            text.append(piece.text, style="" if piece.final else f"italic {FAINT}")
        shown = SHOWN_LINES * max(1, self._console.width - LABELS_WIDTH)
        return text if len(text) <= shown else Text("… ") + text[-shown:]

    def _decisions(self) -> Table:
        table = Table.grid(expand=True)
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True)
        reading = self._gauge.reading(self._done_ms)
        for name, strip in zip(self._names, self._strips, strict=True):
            label = Text(f"{name:<5}  " if name else "", FAINT)
            width = self._console.width - len(label) - len(reading) - 2
            table.add_row(label + strip.draw(max(1, width)), Text(reading, FAINT))
            reading = ""  # it speaks for all channels
        return table


def progress_bar(done_ms: int, total_ms: int | None, *, width: int) -> RenderableType:
    """Draw how much of the audio is done; a mere clock while its end is not known."""
    if not total_ms:
        return Text(f"● {clock(done_ms)}", "red")
    table = Table.grid(expand=True, padding=(0, 2, 0, 0))
    table.width = width - CTRL_C_WIDTH
    table.add_column(ratio=1)
    table.add_column(no_wrap=True)
    bar = ProgressBar(total=total_ms, completed=min(done_ms, total_ms))
    table.add_row(bar, f"{clock(done_ms)} / {clock(total_ms)}")
    return table


class WithBar:
    """Another output whose lines go elsewhere, and its progress bar on this console."""

    def __init__(self, output: Output, console: Console) -> None:
        self._output = output
        self._console = console
        self._live = Live(
            console=console, refresh_per_second=12, transient=True, redirect_stdout=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._live.stop()

    def show(self, told: CallerEvent) -> None:
        """Leave it to the other."""
        self._output.show(told)

    def progress(self, done_ms: int, total_ms: int | None) -> None:
        """Move the bar."""
        self._live.update(progress_bar(done_ms, total_ms, width=self._console.width))


def choose_output(title: str, gauge: Gauge, *, channels: int, as_json: bool) -> Output:
    """Return what suits standard output: a terminal, or something that is read by programs."""
    screen = Console()
    if sys.stdout.isatty() and not screen.is_dumb_terminal and not as_json:
        return Timeline(screen, title, gauge, channels=channels)
    lines = JsonLines(sys.stdout) if as_json else Plain(sys.stdout, channels=channels)
    errors = Console(stderr=True)
    if sys.stdout.isatty() or not sys.stderr.isatty() or errors.is_dumb_terminal:
        return lines
    return WithBar(lines, errors)
