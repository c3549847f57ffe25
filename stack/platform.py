"""The platform on this machine: up, seen, and down again."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.errors import NotReady
from stack.keeper import MARK, Keeper, State
from stack.parts import Parts
from stack.ports import HOST
from stack.server import Server
from stack.settings import StackSettings

DOWN_WITHIN_S = 120.0
END_WITHIN_S = 5.0
POLL_S = 0.1

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One part as it is now. health: "" where it answers as it should, else why not."""

    server: Server
    state: State
    health: str


@dataclass(frozen=True, slots=True)
class Platform:
    """All parts in one folder."""

    parts: Parts

    @classmethod
    def saved(cls, folder: Path) -> "Platform | None":
        """Return what was started in the folder and not ended since; None where nothing was."""
        settings = StackSettings.saved(folder)
        return None if settings is None else cls(Parts(settings))

    @property
    def settings(self) -> StackSettings:
        """How it runs."""
        return self.parts.settings

    @property
    def alive(self) -> bool:
        """Whether it runs, or is starting."""
        return self._keeper.alive()

    def up(self, report: Report) -> None:
        """Start all parts, in their order, each when what it needs is healthy.

        Where one does not come up, all are ended again. Raises StackError, which names it.
        """
        keeper = self._keeper
        self._check_clear()
        self.parts.write_model_repository()
        self.settings.save()
        groups = {"servers": self.parts.servers, "services": self.parts.services}
        try:
            for server in self.parts.all:
                server.prepare()
            keeper.start(groups, self.settings.logs)
            self._start("servers", self.parts.servers, report)
            self.parts.create_topics()
            report(f"{'topics':14} there")
            self._start("services", self.parts.services, report)
        except BaseException:
            self.down()
            raise

    def look(self) -> list[Seen]:
        """Return every part as it is now."""
        states = self._keeper.states()
        with ThreadPoolExecutor(len(states)) as pool:
            healths = pool.map(_health, self.parts.all)
        return [
            Seen(server, states[server.name], health)
            for server, health in zip(self.parts.all, healths, strict=True)
        ]

    def down(self) -> None:
        """End all parts, services first, and whatever of them outlived its supervisord."""
        folder = self.settings.folder
        if self.alive:
            self._keeper.shutdown()
            deadline = time.monotonic() + DOWN_WITHIN_S
            while marked(folder) and time.monotonic() < deadline:
                time.sleep(POLL_S)
        _end(marked(folder))
        for server in self.parts.all:
            server.clean()
        self.settings.forget()

    @property
    def _keeper(self) -> Keeper:
        return Keeper(self.settings.folder)

    def _start(self, group: str, servers: Sequence[Server], report: Report) -> None:
        keeper = self._keeper
        began = time.monotonic()
        failed = threading.Event()

        def wait(server: Server) -> str:
            server.wait_healthy(
                lambda: not failed.is_set() and keeper.states()[server.name].running
            )
            took_s = time.monotonic() - began
            return f"{server.name:14} up after {took_s:4.1f} s   {ports_of(server)}"

        keeper.launch(group)
        with ThreadPoolExecutor(len(servers)) as pool:
            try:
                for future in as_completed([pool.submit(wait, server) for server in servers]):
                    report(future.result())
            finally:
                failed.set()  # nobody waits on for the others

    def _check_clear(self) -> None:
        if marked(self.settings.folder):
            raise NotReady("parts of an earlier run are left; end them: make down")
        for server in self.parts.all:
            for purpose, port in server.ports.items():
                if _taken(port):
                    raise NotReady(
                        f"port {port}, for {purpose} of {server.name}, is taken by another program"
                    )


def ports_of(server: Server) -> str:
    """Return where a part listens, as one line."""
    return "  ".join(f"{purpose} {port}" for purpose, port in server.ports.items())


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _health(server: Server) -> str:
    try:
        server.check()
    except Exception as error:  # of whichever client asks
        return str(error) or type(error).__name__
    return ""


def marked(folder: Path) -> list[psutil.Process]:
    """Return all processes of the platform in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder.resolve()):
                found.append(process)
        except psutil.Error:  # another user's, or over
            continue
    return found


def _end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, END_WITHIN_S)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, END_WITHIN_S)
