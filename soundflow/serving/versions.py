"""Which weights a version of a served model has: its folder's own, or those that settings name.

A repository's version folder may hold `checkpoint`, a link to the folder of a checkpoint. So a
version is its weights, whatever the server's settings were when it started.
"""

from collections.abc import Mapping
from pathlib import Path

CHECKPOINT = "checkpoint"


def model_of(args: Mapping[str, str], otherwise: str) -> str:
    """Return the model that a version serves, as `load_model` takes it.

    args: what Triton's python backend hands to `initialize`; the repository is the model's own.
    """
    own = Path(args["model_repository"], args["model_version"], CHECKPOINT)
    return str(own) if own.is_dir() else otherwise
