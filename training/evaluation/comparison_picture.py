"""A comparison as one SVG: each task on a line of its own, a mark with its interval for each model.

Further to the right is better: of figures of which less is better, the axis is turned.
"""

from collections.abc import Iterator, Sequence
from html import escape
from math import isnan

from training.evaluation.comparing import Task, Verdict
from training.evaluation.figures import Figure
from training.evaluation.page import scale_of, written

# In pixels: where the axes lie, and how far apart tasks and the models within one are.
WIDTH, LEFT, AXIS, TOP, TASK, MODEL = 900, 230, 420, 56, 44, 16
COLOURS = ("#0b7285", "#c92a2a", "#5f3dc4", "#e67700")


def picture(judged: Sequence[Verdict]) -> str:
    """Return the picture."""
    return "\n".join(_elements(judged)) + "\n"


def _elements(judged: Sequence[Verdict]) -> Iterator[str]:
    models = list(judged[0].figures) if judged else []
    step = TASK + MODEL * max(0, len(models) - 2)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TOP + step * len(judged)}" '
        'font-family="sans-serif" font-size="13" fill="#333">'
    )
    yield '<rect width="100%" height="100%" fill="#fff"/>'
    for place, (model, colour) in enumerate(zip(models, COLOURS, strict=False)):
        yield _mark(LEFT + 150 * place, 24, colour)
        yield _text(LEFT + 150 * place + 12, 28, model)
    yield _text(LEFT + AXIS, 28, "better →", "end")
    for row, each in enumerate(judged):
        top = TOP + step * row
        yield _text(16, top + 12, each.task.name)
        figures = list(each.figures.values())
        for place, (figure, colour) in enumerate(zip(figures, COLOURS, strict=False)):
            scale = scale_of(figure, figures)
            yield from _drawn(each.task, figure, scale, top + 8 + MODEL * place, colour)
    yield "</svg>"


def _drawn(task: Task, figure: Figure, scale: float, y: float, colour: str) -> Iterator[str]:
    yield f'<path d="M{LEFT} {y}h{AXIS}" stroke="#ddd"/>'
    yield _text(LEFT + AXIS + 14, y + 4, written(figure))
    if isnan(figure.value) or not scale:
        return

    def x(value: float) -> float:
        share = min(1.0, max(0.0, value / scale))
        return LEFT + AXIS * (1 - share if task.low else share)

    if not (isnan(figure.low) or isnan(figure.high)):
        ends = f"M{x(figure.low):.1f} {y}H{x(figure.high):.1f}"
        yield f'<path d="{ends}" stroke="{colour}" stroke-width="3"/>'
    yield _mark(x(figure.value), y, colour)


def _mark(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
