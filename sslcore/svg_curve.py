"""Accuracy over the number of labels as SVG text: a log axis, bars over the seeds. Pure, like `svg`, whose parts it uses."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from sslcore.curve import Point
from sslcore.palette import METHOD_COLORS, METHOD_DASHES
from sslcore.published import Series
from sslcore.svg import FONT, stroke, words

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 24, 50
APART = 1.45  # two labels of the axis are at least this factor apart


def chart(points: Sequence[Point], published: Sequence[Series], alt: str) -> str:
    """Draw a line a method with one standard deviation either way; published numbers thin and without a line."""
    counts = sorted({p.labels for p in points} | {place.labels for one in published for place in one.places})
    heights = [v for p in points for v in p.values] + [place.accuracy for one in published for place in one.places]
    low = min(max(math.floor(10 * min(heights, default=0.0) - 0.2) / 10, 0.0), 0.9)
    first, last = (math.log(counts[0]), math.log(counts[-1])) if counts else (0.0, 1.0)
    room = max(0.05 * (last - first), 0.1)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at_x(labels: float) -> float:
        return LEFT + (right - LEFT) * (math.log(labels) - first + room) / (last - first + 2 * room)

    def at_y(accuracy: float) -> float:
        return bottom - (bottom - TOP) * (accuracy - low) / (1.0 - low)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(alt)}" font-size="{FONT}" font-family="inherit" '
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    for tenth in range(round(10 * low), 11):
        y = at_y(tenth / 10)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity="0.15"/>')
        parts.append(words(LEFT - 7, y + 4.5, f"{10 * tenth} %", "end"))
    shown: list[int] = []
    for count in counts:
        if not shown or count >= APART * shown[-1]:
            shown.append(count)
            parts.append(words(at_x(count), bottom + 19, f"{count:,}", "middle"))
    parts.append(words((LEFT + right) / 2, HEIGHT - 8, "labelled images (log)", "middle", faint=True))
    parts.append(words(4, 14, "test accuracy", "start", faint=True))
    for method in dict.fromkeys(point.method for point in points):
        mine = [point for point in points if point.method == method]
        color, dash = METHOD_COLORS.get(method, "currentColor"), METHOD_DASHES.get(method, "solid")
        path = " L".join(f"{at_x(p.labels):.1f} {at_y(p.mean):.1f}" for p in mine)
        parts.append(f'<path d="M{path}" {stroke(color, dash)}/>')
        for p in mine:
            x = at_x(p.labels)
            if p.sd:
                top, foot = at_y(min(p.mean + p.sd, 1.0)), at_y(max(p.mean - p.sd, low))
                bar = f"M{x:.1f} {top:.1f}V{foot:.1f}M{x - 5:.1f} {top:.1f}h10M{x - 5:.1f} {foot:.1f}h10"
                parts.append(f'<path d="{bar}" stroke="{color}" stroke-width="1.6"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{at_y(p.mean):.1f}" r="4" fill="{color}"/>')
    for series in published:
        color = METHOD_COLORS.get(series.method, "currentColor")
        for place in series.places:
            x, y = at_x(place.labels), at_y(place.accuracy)
            parts.append(f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{color}"/>')
    if not points:
        parts.append(words((LEFT + right) / 2, (TOP + bottom) / 2, "no run has ended yet", "middle", faint=True))
    return "".join(parts) + "</svg>"
