"""Files that are there whole or not at all, also where a process is killed while it writes one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The end of what a file or folder is called while it is not whole.
PART = ".part"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield where to write a file, which is put into place once that is done.

    Several processes may write the same one: each has a place of its own, and the last one stays.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    yield partial
    partial.replace(path)
