"""What happens in a stream, before there is any sound: sub-events, planned from a bag of labels.

A planner is a port. The one here works by rules; `training.curation.endpoint_planner` asks a
language model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from soundflow.cascade.vocabulary import resolve_sound
from training.compose import Role

EVENTS = (3, 15)
SHORTEST_S, LONGEST_S = 0.2, 30.0


@dataclass(frozen=True, slots=True)
class Annotation:
    """A sound that there are recordings of. duration_s: of a typical one."""

    label: str
    duration_s: float


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SubEvent(_Model):
    """One thing that is heard.

    after: numbers of the events (from 0 on) that come before it.
    apart_from: those that it never sounds together with.
    """

    sound: Annotated[str, Field(min_length=1)]
    role: Role
    duration_s: Annotated[float, Field(ge=SHORTEST_S, le=LONGEST_S)]
    after: tuple[int, ...] = ()
    apart_from: tuple[int, ...] = ()


class Scenario(_Model):
    """Sub-events that make sense together. ValidationError where their constraints do not."""

    title: str
    events: Annotated[tuple[SubEvent, ...], Field(min_length=EVENTS[0], max_length=EVENTS[1])]

    @model_validator(mode="after")
    def _is_possible(self) -> "Scenario":
        numbers = range(len(self.events))
        for number, event in enumerate(self.events):
            if wrong := [n for n in (*event.after, *event.apart_from) if n not in numbers]:
                raise ValueError(f"event {number} names events that are not there: {wrong}")
            if event.role is Role.NOISE:
                raise ValueError(
                    f"event {number} is noise: that is laid under a stream, not planned"
                )
        if not any(event.role is Role.FOREGROUND for event in self.events):
            raise ValueError("nothing is in the foreground")
        self.order()
        return self

    def order(self) -> tuple[int, ...]:
        """Return the foreground events' numbers in their order. ValueError for a circle."""
        waiting = dict(enumerate(self.events))
        ordered: list[int] = []
        while waiting:
            free = [n for n, event in waiting.items() if not waiting.keys() & set(event.after)]
            if not free:
                raise ValueError(f"events {sorted(waiting)} all come after one another")
            ordered.append(free[0])
            del waiting[free[0]]
        return tuple(n for n in ordered if self.events[n].role is Role.FOREGROUND)


class Query(_Model):
    """What to look for, and what to make where nothing is found."""

    text: Annotated[str, Field(min_length=1)]
    caption: Annotated[str, Field(min_length=1)]


class Planner(Protocol):
    """Turns labels into a scenario, and its events into queries, one for each in order."""

    def plan(self, bag: Sequence[Annotation], seed: int) -> Scenario:
        """Plan 3 to 15 events of the bag's sounds."""
        ...

    def refine(self, scenario: Scenario) -> Sequence[Query]:
        """Say what each event sounds like."""
        ...


# Sounds of a place: they have no beginning that anyone would answer.
PLACES = frozenset(
    (
        *("ambience", "city", "crowd", "fan", "forest", "hum", "ocean", "office", "rain", "river"),
        *("room", "sea", "stream", "traffic", "water", "waterfall", "waves", "wind"),
    )
)
# A sound that is answered when it is over is not to last for ever.
LONGEST_FOREGROUND_S = 10.0
# What follows from what.
CAUSES = (
    ("thunder", "rain"),
    ("glass", "alarm"),
    ("explosion", "siren"),
    ("collision", "siren"),
    ("crash", "siren"),
    ("fire", "alarm"),
    ("knock", "door"),
    ("door", "footsteps"),
    ("baby", "lullaby"),
    ("telephone", "speech"),
)


class GrammarPlanner:
    """Plan by rules: which sounds are of a place, which are short, what follows from what."""

    def plan(self, bag: Sequence[Annotation], seed: int) -> Scenario:
        """See `Planner.plan`. ValueError for an empty bag."""
        if not bag:
            raise ValueError("there is nothing to plan with")
        rng = np.random.default_rng(seed)
        count = int(rng.integers(EVENTS[0], EVENTS[1] + 1))
        picked = [bag[int(place)] for place in rng.integers(len(bag), size=count)]
        roles = [_role(each, rng) for each in picked]
        if Role.FOREGROUND not in roles:
            roles[int(rng.integers(count))] = Role.FOREGROUND
        labels = [each.label for each in picked]
        events = [
            SubEvent(
                sound=each.label,
                role=roles[n],
                duration_s=_duration_s(each, roles[n], rng),
                after=_causes(labels, n),
                apart_from=_alike(labels, roles, n),
            )
            for n, each in enumerate(picked)
        ]
        return Scenario(title=", ".join(dict.fromkeys(labels)), events=tuple(events))

    def refine(self, scenario: Scenario) -> Sequence[Query]:
        """See `Planner.refine`."""
        return [
            Query(
                text=event.sound,
                caption=f"A clear recording of {event.sound}, about {event.duration_s:.1f} seconds "
                f"long, {_HEARD[event.role]}, with nothing else to be heard.",
            )
            for event in scenario.events
        ]


_HEARD = {
    Role.FOREGROUND: "close by",
    Role.BACKGROUND: "some way off",
    Role.AMBIENT: "all around, without a beginning or an end",
}


def _role(sound: Annotation, rng: np.random.Generator) -> Role:
    if PLACES & set(sound.label.lower().split()):
        return Role.AMBIENT
    if sound.duration_s > LONGEST_FOREGROUND_S:
        return Role.BACKGROUND
    group = resolve_sound(sound.label)
    if group and group.is_short:
        return Role.FOREGROUND
    return Role.FOREGROUND if rng.random() < 0.7 else Role.BACKGROUND


def _duration_s(sound: Annotation, role: Role, rng: np.random.Generator) -> float:
    """Return about what a recording has, as far as its role allows."""
    longest = LONGEST_FOREGROUND_S if role is Role.FOREGROUND else LONGEST_S
    return float(np.clip(sound.duration_s * rng.uniform(0.8, 1.25), 2 * SHORTEST_S, longest))


def _causes(labels: Sequence[str], number: int) -> tuple[int, ...]:
    """Return which earlier events an event follows from.

    Only earlier ones, so that there is no circle.
    """
    return tuple(
        other
        for other in range(number)
        if any(cause in labels[other] and effect in labels[number] for cause, effect in CAUSES)
    )


def _alike(labels: Sequence[str], roles: Sequence[Role], number: int) -> tuple[int, ...]:
    """Return the foreground events that one behind them could be taken for."""
    if roles[number] is Role.FOREGROUND:
        return ()
    kind = resolve_sound(labels[number]) or labels[number]
    return tuple(
        other
        for other, label in enumerate(labels)
        if roles[other] is Role.FOREGROUND and (resolve_sound(label) or label) == kind
    )
