"""One of the platform's own services as a process, with the settings that join it to the others."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.request import urlopen

from stack.ports import HOST
from stack.server import Server
from stack.settings import ROOT

CHECK_TIMEOUT_S = 2.0


class Service(Server):
    """One replica. kind: which service. env: its SOUNDFLOW_… variables."""

    stop_within_s = 30  # its calls may end in peace first

    def __init__(
        self, folder: Path, kind: str, name: str, ports: Mapping[str, int], env: Mapping[str, str]
    ) -> None:
        super().__init__(folder, name, ports)
        self.kind = kind
        self.env = env

    def command(self) -> Sequence[str]:
        """Return the process's command line."""
        return [sys.executable, "-m", f"services.{self.kind}.main"]

    def environment(self) -> Mapping[str, str]:
        """Return its settings, and where the project is."""
        return {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self.env}

    def check(self) -> None:
        """Ask whether it is ready: with all that it needs at hand."""
        urlopen(f"http://{HOST}:{self.ports['admin']}/readyz", timeout=CHECK_TIMEOUT_S).close()
