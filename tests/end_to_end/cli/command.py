"""The installed `soundflow` command, run as a person or a script would, with the null model."""

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

SOUNDFLOW = str(Path(sys.executable).with_name("soundflow"))
TIMEOUT_S = 170  # before the test's own, which says less

# The null model responds to every fifth chunk. 2.2 s are five chunks and a half.
LENGTH_S = 2.2
TURN = "00:02.0  notice       chunk 4\n"


def run(*args: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SOUNDFLOW, *args], capture_output=True, text=True, timeout=TIMEOUT_S, **settings
    )


def start(*args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [SOUNDFLOW, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def next_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the next line on a command's standard output."""
    assert process.stdout is not None
    return process.stdout.readline()


def events_of(stdout: str) -> list[dict[str, Any]]:
    """Read standard output, every line of it, as JSON objects."""
    return [json.loads(line) for line in stdout.splitlines()]


def failed(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    """One clear line on standard error, nothing on standard output, exit code 1."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.startswith("soundflow: ")
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr
    return True


class Platform:
    """A `soundflow serve` in a process of its own, with room for two sessions."""

    def __init__(self) -> None:
        ports = ("--http-port", "0", "--grpc-port", "0")
        self.process = start("serve", "--model", "null", "--max-sessions", "2", *ports)
        announced = next_line(self.process).split()
        self.url = next(word for word in announced if word.startswith("http://"))

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; return exit code and standard error."""
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, stderr


def on_terminal(*args: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and all that it wrote."""
    terminal, end_of_command = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        [SOUNDFLOW, *args],
        stdin=end_of_command,
        stdout=end_of_command,
        stderr=end_of_command,
        env=env,
    ) as process:
        os.close(end_of_command)
        written = b""
        with suppress(OSError):  # which is how a terminal says that nobody is at its other end
            while data := os.read(terminal, 65536):
                written += data
        os.close(terminal)
    return process.returncode, written.decode()
