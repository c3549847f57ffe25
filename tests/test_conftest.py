import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDS_WEIGHTS = "tests/soundflow/cascade/test_turn_end.py"
NEEDS_SERVERS = (
    "tests/stack/test_servers.py::test_a_killed_kafka_is_back_with_its_messages",
    "tests/stack/test_servers.py::test_triton_runs_the_projects_models_and_leaves_nothing",
    "tests/end_to_end/test_websocket.py::test_a_websocket_call_from_open_to_close[cluster]",
)


def outcome(nothing: Path, *tests: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Run tests where there are no weights, and nothing that is fetched."""
    elsewhere = {"SOUNDFLOW_MODELS": str(nothing), "XDG_CACHE_HOME": str(nothing)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**os.environ, "CI": ci, **elsewhere},
        capture_output=True,
        text=True,
    )


def test_without_weights_tests_are_skipped_and_say_what_to_do(tmp_path: Path) -> None:
    run = outcome(tmp_path, NEEDS_WEIGHTS, ci="")
    assert run.returncode == pytest.ExitCode.OK
    assert " passed" not in run.stdout
    assert "make models" in run.stdout


def test_where_everything_must_run_they_fail(tmp_path: Path) -> None:
    run = outcome(tmp_path, NEEDS_WEIGHTS, ci="true")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "make models" in run.stdout


def test_without_servers_tests_are_skipped_and_say_what_to_do(tmp_path: Path) -> None:
    run = outcome(tmp_path, *NEEDS_SERVERS, ci="")
    assert run.returncode == pytest.ExitCode.OK
    assert "3 skipped" in run.stdout
    for server in ("kafka", "triton"):
        assert f"{server} is not in {tmp_path}/soundflow/stack" in run.stdout
    assert "make stack-fetch" in run.stdout


def test_where_everything_must_run_they_fail_without_servers(tmp_path: Path) -> None:
    run = outcome(tmp_path, *NEEDS_SERVERS, ci="true")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "make stack-fetch" in run.stdout
