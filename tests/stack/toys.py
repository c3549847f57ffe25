"""Small parts in place of the real ones, to test how parts are kept without waiting for those."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.request import urlopen

from stack.parts import Parts
from stack.ports import HOST
from stack.server import Server

READY = "ready, 100 %"


class Toy(Server):
    """A web server of its own folder. broken: it ends at once, and says why."""

    ready_within_s = 20
    stop_within_s = 5

    def __init__(self, folder: Path, name: str, port: int, *, broken: bool = False) -> None:
        super().__init__(folder, name, {"http": port})
        self.broken = broken

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "answer").write_text(READY)

    def command(self) -> Sequence[str]:
        if self.broken:
            return [sys.executable, "-c", "raise SystemExit('no such weights')"]
        port = str(self.ports["http"])
        return [sys.executable, "-u", "-m", "http.server", port, "--bind", HOST]

    def environment(self) -> dict[str, str]:
        return {"QUOTED": 'a "word", and 100 %'}

    def check(self) -> None:
        with urlopen(f"http://{HOST}:{self.ports['http']}/answer", timeout=2) as answer:
            assert answer.read().decode() == READY


@dataclass(frozen=True)
class ToyParts(Parts):
    """Two servers and two replicas of a service."""

    broken: str = ""

    @cached_property
    def servers(self) -> Sequence[Server]:
        return self._toys("kafka", "redis")

    @cached_property
    def services(self) -> Sequence[Server]:
        return self._toys("ingestion-0", "response-0")

    def create_topics(self) -> None:
        (self.settings.folder / "topics").write_text("there")

    def _toys(self, *names: str) -> Sequence[Server]:
        toys = [
            Toy(
                self.settings.folder / name,
                name,
                next(iter(self.settings.ports[name].values())),
                broken=name == self.broken,
            )
            for name in names
        ]
        return self._logged(*toys)
