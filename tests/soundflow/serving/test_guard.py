"""A server ends with its model's process, and only then."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.waiting import DEADLINE_S

# Plays the server: it starts a model's process, and waits to be told to end.
SERVER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1]]).wait()
time.sleep(100)
"""
# Plays the model's process, guarded.
MODEL = """
import os, time
from pathlib import Path
from soundflow.serving.guard import Guard, end_process
parent = Path(f"/proc/{os.getppid()}/comm").read_text().strip()
guard = Guard(%s)
print(os.getpid(), flush=True)
%s
"""

# Returns the server and its model's process, once that is guarded.
Start = Callable[..., tuple[subprocess.Popen[bytes], psutil.Process]]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[subprocess.Popen[bytes]] = []

    def start(then: str, server: str = "parent") -> tuple[subprocess.Popen[bytes], psutil.Process]:
        command = [sys.executable, "-c", SERVER, MODEL % (server, then)]
        servers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert (told := servers[-1].stdout)
        return servers[-1], psutil.Process(int(told.readline()))

    yield start
    for server in servers:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("death", ["time.sleep(0.1); end_process()", "time.sleep(0.1)"])
def test_the_server_ends_with_the_model(start: Start, death: str) -> None:
    server, _ = start(death)
    assert server.wait(DEADLINE_S) == -signal.SIGTERM


def test_the_server_ends_when_the_model_is_killed(start: Start) -> None:
    server, model = start("time.sleep(100)")
    model.kill()
    assert server.wait(DEADLINE_S) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("then", "server"),
    [("time.sleep(0.1); guard.dismiss()", "parent"), ("time.sleep(0.1)", "'another'")],
)
def test_the_server_goes_on(start: Start, then: str, server: str) -> None:
    process, _ = start(then, server)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
