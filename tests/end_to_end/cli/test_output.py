import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.cli.command import LENGTH_S, TURN, events_of, on_terminal, run
from tests.end_to_end.places import NO_PLATFORM
from tests.services.cli.screen import lines_on_screen


def test_a_file_is_listened_to_at_real_speed(server: str, call: Path) -> None:
    started_s = time.monotonic()
    listened = run("listen", str(call), "--server", server)

    assert (listened.returncode, listened.stderr) == (0, "")
    assert listened.stdout == TURN
    assert time.monotonic() - started_s > LENGTH_S  # never faster; how much slower, nobody knows


def test_json_is_all_events_and_nothing_else(server: str, call: Path) -> None:
    listened = run("listen", str(call), "--server", server, "--json")

    assert (listened.returncode, listened.stderr) == (0, "")
    events = events_of(listened.stdout)
    assert events[0]["type"] == "session.opened"
    assert events[-1] == {
        "type": "session.closed",
        "session_id": events[0]["session_id"],
        "channel": 0,
        "id": max(event.get("id", 0) for event in events),
        "reason": "complete",
        "chunks": 6,
        "turns": 1,
    }
    assert [event["chunk"] for event in events if event["type"] == "decision"] == list(range(6))
    assert [event["text"] for event in events if event["type"] == "response.text"] == ["chunk 4"]


@pytest.mark.parametrize("where", ["here", "on the server"])
def test_a_task_does_the_same_here_and_on_a_server(server: str, call: Path, where: str) -> None:
    args = ("--model", "null") if where == "here" else ("--server", server)
    plain = run("task", str(call), *args)
    as_json = run("task", str(call), *args, "--json")

    assert (plain.returncode, plain.stdout, plain.stderr) == (0, TURN, "")
    assert (as_json.returncode, as_json.stderr) == (0, "")
    types = [event["type"] for event in events_of(as_json.stdout)]
    assert types.count("decision") == 6
    assert types[0] == "session.opened"
    assert types[-1] == "session.closed"


@pytest.mark.parametrize("command", ["listen", "task here", "task on the server"])
def test_channels_are_heard_apart(server: str, stereo: Path, command: str) -> None:
    args = ("--model", "null") if command == "task here" else ("--server", server)
    heard = run(command.split()[0], str(stereo), *args, "--split-channels", "--json")

    assert (heard.returncode, heard.stderr) == (0, "")
    events = events_of(heard.stdout)
    for channel in (0, 1):
        mine = [event for event in events if event["channel"] == channel]
        assert [event["chunk"] for event in mine if event["type"] == "decision"] == list(range(6))
    assert len({event["session_id"] for event in events}) == 2


@pytest.mark.parametrize("command", ["listen", "task"])
def test_a_terminal_shows_turns_decisions_and_the_whole_bar(
    server: str, call: Path, command: str
) -> None:
    exit_code, written = on_terminal(command, str(call), "--server", server)
    screen = "\n".join(lines_on_screen(written))

    assert exit_code == 0
    assert screen.count("00:02.0  notice       chunk 4") == 1
    assert "····▌·" in screen
    assert "00:02.2 / 00:02.2" in screen


def test_json_on_a_terminal_is_json(server: str, call: Path) -> None:
    exit_code, written = on_terminal("task", str(call), "--server", server, "--json")

    assert exit_code == 0
    assert events_of(written)[-1]["type"] == "session.closed"


@NO_PLATFORM
def test_help_loads_no_model_code() -> None:
    script = "import sys, services.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert not {"numpy", "av", "onnxruntime", "aiohttp", "grpc"} & set(done.stdout.split())
