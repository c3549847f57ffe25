import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from services.cli.main import app


@pytest.fixture
def call(tmp_path: Path) -> Path:
    path = tmp_path / "call.wav"
    soundfile.write(path, np.zeros(16_000, np.float32), 16_000)
    return path


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def told_failure(*args: str) -> str:
    """Return the one line on standard error that a failure is."""
    done = run(*args)
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert done.stderr.startswith("soundflow: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "listen",
        "task",
        "models fetch",
        "models list",
        "checkpoint inspect",
        "checkpoint convert",
    ],
)
def test_the_help_of_each_command_has_an_example(command: str) -> None:
    shown = run(*command.split(), "--help")

    assert shown.exit_code == 0
    assert f"Example: soundflow {command}" in shown.stdout


@pytest.mark.parametrize("args", [(), ("models",)])
def test_help_is_shown_where_no_command_is_given(args: Sequence[str]) -> None:
    assert "Usage" in run(*args).output


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == "soundflow 0.1.0\n"


@pytest.mark.parametrize(
    "args",
    [
        ("listen", "call.wav", "--rate", "8000"),
        ("listen", "mic", "--encoding", "mulaw"),
        ("listen", "-", "--encoding", "mp3"),
        ("listen", "call.wav", "--ability", "sing"),
        ("task", "call.wav", "--instruction", "\udcff"),  # as Python has the byte 0xFF
        ("task",),
        ("sing",),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(args: Sequence[str]) -> None:
    done = run(*args)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage" in done.stderr


@pytest.mark.parametrize(("option", "value"), [("rate", "96001"), ("rate", "0"), ("channels", "0")])
def test_audio_that_no_platform_takes_is_refused(option: str, value: str) -> None:
    assert f" {value} " in told_failure("listen", "-", f"--{option}", value)


def test_serving_without_weights_says_what_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_MODELS", str(tmp_path))

    serve = ("serve", "--http-port", "0", "--grpc-port", "0")
    assert "soundflow models fetch cascade" in told_failure(*serve)


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_a_model_that_comes_with_the_repository_is_not_called_unknown(command: str) -> None:
    assert "'small' comes with SoundFlow's repository" in told_failure("models", command, "small")


def test_a_model_that_nobody_knows_is_an_error(call: Path) -> None:
    assert "parrot" in told_failure("task", str(call), "--model", "parrot")


def test_a_wrong_setting_is_an_error_that_names_it(
    call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_BURST_MS", "soon")

    for command in (("serve",), ("task", str(call))):
        told = told_failure(*command, "--model", "null")
        assert "SOUNDFLOW_BURST_MS" in told
        assert "'soon'" in told


def test_a_wrong_setting_of_the_model_is_an_error_that_names_it(
    call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_CHAT_TIMEOUT_S", "0")

    assert "SOUNDFLOW_CHAT_TIMEOUT_S" in told_failure("task", str(call), "--model", "null")


def test_an_option_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDFLOW_HTTP_PORT", "no port")

    # It fails at the next check, for a host that is nobody's.
    serve = ("serve", "--model", "null", "--host", "host.invalid", "--http-port", "0")
    told = told_failure(*serve)
    assert "host.invalid" in told and "look at --host" in told and "Unknown error" not in told


def test_the_microphone_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)

    assert "pip install 'soundflow[mic]'" in told_failure("listen", "mic")


def test_the_microphone_without_its_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)

    assert "libportaudio2" in told_failure("listen", "mic")
