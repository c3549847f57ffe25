"""Programs that the system's packages bring, and how to get them."""

import os
import shutil

from stack.errors import Missing

# Where Debian puts what only root is expected to run.
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")

PACKAGES = {
    "java": "default-jre-headless",
    "mvn": "maven",
    "redis-server": "redis-server",
    "prometheus": "prometheus",
}


def program(name: str) -> str:
    """Return a program's path. Raises Missing."""
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    path = shutil.which(name, path=folders)
    if path is None:
        raise Missing(
            f"{name} is not installed; on Debian: apt-get install --no-install-recommends "
            f"{PACKAGES[name]}"
        )
    return path
