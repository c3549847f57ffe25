"""The table of all sub-tasks: four for each of the seven abilities, and how often each is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from training.tasks import (
    chatting,
    environment,
    following,
    proactive,
    transcription,
    translation,
    understanding,
)
from training.tasks.plan import Task


class Ability(StrEnum):
    """What a stream trains, as rows name it in their scene type."""

    UNDERSTANDING = "streaming audio understanding"
    TRANSCRIPTION = "real-time ASR"
    TRANSLATION = "streaming translation"
    CHATTING = "voice chatting"
    FOLLOWING = "streaming instruction following"
    PROACTIVE = "proactive response"
    ENVIRONMENT = "environment-aware audio agent"


# Of a hundred streams; those of StreamAudio.
SHARES: Mapping[Ability, float] = {
    Ability.CHATTING: 23.1,
    Ability.FOLLOWING: 20.8,
    Ability.UNDERSTANDING: 16.4,
    Ability.TRANSLATION: 15.3,
    Ability.TRANSCRIPTION: 11.6,
    Ability.PROACTIVE: 7.3,
    Ability.ENVIRONMENT: 5.5,
}


@dataclass(frozen=True, slots=True)
class SubTask:
    """One of the kinds of streams."""

    name: str
    ability: Ability
    plan: Task


TABLE: tuple[SubTask, ...] = (
    SubTask("narrate", Ability.UNDERSTANDING, understanding.narrate),
    SubTask("describe", Ability.UNDERSTANDING, understanding.describe),
    SubTask("count", Ability.UNDERSTANDING, understanding.count),
    SubTask("questions", Ability.UNDERSTANDING, understanding.questions),
    SubTask("asr-clean", Ability.TRANSCRIPTION, transcription.clean),
    SubTask("asr-noisy", Ability.TRANSCRIPTION, transcription.noisy),
    SubTask("asr-telephone", Ability.TRANSCRIPTION, transcription.telephone),
    SubTask("asr-long", Ability.TRANSCRIPTION, transcription.long_form),
    SubTask("from-english", Ability.TRANSLATION, translation.from_english),
    SubTask("into-english", Ability.TRANSLATION, translation.into_english),
    SubTask("by-sentence", Ability.TRANSLATION, translation.by_sentence),
    SubTask("switched", Ability.TRANSLATION, translation.switched),
    SubTask("one-question", Ability.CHATTING, chatting.one_question),
    SubTask("many-turns", Ability.CHATTING, chatting.many_turns),
    SubTask("history-review", Ability.CHATTING, chatting.history_review),
    SubTask("emotion", Ability.CHATTING, chatting.fitting_emotion),
    SubTask("typed", Ability.FOLLOWING, following.typed),
    SubTask("said", Ability.FOLLOWING, following.said),
    SubTask("changed", Ability.FOLLOWING, following.changed),
    SubTask("conditional", Ability.FOLLOWING, following.conditional),
    SubTask("distress", Ability.PROACTIVE, proactive.distress),
    SubTask("equipment", Ability.PROACTIVE, proactive.equipment),
    SubTask("hazards", Ability.PROACTIVE, proactive.hazards),
    SubTask("look-alikes", Ability.PROACTIVE, proactive.look_alikes),
    SubTask("behind", Ability.ENVIRONMENT, environment.behind),
    SubTask("under-noise", Ability.ENVIRONMENT, environment.under_noise),
    SubTask("together", Ability.ENVIRONMENT, environment.together),
    SubTask("music", Ability.ENVIRONMENT, environment.music),
)


def named(names: Sequence[str]) -> tuple[SubTask, ...]:
    """Return sub-tasks by their names; all where none is named. ValueError, which names them."""
    by_name = {each.name: each for each in TABLE}
    if unknown := [name for name in names if name not in by_name]:
        known = ", ".join(by_name)
        raise ValueError(f"there is no sub-task {', '.join(unknown)}; there are {known}")
    return tuple(by_name[name] for name in dict.fromkeys(names)) or TABLE


def drawn(tasks: Sequence[SubTask], rng: np.random.Generator) -> SubTask:
    """Draw one: each ability by its share, among its sub-tasks evenly."""
    each_of = {task.ability: sum(t.ability is task.ability for t in tasks) for task in tasks}
    weights = np.array([SHARES[task.ability] / each_of[task.ability] for task in tasks])
    return tasks[int(rng.choice(len(tasks), p=weights / weights.sum()))]
