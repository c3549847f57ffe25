"""Several models on the same held-out set: side by side, and which is better at what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

from soundflow.interaction import Ability
from training.evaluation.figures import Figure, Result

# What a model did, result by result, under the model's name.
Reports = Mapping[str, Sequence[Result]]


@dataclass(frozen=True, slots=True)
class Task:
    """What is compared. low: whether less is better. decides: whose default hangs on it."""

    name: str
    result: str
    figure: str
    low: bool = False
    decides: Ability | None = None


# Chosen before any model was measured; of one ability the first decides which is its default.
TASKS: tuple[Task, ...] = (
    Task("warning of danger", "Warnings: near", "balanced accuracy", decides=Ability.PROACTIVE),
    Task("warning, in noise", "Warnings: noise", "balanced accuracy"),
    Task("false alarms an hour", "Warnings: at-length", "false alarms", low=True),
    Task("delay of a warning", "Warnings: near", "reply delay, median", low=True),
    Task(
        *("transcription, other speakers", "Transcription: speakers", "word error rate"),
        low=True,
        decides=Ability.TRANSCRIBE,
    ),
    Task("transcription, prompts", "Transcription: prompts", "word error rate", low=True),
    Task("prompts in noise", "Transcription: prompts-noise", "word error rate", low=True),
    Task("delay of a word", "Transcription: prompts", "word delay, median", low=True),
    Task("counting", "Corpus: counting", "count accuracy", decides=Ability.COUNT),
    Task(
        *("telling sounds, in time", "Corpus: triggers, streaming audio understanding", "recall"),
        decides=Ability.DESCRIBE,
    ),
    Task("translation", "Translation: es_en", "BLEU", decides=Ability.TRANSLATE),
    Task("spoken questions", "Chat: questions", "accuracy", decides=Ability.CHAT),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A task's figure for each model. best: whose is; of equals the first named.

    clear: whether its interval lies apart from those of all others.
    """

    task: Task
    figures: Mapping[str, Figure]
    best: str
    clear: bool

    @property
    def better(self) -> str:
        """Whose figure is better, for people; "" where all are the same."""
        if len({figure.value for figure in self.figures.values()}) == 1 < len(self.figures):
            return ""
        return f"{self.best} (intervals apart)" if self.clear else self.best


def verdicts(reports: Reports) -> list[Verdict]:
    """Judge each task that any of the models was given."""
    found = []
    for task in TASKS:
        figures = {model: _figure(results, task) for model, results in reports.items()}
        if all(isnan(figure.value) for figure in figures.values()):
            continue
        best = min(figures, key=lambda model: _loss(task, figures[model]))
        others = [figure for model, figure in figures.items() if model != best]
        clear = bool(others) and all(_apart(figures[best], other) for other in others)
        found.append(Verdict(task, figures, best, clear))
    return found


def defaults(judged: Sequence[Verdict]) -> dict[Ability, str]:
    """Return which model is to be the default for which ability.

    It is the first named, unless another is better by more than chance: with its interval apart.
    """
    return {
        each.task.decides: each.best if each.clear else next(iter(each.figures))
        for each in judged
        if each.task.decides
    }


def side_by_side(reports: Reports) -> Iterator[tuple[str, str, Mapping[str, Figure]]]:
    """Yield every figure of every result: its result's name, its own, and each model's."""
    names = dict.fromkeys(
        (result.name, figure.name)
        for results in reports.values()
        for result in results
        for figure in result.figures
    )
    for result, figure in names:
        wanted = Task("", result, figure)
        yield result, figure, {model: _figure(each, wanted) for model, each in reports.items()}


def _figure(results: Sequence[Result], task: Task) -> Figure:
    """Return what a model came to; NaN where it was not given the task."""
    found = (
        figure
        for result in results
        if result.name == task.result
        for figure in result.figures
        if figure.name == task.figure
    )
    return next(found, Figure(task.figure, nan))


def _loss(task: Task, figure: Figure) -> float:
    if isnan(figure.value):
        return float("inf")
    return figure.value if task.low else -figure.value


def _apart(one: Figure, other: Figure) -> bool:
    """Whether two intervals share nothing; a figure without one is never apart."""
    return one.low > other.high or one.high < other.low
