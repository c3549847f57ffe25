import io
import json

from services.cli.output import JsonLines, Plain
from services.core.events import CallerEvent, to_json
from soundflow.interaction import Action, Kind
from tests.services.cli.stream import closed, decided, ended, opened, said, started

EVENTS = [
    opened(),
    decided(0, Action.RESPOND),
    started(1, Kind.TRANSCRIPT, chunk=0),
    said(1, "Grüß", final=False),
    said(1, "Grüß Gott"),
    ended(1),
    closed(),
]


def test_json_is_one_event_a_line_and_nothing_else() -> None:
    stdout = io.StringIO()
    with JsonLines(stdout) as output:
        for event in EVENTS:
            output.show(event)
            output.progress(400, 800)

    lines = stdout.getvalue().splitlines()
    assert [json.loads(line) for line in lines] == [to_json(event) for event in EVENTS]
    assert "Grüß Gott" in stdout.getvalue()


def test_every_line_is_flushed() -> None:
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="utf-8")
    JsonLines(stdout).show(EVENTS[0])

    assert raw.getvalue().endswith(b"}\n")


def test_plain_lines_hold_what_is_final() -> None:
    stdout = io.StringIO()
    with Plain(stdout, channels=1) as output:
        for event in EVENTS:
            output.show(event)
            output.progress(400, 800)

    assert stdout.getvalue() == "00:00.4  transcript   Grüß Gott\n"


def test_plain_lines_of_a_split_call_name_the_channel() -> None:
    def turn(channel: int, text: str) -> list[CallerEvent]:
        return [
            started(1, Kind.ANSWER, channel=channel),
            said(1, text, channel=channel),
            ended(1, channel=channel),
        ]

    stdout = io.StringIO()
    with Plain(stdout, channels=2) as output:
        for event in turn(0, "yes") + turn(1, "no"):
            output.show(event)

    left, right = stdout.getvalue().splitlines()
    assert left.split() == ["00:00.4", "left", "answer", "yes"]
    assert right.split() == ["00:00.4", "right", "answer", "no"]
    assert left.index("yes") == right.index("no")
