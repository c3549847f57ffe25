import asyncio

import pytest
import typer

from services.cli.errors import CliError, told_plainly
from services.core.errors import Overloaded
from soundflow.audio import AudioError
from soundflow.checkpoint import ModelMissing


@pytest.mark.parametrize(
    "error",
    [
        CliError("nobody there"),
        AudioError("empty_audio", "not a sample"),
        ModelMissing("no weights"),
        Overloaded(8, 5),
        ExceptionGroup("tasks", [ExceptionGroup("task", [CliError("within")])]),
    ],
)
def test_a_users_error_is_one_line_and_exit_code_1(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as leaving, told_plainly():
        raise error

    assert leaving.value.exit_code == 1
    said = capsys.readouterr().err
    assert said.startswith("soundflow: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_interrupt_is_exit_code_130(
    interrupt: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as leaving, told_plainly():
        raise interrupt

    assert leaving.value.exit_code == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "bug",
    [ValueError("a bug"), ExceptionGroup("tasks", [CliError("one"), CliError("two")])],
)
def test_a_bug_shows_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)) as raised, told_plainly():
        raise bug

    assert raised.value is bug
