import pytest
import typer

from services.cli.errors import CliError
from services.cli.outcome import Outcome
from services.core.events import CallerEvent, CloseReason, ErrorEvent
from tests.services.cli.stream import closed, told


def outcome_of(*events: CallerEvent) -> Outcome:
    outcome = Outcome()
    for event in events:
        outcome.take(event)
    return outcome


@pytest.mark.parametrize("reason", [CloseReason.COMPLETE, CloseReason.CLOSED_BY_CALLER])
def test_a_session_that_was_served_is_a_success(reason: CloseReason) -> None:
    outcome_of(closed(reason)).check()


@pytest.mark.parametrize(
    "reason", sorted(set(CloseReason) - {CloseReason.COMPLETE, CloseReason.CLOSED_BY_CALLER})
)
def test_every_other_reason_is_a_failure_that_says_why(reason: CloseReason) -> None:
    with pytest.raises(CliError):
        outcome_of(closed(reason)).check()


@pytest.mark.parametrize("bad_channel", [0, 1])
def test_one_bad_channel_of_two_is_a_failure(bad_channel: int) -> None:
    events = [
        closed(CloseReason.ERROR if channel == bad_channel else CloseReason.COMPLETE)
        for channel in range(2)
    ]

    with pytest.raises(CliError):
        outcome_of(*events).check()


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    with pytest.raises(CliError, match="connection"):
        outcome_of().check()


def test_an_error_is_told_at_once_and_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = outcome_of(told(ErrorEvent("bad_samples", "sample 7 is nan")))
    assert capsys.readouterr().err == "soundflow: sample 7 is nan\n"

    outcome.take(closed(CloseReason.ERROR))
    with pytest.raises(typer.Exit) as leaving:
        outcome.check()
    assert leaving.value.exit_code == 1
    assert capsys.readouterr().err == ""


def test_an_error_that_ended_nothing_is_a_warning() -> None:
    outcome_of(told(ErrorEvent("truncated", "the file ends early")), closed()).check()
