"""A folder in which something is written and removed all the time, as by a download."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def churned(folder: Path) -> Iterator[None]:
    """Have folders come and go in it meanwhile."""
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            for name in "abc":
                (folder / name / "deep").mkdir(parents=True)
                (folder / name / "deep" / "file").touch()
            for name in "abc":
                shutil.rmtree(folder / name)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
