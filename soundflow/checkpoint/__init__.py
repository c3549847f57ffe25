"""The one place that turns a model's name, or a folder, into weights on this disk."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from soundflow.checkpoint.errors import (
    CacheUnwritable,
    CheckpointError,
    ModelDamaged,
    ModelMissing,
    ModelUnreachable,
    UnknownModel,
)
from soundflow.checkpoint.progress import FetchProgress, Report, Step, silent
from soundflow.checkpoint.shipped import SHIPPED
from soundflow.checkpoint.store import Store
from soundflow.checkpoint.table import GROUPS, TABLE

if TYPE_CHECKING:
    from soundflow.checkpoint.folder import Checkpoint

__all__ = [
    "GROUPS",
    "SHIPPED",
    "TABLE",
    "CacheUnwritable",
    "CheckpointError",
    "FetchProgress",
    "ModelDamaged",
    "ModelMissing",
    "ModelUnreachable",
    "Report",
    "Step",
    "Store",
    "UnknownModel",
    "default_store",
    "expand",
    "fetch",
    "locate",
    "open_checkpoint",
    "verify",
]


def default_store() -> Store:
    """Return the store in the user's cache, or in the folder that SOUNDFLOW_MODELS names."""
    given = os.environ.get("SOUNDFLOW_MODELS")
    return Store(Path(given) if given else platformdirs.user_cache_path("soundflow") / "models")


def locate(name_or_path: str | Path) -> Path:
    """Return a model's folder; see `Store.locate`."""
    return default_store().locate(name_or_path)


def fetch(name: str, report: Report = silent) -> Path:
    """Return a model's folder, downloading it where it is missing; see `Store.fetch`."""
    return default_store().fetch(name, report)


def verify(name: str) -> Path:
    """Return a model's folder after reading all of it; see `Store.verify`."""
    return default_store().verify(name)


def expand(*names: str) -> tuple[str, ...]:
    """Replace groups of models by their members; see `Store.expand`."""
    return default_store().expand(*names)


def open_checkpoint(name_or_path: str | Path) -> "Checkpoint":
    """Open a unified model; see `soundflow.checkpoint.folder`. CheckpointError.

    name_or_path: of one that comes with the repository, or of a folder.
    """
    try:  # torch is no part of a plain installation, and takes seconds to import
        from soundflow.checkpoint import folder
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"a model in a folder needs {error.name}: pip install 'soundflow[unified]'"
        ) from error
    where = locate(name_or_path) if str(name_or_path) in SHIPPED else name_or_path
    return folder.open_checkpoint(where)
