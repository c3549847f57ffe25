"""A chart of few lines over logarithmic axes, written as SVG: to look at, not to compute with."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 78, 24, 52, 56
INK, FAINT = "#333", "#ddd"
COLOURS = ("#0b7285", "#c92a2a", "#5f3dc4", "#e67700")

Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name and its points `(x, y)`, all above 0."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw. x_ticks, y_ticks: `(value, label)`; the outermost are the axes' ends."""

    title: str
    x_name: str
    y_name: str
    x_ticks: Ticks
    y_ticks: Ticks
    lines: Sequence[Line]

    def write(self, path: Path) -> None:
        """Draw it into a file."""
        path.write_text("\n".join(self._elements()) + "\n")

    def _elements(self) -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="13" fill="{INK}">'
        )
        yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        yield _text(LEFT, 24, self.title, size=16)
        yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, self.x_name, anchor="middle")
        yield _text(LEFT, TOP - 8, self.y_name)
        for value, label in self.x_ticks:
            x = self._x(value)
            yield _stroke(f"M{x:.1f} {TOP}V{HEIGHT - BOTTOM}", FAINT, 1)
            yield _text(x, HEIGHT - BOTTOM + 20, label, anchor="middle")
        for value, label in self.y_ticks:
            y = self._y(value)
            yield _stroke(f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", FAINT, 1)
            yield _text(LEFT - 8, y + 4, label, anchor="end")
        for place, (line, colour) in enumerate(zip(self.lines, COLOURS, strict=False)):
            yield from self._line(line, colour, place)
        yield "</svg>"

    def _line(self, line: Line, colour: str, place: int) -> Iterator[str]:
        corners = (f"{self._x(x):.1f} {self._y(y):.1f}" for x, y in line.points)
        yield _stroke("M" + "L".join(corners), colour, 2)
        y = TOP + 18 + 20 * place
        yield _stroke(f"M{LEFT + 14} {y - 4}h22", colour, 2)
        yield _text(LEFT + 44, y, line.name)

    def _x(self, value: float) -> float:
        return LEFT + _share(value, self.x_ticks) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - _share(value, self.y_ticks) * (HEIGHT - TOP - BOTTOM)


def _share(value: float, ticks: Ticks) -> float:
    """Say how far along an axis a value lies, 0 to 1."""
    low, high = ticks[0][0], ticks[-1][0]
    return math.log(value / low) / math.log(high / low)


def _text(x: float, y: float, text: str, *, size: int = 13, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _stroke(path: str, colour: str, width: int) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
