"""Line charts as SVG text: arrays in, one string out. Pure; needs no script, no network and no library to be seen.

Text and axes take the colour of the words around them (currentColor), so a chart fits a light and a dark page and a
sheet of paper. Every line has a dash of its own beside its colour; `legend` shows both with the name.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 22, 44
DASHARRAY = {"solid": "", "dash": "8 4", "dot": "2 3.5", "dashdot": "9 3.5 2 3.5", "longdash": "15 5"}
FONT = 13.5


@dataclass(frozen=True, eq=False)
class Line:
    """x and y (n,); y may hold NaN, where the line breaks. `color` as in CSS; `dash`: a key of DASHARRAY."""

    x: np.ndarray
    y: np.ndarray
    label: str
    color: str = "currentColor"
    dash: str = "solid"
    dots: bool = False  # mark the single points, for series that have few


@dataclass(frozen=True)
class Mark:
    """A vertical rule at a step, named by a letter above it."""

    x: float
    letter: str


def chart(
    lines: Sequence[Line],
    *,
    alt: str,
    x_label: str,
    y_label: str,
    percent: bool = False,
    top: float | None = None,
    marks: Sequence[Mark] = (),
    rule: tuple[float, str] | None = None,
) -> str:
    """Draw lines over common axes from 0 (or the lowest value below it); `top`: the y axis ends there at least.

    `percent`: y holds fractions, written as percent. `rule`: a horizontal line with a short name. `alt` says in words what
    is drawn. Without any finite point an empty frame says so.
    """
    clean = [(line, *_finite(line)) for line in lines]
    all_x = np.concatenate([x for _, x, _ in clean]) if clean else np.zeros(0)
    all_y = np.concatenate([y for _, _, y in clean]) if clean else np.zeros(0)
    high_y = max([*([top] if top is not None else []), *([float(all_y.max())] if len(all_y) else [])], default=1.0)
    y_ticks = ticks(min(0.0, float(all_y.min()) if len(all_y) else 0.0), high_y if high_y > 0 else 1.0)
    x_ticks = ticks(0.0, float(all_x.max()) if len(all_x) and all_x.max() > 0 else 1.0, whole=True)
    x_end = max(float(all_x.max()) if len(all_x) else 0.0, x_ticks[min(1, len(x_ticks) - 1)])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at_x(value: float) -> float:
        return LEFT + (right - LEFT) * value / x_end

    def at_y(value: float) -> float:
        return bottom - (bottom - TOP) * (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(alt)}" font-size="{FONT}" '
        'font-family="inherit" xmlns="http://www.w3.org/2000/svg">'
    ]
    for tick in y_ticks:
        y = at_y(tick)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity="0.15"/>')
        parts.append(words(LEFT - 7, y + 4.5, written(tick, y_ticks, percent), "end"))
    for tick in x_ticks:
        if tick <= x_end * 1.001:
            parts.append(words(at_x(tick), bottom + 18, written(tick, x_ticks, False), "middle"))
    parts.append(
        f'<line x1="{LEFT}" x2="{right}" y1="{at_y(max(0.0, y_ticks[0])):.1f}" y2="{at_y(max(0.0, y_ticks[0])):.1f}" stroke="currentColor" opacity="0.6"/>'
    )
    parts.append(words((LEFT + right) / 2, HEIGHT - 6, x_label, "middle", faint=True))
    parts.append(words(4, 13, y_label, "start", faint=True))
    for mark in marks:
        if mark.x <= x_end:
            x = at_x(mark.x)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="currentColor" opacity="0.55" stroke-dasharray="1 3"/>'
            )
            parts.append(words(x + 3, TOP + 11, mark.letter, "start"))
    if rule is not None:
        y = at_y(min(rule[0], y_ticks[-1]))
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity="0.7" stroke-dasharray="4 3"/>'
        )
        parts.append(words(right, y - 5, rule[1], "end"))
    for line, _, _ in clean:
        parts.append(_curve(line, at_x, at_y))
    if not len(all_y):
        parts.append(words((LEFT + right) / 2, (TOP + bottom) / 2, "nothing was logged", "middle", faint=True))
    return "".join(parts) + "</svg>"


def legend(lines: Sequence[Line]) -> str:
    """Return an HTML list of the lines: a piece of each with its dash, and its name, escaped."""
    return f'<ul class="legend">{"".join(f"<li>{sample(line)} {html.escape(line.label)}</li>" for line in lines)}</ul>'


def sample(line: Line) -> str:
    """Return a short piece of a line, to stand beside its name."""
    piece = f'<line x1="1" x2="33" y1="6" y2="6" {stroke(line.color, line.dash)}/>'
    return f'<svg width="34" height="12" viewBox="0 0 34 12" aria-hidden="true">{piece}</svg>'


def ticks(low: float, high: float, most: int = 6, whole: bool = False) -> list[float]:
    """Return round numbers with equal gaps (1, 2 or 5 times a power of ten) from at or below `low` to at or above `high`."""
    gap = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(gap))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= gap * 0.999999)
    if whole:
        step = max(step, 1.0)
    first = math.floor(low / step + 1e-9)
    return [k * step for k in range(first, math.ceil(high / step - 1e-9) + 1)]


def written(value: float, beside: Sequence[float], percent: bool) -> str:
    """Write a tick with as many digits as its neighbours need: 0.05, 20 %, 40k, 1.2M."""
    gap = beside[1] - beside[0] if len(beside) > 1 else value or 1.0
    if percent:
        return f"{100 * value:.{_digits(100 * gap)}f} %"
    if max(abs(beside[0]), abs(beside[-1])) >= 1e9:
        return f"{value:.0e}"
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if max(abs(beside[0]), abs(beside[-1])) >= 10 * size or (size == 1e6 and abs(beside[-1]) >= size):
            return "0" if value == 0 else f"{value / size:.{_digits(gap / size)}f}{sign}"
    return f"{value:,.{_digits(gap)}f}"


def _digits(gap: float) -> int:
    return max(0, -math.floor(math.log10(gap) + 1e-9))


def _finite(line: Line) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(line.x) & np.isfinite(line.y)
    return line.x[known].astype(float), line.y[known].astype(float)


def words(x: float, y: float, text: str, anchor: str, faint: bool = False) -> str:
    """Return escaped words at a place; `anchor`: start, middle or end."""
    opacity = ' opacity="0.75"' if faint else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor"{opacity}>{html.escape(text)}</text>'
    )


def stroke(color: str, dash: str) -> str:
    """Return the attributes of a drawn line."""
    pattern = f' stroke-dasharray="{DASHARRAY[dash]}"' if DASHARRAY[dash] else ""
    return f'fill="none" stroke="{html.escape(color)}" stroke-width="2.2" stroke-linejoin="round"{pattern}'


def _curve(line: Line, at_x: Callable[[float], float], at_y: Callable[[float], float]) -> str:
    """Draw one line; NaN breaks it, and a point without a neighbour is a dot."""
    path, dots, down = [], [], False
    for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True):
        if not (math.isfinite(x) and math.isfinite(y)):
            down = False
            continue
        place = f"{at_x(x):.1f} {at_y(y):.1f}"
        path.append(f"{'L' if down else 'M'}{place}")
        dots.append(place.split())
        down = True
    color = html.escape(line.color)
    marks = (
        "".join(f'<circle cx="{x}" cy="{y}" r="2.6" fill="{color}"/>' for x, y in dots)
        if line.dots or len(dots) == 1
        else ""
    )
    return f'<path d="{"".join(path)}" {stroke(line.color, line.dash)}/>{marks}' if path else ""
