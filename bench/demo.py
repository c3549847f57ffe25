"""Plays the demo call through a platform of its own, at real speed, and prints the timeline."""

import subprocess
import sys

from bench.make_demo import CALL
from bench.platform import SOUNDFLOW, running_platform

INSTRUCTION = "Transcribe what is said, count the dog barks and warn me of danger"


def main() -> int:
    """Start the platform, call it, and return the caller's exit status."""
    print(f'soundflow listen demo/{CALL.name} --instruction "{INSTRUCTION}"\n', flush=True)
    with running_platform() as platform:
        listen = [SOUNDFLOW, "listen", str(CALL), "--instruction", INSTRUCTION]
        called = subprocess.run([*listen, "--server", platform.url], check=False)
    return called.returncode


if __name__ == "__main__":
    sys.exit(main())
