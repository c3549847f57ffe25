"""Put a trained checkpoint into a repository that a platform serves from, once it has been tried.

`python -m training.publish CHECKPOINT --to REPOSITORY` adds it as the next version, or of a run's
folder the newest checkpoint; `--list` says which are there. What runs goes on as it is until
`soundflow rollout VERSION`.
"""

import argparse
import sys
from pathlib import Path

from soundflow.checkpoint import CheckpointError
from training.learning.saving import newest_of
from training.repository import KEPT, add, versions


def checkpoint_in(folder: Path) -> Path:
    """Return the newest checkpoint of a run's folder; any other folder as it is."""
    return newest_of(folder) or folder


def main() -> None:
    """Print the new version's number, or those that are there; exit status 1 where it failed."""
    parser = argparse.ArgumentParser(prog="python -m training.publish", description=__doc__)
    parser.add_argument(
        "checkpoint", nargs="?", type=Path, help="a checkpoint's folder, or a run's"
    )
    parser.add_argument("--to", type=Path, required=True, help="the repository")
    parser.add_argument("--kept", type=int, default=KEPT, help="how many versions stay there")
    parser.add_argument("--list", action="store_true", help="print the versions that are there")
    given = parser.parse_args()
    if given.list == (given.checkpoint is not None):
        parser.error("give a checkpoint, or --list")
    if given.kept < 1:
        parser.error("--kept is at least 1")
    if given.list:
        print(*versions(given.to), sep="\n")
        return
    try:
        print(add(checkpoint_in(given.checkpoint), given.to, kept=given.kept))
    except CheckpointError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
