"""A comparison for reading: the tasks as a table, drawn; then every figure side by side."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from training.evaluation.comparing import Reports, Verdict, defaults, side_by_side
from training.evaluation.figures import Figure
from training.evaluation.page import STYLE, drawn, scale_of, written


def table(judged: Sequence[Verdict]) -> str:
    """Return the tasks as a table of Markdown, and which model is whose default."""
    models = list(judged[0].figures) if judged else []
    lines = [f"| task | {' | '.join(models)} | better |", "|---" * (len(models) + 2) + "|"]
    for each in judged:
        cells = " | ".join(written(each.figures[model]) for model in models)
        lines.append(f"| {each.task.name} | {cells} | {each.better} |")
    chosen = ", ".join(f"{ability}: {model}" for ability, model in defaults(judged).items())
    return "\n".join([*lines, "", f"default: {chosen}"])


def page(reports: Reports, judged: Sequence[Verdict]) -> str:
    """Return the page."""
    return "\n".join(_lines(reports, judged)) + "\n"


def _lines(reports: Reports, judged: Sequence[Verdict]) -> Iterator[str]:
    title = " and ".join(reports)
    yield '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
    yield f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>"
    yield f"<h1>{escape(title)}, on the same held-out recordings</h1>"
    yield '<p class="note">Lines are 95 % intervals; where there is none, only the point.</p>'
    yield "<table><tr><th>task</th><th>figure</th><th>model</th><th></th><th></th><th>better</th>"
    for each in judged:
        figure = f"{each.task.result}: {each.task.figure}"
        yield from _rows((each.task.name, figure), each.figures, each.better)
    yield "</table><h2>Default</h2><dl>"
    for ability, model in defaults(judged).items():
        yield f"<dt>{ability}</dt><dd>{escape(model)}</dd>"
    yield "</dl><h2>Every figure</h2>"
    yield "<table><tr><th>task</th><th>figure</th><th>model</th><th></th><th></th><th></th></tr>"
    for result, name, figures in side_by_side(reports):
        yield from _rows((result, name), figures, "")
    yield "</table>\n</body>\n</html>"


def _rows(heading: tuple[str, str], figures: Mapping[str, Figure], last: str) -> Iterator[str]:
    first, second = (f'<td rowspan="{len(figures)}">{escape(text)}</td>' for text in heading)
    for place, (model, figure) in enumerate(figures.items()):
        scale = scale_of(figure, list(figures.values()))
        end = f'<td rowspan="{len(figures)}">{escape(last)}</td>' if place == 0 else ""
        yield (
            f"<tr>{first + second if place == 0 else ''}<td>{escape(model)}</td>"
            f'<td class="number">{escape(written(figure))}</td><td>{drawn(figure, scale)}</td>{end}'
            "</tr>"
        )
