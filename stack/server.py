"""One real server: started in a folder of its own, waited for, killed, and started again there."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from stack.errors import NotReady
from stack.ports import free_ports

POLL_S = 0.05
LOG_TAIL_CHARS = 2000


class Server(ABC):
    """What all servers have in common; a subclass says what to run and how to ask for its health.

    folder: its settings, data and log; the same folder and ports serve for every start.
    name: among other servers, and of its log. ports: where it listens, each by what it is for.
    """

    # How long a start may take on a busy machine, and an end before it is forced.
    ready_within_s: float = 120
    stop_within_s: float = 20

    def __init__(self, folder: Path, name: str, ports: Mapping[str, int]) -> None:
        self.folder = folder
        self.name = name
        free = free_ports(len(ports))
        self.ports = {name: port or free.pop() for name, port in ports.items()}
        self.log = folder / f"{name}.log"  # what it said, in all its starts
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Write what the server reads. May be called again over the data of an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the program and its arguments. Raises Missing."""

    def environment(self) -> Mapping[str, str]:
        """Return what the server's environment has beside that of this process."""
        return {}

    @abstractmethod
    def check(self) -> None:
        """Ask the server for something that only a healthy one can do; else raise."""

    def clean(self) -> None:  # noqa: B027 - most servers leave nothing
        """Remove what an ended server leaves outside its folder."""

    @property
    def pid(self) -> int:
        """The server's process, which leads a process group of its own."""
        if self._process is None:
            raise NotReady(f"{self.name} does not run")
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it is healthy; else it is ended. Raises Missing or NotReady."""
        self.launch()
        try:
            self.ready()
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        if self._process is not None and self._process.poll() is None:
            raise NotReady(f"{self.name} runs already, as process {self.pid}")
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.command()),
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that it ends with its children, and not by Ctrl-C
            )

    def ready(self) -> None:
        """Wait until it is healthy. Where it ends, or never is: NotReady, with its log's end."""
        self.wait_healthy(lambda: self._process is not None and self._process.poll() is None)

    def wait_healthy(self, alive: Callable[[], bool]) -> None:
        """Do the same for a process that another one keeps."""
        deadline = time.monotonic() + self.ready_within_s
        while True:
            if not alive():
                raise NotReady(f"{self.name} has ended; {self.log_end()}")
            try:
                return self.check()
            except Exception as error:  # of whichever client asks; the last one is told
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"{self.name} is not healthy after {self.ready_within_s:g} s: "
                        f"{error}; {self.log_end()}"
                    ) from error
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Ask it to end, and force it where it does not; nothing to do where it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self.stop_within_s)
        self.kill()

    def kill(self) -> None:
        """End it at once with all its processes, as a failing machine would."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self.clean()

    def log_end(self) -> str:
        """Return the last that it said, for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"the end of {self.log}:\n{text[-LOG_TAIL_CHARS:].strip()}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()
