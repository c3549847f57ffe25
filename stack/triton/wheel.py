"""Triton's environment: a virtual environment of locked wheels, and one folder of backends."""

import shutil
import sys
from functools import partial
from pathlib import Path

from uv import find_uv_bin

from stack import command
from stack.cache import Fetched, Report
from stack.errors import FetchFailed, Missing
from stack.triton import libpython

LOCK = Path(__file__).with_name("requirements.lock")
# numpy 1, which the server needs, has wheels for these.
PYTHONS = ("3.11", "3.12")
# The backend runs its Python isolated, deaf to PYTHONPATH. One environment serves every checkout of
# the project, so where the project lies must come from outside all the same.
PYTHONPATH = "import os, sys; sys.path += filter(None, os.environ.get('PYTHONPATH', '').split(':'))"
# The environment holds for one Python: its stub and wheels are of that version.
TRITON = Fetched("triton", "\n".join((sys.base_prefix, sys.version, LOCK.read_text(), PYTHONPATH)))


def locate() -> Path:
    """Return the folder of the environment. Raises Missing."""
    _check_python()
    return TRITON.locate()


def fetch(report: Report) -> Path:
    """Return the folder of the environment, making it where it is missing. Raises StackError."""
    _check_python()
    return TRITON.fetch(partial(_install, report), report)


def site_packages(folder: Path) -> Path:
    """Return where the environment keeps its packages."""
    return folder / "venv" / "lib" / f"python{libpython.VERSION}" / "site-packages"


def server_files(folder: Path) -> Path:
    """Return where the wheel keeps the server."""
    return site_packages(folder) / "pytriton" / "tritonserver"


def _check_python() -> None:
    if libpython.VERSION not in PYTHONS:
        raise Missing(
            f"the Triton server runs with Python {' or '.join(PYTHONS)}, and this is "
            f"{libpython.VERSION}; make the environment anew with one: make clean install "
            f"PYTHON=python{PYTHONS[0]}"
        )
    libpython.folder()


def _install(report: Report, folder: Path) -> None:
    python = folder / "venv" / "bin" / "python"
    venv = [sys.executable, "-m", "venv", str(folder / "venv")]
    command.run("triton", venv, into=folder, report=report)
    locked = ["--only-binary=:all:", "--require-hashes", "--requirement", str(LOCK)]
    # uv links to what it has fetched before, so that PyTorch is on the disk once for all.
    uv = [find_uv_bin(), "pip", "install", "--quiet", "--system-certs", "--python", str(python)]
    try:
        command.run("triton", [*uv, *locked], into=folder, report=report)
    except FetchFailed as error:
        report(f"{error}\ntriton: pip tries it now, which may know of another index")
        pip = [
            *(str(python), "-m", "pip", "install", "--quiet", "--no-input", "--no-compile"),
            *("--disable-pip-version-check", "--no-cache-dir"),
        ]
        # Downloads pass through this folder, so that one sees them come.
        through = {"TMPDIR": str(folder)}
        command.run("triton", [*pip, *locked], into=folder, report=report, environment=through)
    (site_packages(folder) / "pythonpath.pth").write_text(f"{PYTHONPATH}\n")
    _join_backend(folder)


def _join_backend(folder: Path) -> None:
    """Put the python backend and the stub of this Python into one folder, as the server asks."""
    files = server_files(folder)
    stub = files / "python_backend_stubs" / libpython.VERSION / "triton_python_backend_stub"
    if not stub.is_file():
        raise FetchFailed(f"triton: the wheel has no stub for Python {libpython.VERSION}: {stub}")
    backend = folder / "backends" / "python"
    shutil.copytree(files / "backends" / "python", backend)
    shutil.copy2(stub, backend)
