"""How the platform runs on this machine: how many of each part, in which folder, on which ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from stack.ports import free_ports

ROOT = Path(__file__).parents[1]
SERVICES = ("ingestion", "perception", "decision", "response")
MODELS = ("encoder", "decoder")

# Where the first of each part listens; the next ones STEP further. Not the ports that Kafka, Redis
# and Prometheus have by themselves: a developer may run those beside the platform.
STEP = 10
MOST = STEP - 1  # of a part that there may be several of
FIRST_PORTS: Mapping[str, Mapping[str, int]] = {
    "kafka": {"broker": 19092, "controller": 19093},
    "redis": {"redis": 16379},
    "encoder": {"grpc": 18001, "http": 18002, "metrics": 18003},
    "decoder": {"grpc": 18101, "http": 18102, "metrics": 18103},
    "prometheus": {"http": 19090},
    "ingestion": {"http": 8080, "grpc": 50051, "delivery": 50052, "admin": 9460},
    "perception": {"admin": 9560},
    "decision": {"admin": 9660},
    "response": {"admin": 9760},
}
SINGLE = ("kafka", "redis", "prometheus")

Ports = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class StackSettings:
    """The platform on one machine.

    model: as `soundflow serve` names it. replicas: of each service. encoders, decoders: Triton
    servers. prefix: of topics and keys. folder: of all that it writes. chosen_ports: by part,
    where they are not the table's.
    """

    folder: Path = ROOT / "build" / "stack"
    model: str = "cascade"
    replicas: int = 1
    encoders: int = 2
    decoders: int = 2
    prefix: str = "soundflow"
    chosen_ports: Ports = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("replicas", "encoders", "decoders"):
            if not 1 <= getattr(self, name) <= MOST:
                raise ValueError(f"{name} must be from 1 to {MOST}, not {getattr(self, name)}")

    @property
    def counts(self) -> Mapping[str, int]:
        """How many there are of each kind of part."""
        return {
            **dict.fromkeys(SINGLE, 1),
            "encoder": self.encoders,
            "decoder": self.decoders,
            **dict.fromkeys(SERVICES, self.replicas),
        }

    def names(self, kind: str) -> list[str]:
        """Return the names of the parts of a kind."""
        if kind in SINGLE:
            return [kind]
        return [f"{kind}-{index}" for index in range(self.counts[kind])]

    @property
    def ports(self) -> Ports:
        """Where each part listens, by its name."""
        return self.chosen_ports or {
            name: {purpose: port + index * STEP for purpose, port in FIRST_PORTS[kind].items()}
            for kind in self.counts
            for index, name in enumerate(self.names(kind))
        }

    def on_free_ports(self) -> "StackSettings":
        """Return the same on ports that nobody listens on now."""
        free = free_ports(sum(len(ports) for ports in self.ports.values()))
        chosen = {
            name: {purpose: free.pop() for purpose in ports} for name, ports in self.ports.items()
        }
        return replace(self, chosen_ports=chosen)

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.folder / "logs"

    def save(self) -> None:
        """Keep them for the commands that come later."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _FILE).write_bytes(_JSON.dump_json(self, indent=1))

    def forget(self) -> None:
        """Say that the platform in this folder has ended; its data and logs stay."""
        (self.folder / _FILE).unlink(missing_ok=True)

    @staticmethod
    def saved(folder: Path) -> "StackSettings | None":
        """Return what the platform in this folder was started with; None where there is none."""
        file = folder / _FILE
        return _JSON.validate_json(file.read_bytes()) if file.is_file() else None


_FILE = "settings.json"
_JSON = TypeAdapter(StackSettings)
