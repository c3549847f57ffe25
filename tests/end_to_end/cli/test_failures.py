import signal
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.cli.command import TIMEOUT_S, Platform, failed, next_line, run, start
from tests.end_to_end.cli.replica import Replica
from tests.end_to_end.places import NO_PLATFORM, SERVE


@NO_PLATFORM
def test_no_server_is_an_error_that_says_how_to_start_one(call: Path) -> None:
    nobody = ("--server", "http://127.0.0.1:9")

    assert failed(run("listen", str(call), *nobody), "make run", "127.0.0.1:9")


def test_a_bad_file_is_an_error_that_names_it(tmp_path: Path, server: str) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("not a sound")

    assert failed(run("listen", str(path), "--server", server), "notes.wav")
    assert failed(run("task", str(path), "--server", server, "--json"), "notes.wav")


def test_a_server_that_has_another_model_is_not_taken_for_it(call: Path, server: str) -> None:
    given = ("task", str(call), "--server", server, "--model")
    assert failed(run(*given, "cascade"), "there is no model 'cascade' here; use 'null'")
    assert run(*given, "null").returncode == 0


def test_a_full_platform_is_an_error(server: str, call: Path) -> None:
    """Two sessions are open: their standard input says nothing, and does not end."""
    holders = [start("listen", "-", "--json", "--server", server) for _ in range(2)]
    for holder in holders:
        assert "session.opened" in next_line(holder)

    assert failed(run("listen", str(call), "--server", server), "full")
    assert failed(run("task", str(call), "--server", server), "full")

    for holder in holders:
        holder.communicate(timeout=TIMEOUT_S)  # which closes its standard input
        assert holder.returncode == 1  # as no audio came


def test_a_platform_that_dies_is_an_error(
    new_server: Callable[[], Platform | Replica], long_call: Path
) -> None:
    platform = new_server()
    listening = start("listen", str(long_call), "--server", platform.url, "--json")
    assert "session.opened" in next_line(listening)
    platform.stop(signal.SIGKILL)
    _, stderr = listening.communicate(timeout=TIMEOUT_S)

    assert listening.returncode == 1
    assert stderr.startswith("soundflow: the connection broke")
    assert stderr.count("\n") == 1


@SERVE
def test_a_taken_port_is_an_error_that_names_it(server: str) -> None:
    port = server.rsplit(":", 1)[1]

    assert failed(run("serve", "--model", "null", "--http-port", port), port, "--http-port")
    assert failed(
        run("serve", "--model", "null", "--http-port", "0", "--grpc-port", port),
        port,
        "--grpc-port",
    )
