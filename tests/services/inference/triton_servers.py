"""What tests do with inference servers."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from services.inference.config import InferenceConfig
from services.inference.triton_versions import replica_name
from stack.triton import TritonServer
from training.export import REPOSITORY, write_code

MODELS = ("encoder", "decoder")


def reach(*servers: TritonServer, **settings: float) -> InferenceConfig:
    """Return settings that find the servers."""
    addresses = ",".join(server.address for server in servers)
    found = {"encoder_addresses": addresses, "decoder_addresses": addresses}
    return InferenceConfig.model_validate(found | settings)


def name_of(server: TritonServer, version: int = 1) -> str:
    """Return how a pool of decoders names a version of the model on a server."""
    return replica_name(server.address, version)


@contextmanager
def versioned(folder: Path) -> Iterator[TritonServer]:
    """Run a server of the null model's first version, on a repository of its own."""
    repository = folder / "model_repo"
    server = TritonServer(folder / "triton", repository, MODELS, {"SOUNDFLOW_MODEL": "null"})
    for model in MODELS:
        (repository / model).mkdir(parents=True)
        shutil.copyfile(REPOSITORY / model / "config.pbtxt", repository / model / "config.pbtxt")
    add_version(server, 1)
    with server:
        yield server


def add_version(server: TritonServer, version: int) -> None:
    """Put a version into a server's repository."""
    for model in MODELS:
        write_code(model, server.repository / model / str(version))


def freeze(server: TritonServer) -> None:
    """Make a server hang, with all its processes."""
    os.killpg(server.pid, signal.SIGSTOP)


def thaw(server: TritonServer) -> None:
    """Let it go on."""
    os.killpg(server.pid, signal.SIGCONT)


def metric(server: TritonServer, name: str) -> float:
    """Return a metric of a server. name: as far as it is unique, with labels where needed."""
    with urlopen(f"http://{server.metrics_address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    [found] = [line for line in lines if line.startswith(name)]
    return float(found.rpartition(" ")[2])
