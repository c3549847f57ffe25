"""A cluster's ingestion replica as a process of its own."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from stack.parts import Parts
from stack.ports import HOST, free_ports
from stack.service import Service

NAME = "ingestion-0"


class Replica:
    """One more beside those of the cluster, with room for two sessions."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        all_ports = parts.settings.ports
        purposes = all_ports[NAME]
        ports = dict(zip(purposes, free_ports(len(purposes)), strict=True))
        settings = replace(parts.settings, chosen_ports={**all_ports, NAME: ports})
        env = {**Parts(settings).service_environment(NAME), "SOUNDFLOW_MAX_SESSIONS": "2"}
        self._service = Service(folder, "ingestion", NAME, ports, env)
        self._service.start()
        self.pid = self._service.pid
        self.url = f"http://{HOST}:{ports['http']}"

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal, and wait until it has ended."""
        os.kill(self.pid, number)
        self._service.stop()
