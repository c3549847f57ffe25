import pytest
from typer.testing import CliRunner

from services.cli import training
from services.cli.main import app
from training.tasks.table import TABLE


def test_what_follows_is_passed_on_to_the_command_of_training() -> None:
    done = CliRunner().invoke(app, ["corpus", "tasks"])
    assert done.exit_code == 0
    assert all(task.name in done.stdout for task in TABLE)


def test_its_options_and_errors_are_its_own() -> None:
    done = CliRunner().invoke(app, ["corpus", "build", "x", "--material", "/absent.csv"])
    assert done.exit_code == 1 and "absent.csv" in done.stderr
    helped = CliRunner().invoke(app, ["evaluate", "--help"])
    assert helped.exit_code == 0 and "--corpus" in helped.stdout


@pytest.mark.parametrize("command", ["corpus", "evaluate"])
def test_without_the_extra_it_is_told_what_to_install(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "jiwer" else object())
    done = CliRunner().invoke(app, [command, "--help"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("soundflow: jiwer not found") and "`train`" in done.stderr
