"""Find the shared library of the running Python, which Triton's python backend loads."""

import sys
import sysconfig
from pathlib import Path

from stack.errors import Missing

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY = f"libpython{VERSION}.so.1.0"


def folder() -> Path:
    """Return the folder that holds it. Raises Missing."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    libdir = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    candidates = (
        libdir,
        libdir / multiarch,
        Path(sys.base_prefix, "lib"),
        # The system's fits another build of the same minor version: its interface is the same.
        Path("/usr/lib") / multiarch,
    )
    for candidate in candidates:
        if (candidate / LIBRARY).exists():
            return candidate
    raise Missing(
        f"this Python, {sys.base_prefix}, has no shared library {LIBRARY}, which Triton needs; "
        f"on Debian: apt-get install libpython{VERSION}; with pyenv: "
        f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {VERSION}"
    )
