"""The server: all its addresses on this machine, with just the models that it is told to load."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import tritonclient.grpc as triton

from stack.errors import NotReady
from stack.ports import HOST
from stack.server import Server
from stack.triton import libpython
from stack.triton.wheel import locate, server_files, site_packages

ROOT = Path(__file__).parents[2]
SHARED_MEMORY = Path("/dev/shm")
CHECK_TIMEOUT_S = 3.0


class TritonServer(Server):
    """One Triton server of some models of a repository.

    env: what its models read beside this process's environment. name: of its log.
    Ports: 0 takes free ones, kept over restarts.
    """

    ready_within_s = 180  # a model loads its weights and warms up first

    def __init__(
        self,
        folder: Path,
        repository: Path,
        models: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        grpc_port: int = 0,
        http_port: int = 0,
        metrics_port: int = 0,
        name: str = "triton",
    ) -> None:
        ports = {"grpc": grpc_port, "http": http_port, "metrics": metrics_port}
        super().__init__(folder, name, ports)
        self.repository = repository
        self.models = models
        self.env = env or {}

    @property
    def address(self) -> str:
        """Where gRPC clients find it."""
        return f"{HOST}:{self.ports['grpc']}"

    @property
    def metrics_address(self) -> str:
        """Where Prometheus finds it."""
        return f"{HOST}:{self.ports['metrics']}"

    def prepare(self) -> None:
        """Remove what a killed server of this folder left in shared memory."""
        super().prepare()
        self.clean()

    def command(self) -> Sequence[str]:
        """Return the server's command line."""
        folder = locate()
        return [
            str(server_files(folder) / "bin" / "tritonserver"),
            f"--model-repository={self.repository.resolve()}",
            f"--backend-directory={folder / 'backends'}",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
            *sorted(self.options),
            *(f"--{purpose}-address={HOST}" for purpose in self.ports),
            *(f"--{purpose}-port={port}" for purpose, port in self.ports.items()),
            "--allow-gpu-metrics=false",
        ]

    @property
    def options(self) -> set[str]:
        """What a server of these models is told wherever it runs."""
        return {
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in self.models),
            "--exit-timeout-secs=10",
        }

    def environment(self) -> Mapping[str, str]:
        """Return what makes the server and its models run in their own environment."""
        folder = locate()
        libraries = (
            str(site_packages(folder) / "nvidia_pytriton.libs"),
            str(libpython.folder()),
            os.environ.get("LD_LIBRARY_PATH", ""),
        )
        venv = folder / "venv"
        return {
            "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
            # A model's Python finds its packages by the first `python3` on the path.
            "PATH": f"{venv / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "VIRTUAL_ENV": str(venv),
            "PYTHONPATH": str(ROOT),
            **self.env,
        }

    def check(self) -> None:
        """Ask for the server and for each of its models.

        The server as a whole says that it is not ready while any version is loaded or unloaded.
        """
        client = triton.InferenceServerClient(self.address)
        try:
            if not client.is_server_live(client_timeout=CHECK_TIMEOUT_S):
                raise NotReady(f"{self.name} is not ready")
            for model in self.models:
                if not client.is_model_ready(model, client_timeout=CHECK_TIMEOUT_S):
                    raise NotReady(f"model {model} is not ready")
        finally:
            client.close()

    def clean(self) -> None:
        """Remove the shared memory between the server and its models' processes."""
        for region in SHARED_MEMORY.glob(f"{self._shared_memory}*"):
            if region.is_dir():
                shutil.rmtree(region, ignore_errors=True)
            else:
                region.unlink(missing_ok=True)

    @property
    def _shared_memory(self) -> str:
        folder = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:12]
        return f"soundflow_triton_{folder}_"
