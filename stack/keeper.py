"""supervisord, which keeps the parts running: its settings, its start, and what it is told."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from stack.errors import NotReady
from stack.server import Server

# Marks every process of one platform, so that none is left when supervisord itself was killed.
MARK = "SOUNDFLOW_STACK"
START_WITHIN_S = 20.0
POLL_S = 0.1
# A Unix socket's path may be no longer.
SOCKET_CHARS = 100
RUNNING = ("STARTING", "RUNNING")
# A part that ends is started again for ever, a little later each time if it ends at once.
RETRIES = 1000


@dataclass(frozen=True, slots=True)
class State:
    """What supervisord says of one part.

    state: as supervisord names it. pid: 0 where there is no process, and since_s then too.
    """

    state: str
    pid: int
    since_s: float

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.state in RUNNING


class Keeper:
    """One supervisord in the platform's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._socket = self.folder / "supervisor.sock"
        if len(str(self._socket)) > SOCKET_CHARS:
            raise NotReady(f"{self.folder} is too long for a socket's path; name another --folder")

    def start(self, groups: Mapping[str, Sequence[Server]], logs: Path) -> None:
        """Start supervisord, with nothing running yet. Raises NotReady."""
        self.folder.mkdir(parents=True, exist_ok=True)
        logs.mkdir(parents=True, exist_ok=True)
        config = self.folder / "supervisor.conf"
        with config.open("w") as file:
            render(groups, self.folder, self._socket, logs).write(file)
        command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(config)]
        marked = {**os.environ, MARK: str(self.folder)}
        done = subprocess.run(command, env=marked, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotReady(f"supervisord does not start: {done.stdout}{done.stderr}")
        deadline = time.monotonic() + START_WITHIN_S
        while not self.alive():
            if time.monotonic() > deadline:
                raise NotReady(f"supervisord does not answer; see {logs / 'supervisord.log'}")
            time.sleep(POLL_S)

    def alive(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._call("getState")
        except (OSError, Fault):
            return False
        return True

    def launch(self, group: str) -> None:
        """Start all parts of a group, and wait for none."""
        self._call("startProcessGroup", group, False)

    def states(self) -> dict[str, State]:
        """Return every part's state, by its name."""
        return {
            info["name"]: State(
                info["statename"], info["pid"], info["now"] - info["start"] if info["pid"] else 0
            )
            for info in self._call("getAllProcessInfo")
        }

    def shutdown(self) -> None:
        """Have supervisord end all parts, and then itself; returns before it has."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> Any:
        # A connection for each call: several threads ask.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


def render(
    groups: Mapping[str, Sequence[Server]], folder: Path, socket: Path, logs: Path
) -> RawConfigParser:
    """Return supervisord's settings. Groups end in the reverse of their order."""
    config = RawConfigParser()
    config["unix_http_server"] = {"file": _plain(socket), "chmod": "0700"}
    config["supervisord"] = {
        "logfile": _plain(logs / "supervisord.log"),
        "pidfile": _plain(folder / "supervisord.pid"),
        "directory": _plain(folder),
    }
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for priority, (group, servers) in enumerate(groups.items(), 1):
        names = ",".join(server.name for server in servers)
        config[f"group:{group}"] = {"programs": names, "priority": str(priority)}
        for server in servers:
            config[f"program:{server.name}"] = _program(server)
    return config


def _program(server: Server) -> dict[str, str]:
    # Not by supervisord's own `environment`, which cannot quote quotes.
    variables = (f"{name}={value}" for name, value in server.environment().items())
    return {
        "command": _plain(shlex.join(["env", *variables, *server.command()])),
        "directory": _plain(server.folder),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": str(RETRIES),
        "stopwaitsecs": str(round(server.stop_within_s)),
        "killasgroup": "true",
        "stdout_logfile": _plain(server.log),
        "stdout_logfile_backups": "1",
        "redirect_stderr": "true",
    }


def _plain(value: object) -> str:
    """Keep supervisord from taking a percent sign for one of its own variables."""
    return str(value).replace("%", "%%")
