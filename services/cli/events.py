"""Events as a client gets them: the inverse of `services.core.events.to_json`."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from services.cli.errors import CliError
from services.core.events import CallerEvent, Event

_ADAPTERS: Mapping[str, TypeAdapter[Event]] = {
    event_type.type: TypeAdapter(event_type) for event_type in get_args(Event)
}


def from_json(message: Mapping[str, Any]) -> CallerEvent | None:
    """Return the event; None for a type that only newer servers know. CliError when it is none."""
    adapter = _ADAPTERS.get(message.get("type", ""))
    if adapter is None:
        return None
    try:
        event = adapter.validate_python(message)
    except ValidationError as error:
        raise CliError(f"the server sent an event that cannot be read: {error}") from error
    # An error that comes before the session has no session's name on it.
    return CallerEvent(
        message.get("session_id", ""), event, message.get("channel", 0), message.get("id", 0)
    )
