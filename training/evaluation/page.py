"""A report as one file of HTML: every figure in a table, and drawn with its interval."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import isnan

from training.evaluation.figures import Figure, Result

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 64em; color: #222; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: .3em .6em; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.note { color: #666; font-size: .9em; }
"""
# The drawing of one figure, in pixels.
_WIDTH, _HEIGHT, _MARGIN = 260, 18, 6


def page(title: str, about: Mapping[str, str], results: Sequence[Result]) -> str:
    """Return the page. about: what was evaluated, on what, when."""
    return "\n".join(_lines(title, about, results)) + "\n"


def _lines(title: str, about: Mapping[str, str], results: Sequence[Result]) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
    yield f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>"
    yield f"<h1>{escape(title)}</h1>"
    yield "<dl>"
    for name, value in about.items():
        yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
    yield "</dl>"
    yield '<p class="note">Lines are 95 % intervals; where there is none, only the point.</p>'
    for result in results:
        yield from _result(result)
    yield "</body>\n</html>"


def _result(result: Result) -> Iterator[str]:
    yield f"<h2>{escape(result.name)}</h2>"
    if result.note:
        yield f'<p class="note">{escape(result.note)}</p>'
    yield "<table><tr><th>figure</th><th>value</th><th>95 %</th><th>of</th><th></th><th></th></tr>"
    for figure in result.figures:
        value, low, high = (told(number, figure.unit) for number in _numbers(figure))
        interval = f"{low} to {high}" if low and high else ""
        yield (
            f"<tr><td>{escape(figure.name)}</td>"
            f'<td class="number">{value} {escape(figure.unit)}</td>'
            f'<td class="number">{interval}</td><td class="number">{figure.of or ""}</td>'
            f"<td>{drawn(figure, scale_of(figure, result.figures))}</td>"
            f'<td class="note">{escape(figure.note)}</td></tr>'
        )
    yield "</table>"


def told(number: float, unit: str) -> str:
    """Write a number as finely as its unit deserves; "" for NaN."""
    if isnan(number):
        return ""
    digits = {"": 3, "ms": 0, "per hour": 1, "points": 1}.get(unit, 2)
    return f"{number:.{digits}f}"


def written(figure: Figure) -> str:
    """Write a figure with its interval; "-" for NaN."""
    value, low, high = (told(number, figure.unit) for number in _numbers(figure))
    interval = f" ({low} to {high})" if low and high else ""
    return f"{value}{interval} {figure.unit}".strip() if value else "-"


def drawn(figure: Figure, scale: float) -> str:
    """Draw a figure between 0 and `scale` as SVG; "" where there is nothing to draw."""
    if isnan(figure.value) or not scale:
        return ""
    parts = [
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(figure.name)}">',
        f'<path d="M{_x(0, scale):.1f} {_HEIGHT / 2}H{_x(scale, scale):.1f}" stroke="#ddd"/>',
    ]
    if not (isnan(figure.low) or isnan(figure.high)):
        ends = f"M{_x(figure.low, scale):.1f} {_HEIGHT / 2}H{_x(figure.high, scale):.1f}"
        parts.append(f'<path d="{ends}" stroke="#0b7285" stroke-width="3"/>')
    x = _x(figure.value, scale)
    parts.append(f'<circle cx="{x:.1f}" cy="{_HEIGHT / 2}" r="4" fill="#0b7285"/></svg>')
    return "".join(parts)


def scale_of(figure: Figure, figures: Sequence[Figure]) -> float:
    """Return what the figures of one unit are drawn up to: shares to 1, others to the largest."""
    if not figure.unit:
        return max(1.0, 0.0 if isnan(figure.high) else figure.high)
    same = [number for other in figures if other.unit == figure.unit for number in _numbers(other)]
    return max((number for number in same if not isnan(number)), default=0.0)


def _numbers(figure: Figure) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high


def _x(value: float, scale: float) -> float:
    return _MARGIN + max(0.0, min(1.0, value / scale)) * (_WIDTH - 2 * _MARGIN)
