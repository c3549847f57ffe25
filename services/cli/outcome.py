"""How a stream went, told by its events: well, or with a reason for a person to read."""

from collections.abc import Mapping
from dataclasses import dataclass

import typer

from services.cli.errors import FAILED, CliError
from services.core.events import CallerEvent, CloseReason, ErrorEvent, SessionClosed

_REASONS: Mapping[CloseReason, str] = {
    CloseReason.IDLE: "the platform closed the session: it got no audio for too long",
    CloseReason.CLIENT_GONE: "the platform lost the connection; try again",
    CloseReason.CLIENT_TOO_SLOW: "events were not read in time; give the output a faster reader",
    CloseReason.ERROR: "the platform closed the session because of an error; its log says more",
    CloseReason.OVERLOADED: "the platform had no room for the session; try again later",
    CloseReason.SHUTDOWN: "the platform was stopped; start it and try again",
}


@dataclass(slots=True)
class Outcome:
    """told_error: an error was told. reason: of the close; of two channels, the worse one."""

    told_error: bool = False
    reason: CloseReason | None = None

    def take(self, told: CallerEvent) -> None:
        """Tell an error at once; remember how the session closed."""
        match told.event:
            case ErrorEvent(message=message):
                typer.echo(f"soundflow: {message}", err=True)
                self.told_error = True
            case SessionClosed(reason):
                self.reason = self.reason if self.reason in _REASONS else reason

    def check(self) -> None:
        """Fail unless all was heard to the end; with a CliError where no event has said why."""
        if self.reason is not None and self.reason not in _REASONS:
            return
        if self.told_error:
            raise typer.Exit(FAILED)
        if self.reason is None:
            raise CliError("the connection broke before the end; is the platform still running?")
        raise CliError(_REASONS[self.reason])
