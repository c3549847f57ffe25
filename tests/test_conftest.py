import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDS_WEIGHTS = "tests/soundflow/cascade/test_turn_end.py"


def outcome(models: Path, *, ci: str) -> subprocess.CompletedProcess[str]:
    """Run tests that need weights where there are none."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", NEEDS_WEIGHTS],
        cwd=ROOT,
        env={**os.environ, "CI": ci, "SOUNDFLOW_MODELS": str(models)},
        capture_output=True,
        text=True,
    )


def test_without_weights_tests_are_skipped_and_say_what_to_do(tmp_path: Path) -> None:
    run = outcome(tmp_path, ci="")
    assert run.returncode == pytest.ExitCode.OK
    assert " passed" not in run.stdout
    assert "make models" in run.stdout


def test_where_everything_must_run_they_fail(tmp_path: Path) -> None:
    run = outcome(tmp_path, ci="true")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "make models" in run.stdout
