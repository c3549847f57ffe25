"""What came of a task: its turns."""

from collections.abc import Sequence

from services.core.events import (
    CallerEvent,
    ErrorEvent,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
)
from services.ingestion.tasks import Progress
from soundflow.interaction import EndReason, Kind

Turns = list[tuple[Kind, str]]


def turns_of(told: Sequence[CallerEvent | Progress]) -> Turns:
    """Return the kind and the final text of each turn. Every turn must have ended well."""
    kinds: dict[int, Kind] = {}
    texts: dict[int, str] = {}
    ended: set[int] = set()
    for event in (each.event for each in told if isinstance(each, CallerEvent)):
        match event:
            case ResponseStarted():
                kinds[event.turn], texts[event.turn] = event.kind, ""
            case ResponseText(final=True):
                texts[event.turn] += event.text
            case ResponseEnded():
                assert event.reason is EndReason.COMPLETE
                ended.add(event.turn)
            case ErrorEvent():
                raise AssertionError(event)
    assert ended == kinds.keys()
    return [(kinds[turn], texts[turn]) for turn in sorted(kinds)]
