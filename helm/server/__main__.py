"""`make helm-server-check`: build what is missing, start it, and have the chart checked."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from helm.check import CheckFailed
from helm.server.build import build
from helm.server.check import api_server, check_chart
from stack.errors import Missing, StackError


def main() -> None:
    """Check all; exit with 1 at the first thing that is wrong. Without Go, say so, and skip it."""
    try:
        build(print)
    except Missing as missing:
        print(f"skipped: {missing}")
        return
    except StackError as error:
        sys.exit(str(error))
    try:
        with (
            TemporaryDirectory(prefix="soundflow-kubernetes-") as folder,
            api_server(Path(folder)) as server,
        ):
            for line in check_chart(server):
                print(line)
    except (CheckFailed, StackError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
