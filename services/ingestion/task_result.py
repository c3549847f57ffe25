"""What a whole task came to: its turns with their final text, and every event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.core.events import CallerEvent, ResponseStarted, ResponseText, to_json
from services.ingestion.tasks import Progress
from soundflow.audio import CHUNK_MS


@dataclass(slots=True)
class _Turn:
    """One turn, while its text comes in. texts: by sequence, the newest version of each."""

    session_id: str
    channel: int
    started: ResponseStarted
    texts: dict[int, ResponseText] = field(default_factory=dict)


@dataclass(slots=True)
class TaskResult:
    """Collects what `run_task` yields."""

    events: list[CallerEvent] = field(default_factory=list)
    duration_ms: int = 0

    def add(self, item: CallerEvent | Progress) -> None:
        """Take the next thing that the task yields."""
        if isinstance(item, Progress):
            self.duration_ms = item.done_ms
        else:
            self.events.append(item)

    def to_json(self) -> Mapping[str, object]:
        """Return the answer of `POST /v1/tasks`."""
        return {
            "session_id": self.events[0].session_id,
            "duration_ms": self.duration_ms,
            "turns": [_turn_json(turn) for turn in self._turns()],
            "events": [to_json(told) for told in self.events],
        }

    def _turns(self) -> Sequence[_Turn]:
        turns: dict[tuple[str, int], _Turn] = {}
        for told in self.events:
            match told.event:
                case ResponseStarted(turn=number) as started:
                    turn = _Turn(told.session_id, told.channel, started)
                    turns[told.session_id, number] = turn
                case ResponseText(turn=number, sequence=sequence) as text:
                    turns[told.session_id, number].texts[sequence] = text
        return list(turns.values())


def _turn_json(turn: _Turn) -> Mapping[str, object]:
    texts = [turn.texts[sequence] for sequence in sorted(turn.texts)]
    words = [word for text in texts for word in text.words]
    said: dict[str, Any] = {
        "turn": turn.started.turn,
        "channel": turn.channel,
        "kind": turn.started.kind,
        "text": "".join(text.text for text in texts).strip(),
        "start_ms": words[0].start_ms if words else turn.started.chunk * CHUNK_MS,
    }
    if words:
        said["words"] = [
            {"text": word.text, "start_ms": word.start_ms, "end_ms": word.end_ms} for word in words
        ]
    return said
