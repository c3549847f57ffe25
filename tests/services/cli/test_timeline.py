import io
import re

from rich.console import Console

from services.cli.gauges import LatencyGauge
from services.cli.output import Plain
from services.cli.timeline import RESPOND_MARK, SILENT_MARK, Strip, Timeline, WithBar
from services.core.events import CallerEvent
from soundflow.interaction import Action, Kind
from tests.services.cli.screen import lines_on_screen
from tests.services.cli.stream import closed, decided, ended, opened, said, started


def terminal(*, width: int = 80) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=24,
        color_system="truecolor",
        _environ={},
    )


def screen_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return lines_on_screen(console.file.getvalue())


def play(*events: CallerEvent, channels: int = 1, done_ms: int = 0, total_ms: int = 0) -> list[str]:
    console = terminal()
    with Timeline(console, "call.wav", LatencyGauge(), channels=channels) as timeline:
        for event in events:
            timeline.show(event)
        timeline.progress(done_ms, total_ms or None)
    return screen_of(console)


def test_provisional_text_is_shown_and_replaced_in_place() -> None:
    screen = play(
        opened(),
        started(1, Kind.TRANSCRIPT),
        said(1, "wreck a nice beach", final=False),
        said(1, "recognise speech", final=False),
    )

    assert "recognise speech" in "\n".join(screen)
    assert "wreck" not in "\n".join(screen)


def test_final_text_is_printed_once_and_stays_above_what_follows() -> None:
    screen = play(
        started(1, Kind.TRANSCRIPT),
        said(1, "hello there", final=False),
        said(1, "Hello there."),
        ended(1),
        started(2, Kind.ADVICE, chunk=9),
        said(2, "Mind the glass."),
        ended(2),
        *(decided(chunk, Action.SILENT) for chunk in range(30)),
        closed(),
    )

    assert screen[:2] == [
        "00:00.4  transcript   Hello there.",
        "00:04.0  advice       Mind the glass.",
    ]
    assert "\n".join(screen).casefold().count("hello there") == 1


def test_a_long_text_stays_beside_its_label() -> None:
    screen = play(started(1, Kind.TRANSCRIPT), said(1, "word " * 30), ended(1))

    first, second = screen[0], screen[1]
    assert first.index("word") == second.index("word") == len("00:00.4  transcript   ")


def test_of_a_text_that_grows_long_the_newest_lines_are_shown() -> None:
    screen = play(
        started(1, Kind.ANSWER),
        said(1, "".join(f" word{number}" for number in range(1000)), final=False),
    )

    assert "word999" in "\n".join(screen)
    assert len(screen) < 10


def test_the_strip_shows_decisions_and_the_gauge_their_latency() -> None:
    actions = [Action.SILENT, Action.SILENT, Action.RESPOND, Action.SILENT]
    screen = play(*(decided(chunk, action, latency_ms=40) for chunk, action in enumerate(actions)))

    [row] = [line for line in screen if RESPOND_MARK in line]
    marks, reading = row.split(maxsplit=1)
    assert marks == SILENT_MARK * 2 + RESPOND_MARK + SILENT_MARK
    assert "p50 40 ms" in reading
    assert "p95 40 ms" in reading


def test_each_channel_has_its_strip() -> None:
    screen = play(
        opened(),
        opened(channel=1),
        decided(0, Action.SILENT),
        decided(0, Action.RESPOND, channel=1),
        channels=2,
    )

    rows = [line.split()[:2] for line in screen if line.startswith(("left", "right"))]
    assert rows == [["left", SILENT_MARK], ["right", RESPOND_MARK]]
    assert sum("call.wav" in line for line in screen) == 1


def test_the_bar_shows_position_and_length_or_a_clock_where_there_is_none() -> None:
    assert "00:30.0 / 01:00.0" in "\n".join(play(done_ms=30_000, total_ms=60_000))

    endless = "\n".join(play(done_ms=30_000))
    assert "00:30.0" in endless
    assert "/" not in endless


def test_text_that_looks_like_markup_is_text() -> None:
    screen = play(started(1, Kind.TRANSCRIPT), said(1, "[bold]press[/nothing] 1"), ended(1))

    assert screen[0].endswith("[bold]press[/nothing] 1")


def test_a_decision_has_the_colour_of_what_it_began_or_goes_on_with() -> None:
    console = terminal()
    with Timeline(console, "call.wav", LatencyGauge(), channels=1) as timeline:
        timeline.show(decided(0, Action.RESPOND))
        timeline.show(started(1, Kind.ADVICE, chunk=0))
        timeline.show(decided(1, Action.RESPOND))

    assert isinstance(console.file, io.StringIO)
    row = [line for line in console.file.getvalue().splitlines() if RESPOND_MARK in line][-1]
    colours = re.findall(rf"\x1b\[([\d;]*)m({RESPOND_MARK}+)", row)
    assert "".join(marks for _, marks in colours) == RESPOND_MARK * 2
    assert {colour for colour, _ in colours} == {"1;31"}  # bold red, as advice is


def test_a_strip_keeps_the_newest_marks_that_fit() -> None:
    strip = Strip()
    for chunk in range(1000):
        strip.decide(chunk, "" if chunk < 998 else "red")

    assert strip.draw(width=5).plain == SILENT_MARK * 3 + RESPOND_MARK * 2
    assert len(strip.styles) < 1000


def test_a_bar_beside_other_output_goes_away_and_leaves_that_alone() -> None:
    console, stdout = terminal(), io.StringIO()
    with WithBar(Plain(stdout, channels=1), console) as output:
        output.progress(400, 800)
        for event in (started(1, Kind.ANSWER), said(1, "yes"), ended(1)):
            output.show(event)

    assert "".join(screen_of(console)) == ""
    assert stdout.getvalue() == "00:00.4  answer       yes\n"
