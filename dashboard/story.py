"""The picture of how MixMatch became FixMatch became FlexMatch: one SVG a method. Pure; follows the theme by its text colour.

Three pictures and not one, so that they stand side by side on a wide screen and below each other on a phone, at the same
size of type.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.theme import METHOD_COLORS

WIDTH, ROW, GAP, TOP = 320, 50, 8, 40
STAYS, GOES, NEW = "stays", "goes", "new"


@dataclass(frozen=True)
class Box:
    """One step of a method; `note`: what becomes of it, or where it came from."""

    title: str
    note: str
    kind: str = STAYS


STORY: dict[str, tuple[str, tuple[Box, ...]]] = {
    "mixmatch": (
        "MixMatch, 8 steps",
        (
            Box("Draw K weak views", "becomes 1: one view is enough"),
            Box("Predict each of them", "becomes 1"),
            Box("Average the predictions", "goes: one view needs none", GOES),
            Box("Sharpen the guess with T", "becomes 2: T → 0"),
            Box("Mix the images (MixUp)", "goes: the strong view instead", GOES),
            Box("Mix the labels alike", "goes with it", GOES),
            Box("Squared error to the guess", "becomes 4: cross-entropy"),
            Box("Raise lambda_u slowly", "goes: the mask opens by itself", GOES),
        ),
    ),
    "fixmatch": (
        "FixMatch, 4 steps",
        (
            Box("Predict on one weak view", "from 1 and 2"),
            Box("Take the likeliest class", "from 4"),
            Box("Keep it if confidence ≥ tau", "new: one gate for all classes", NEW),
            Box("The strong view must agree", "from 7"),
        ),
    ),
    "flexmatch": (
        "FlexMatch, 4 steps",
        (
            Box("Predict on one weak view", "as before"),
            Box("Take the likeliest class", "as before"),
            Box("Keep it if confidence ≥ T_c", "changed: each class its own gate", NEW),
            Box("The strong view must agree", "as before"),
        ),
    ),
}


def picture(method: str, alt: str) -> str:
    """Return the SVG of one method; new and changed steps have a thick edge, those that go a dashed one."""
    title, boxes = STORY[method]
    height = TOP + len(boxes) * (ROW + GAP)
    rows = "".join(_box(i, box, METHOD_COLORS[method]) for i, box in enumerate(boxes))
    told = f"{alt}: " + "; ".join(f"{i}. {box.title} ({box.note})" for i, box in enumerate(boxes, 1))
    return (
        f'<svg class="story" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(told)}" fill="currentColor">'
        f'<circle cx="14" cy="18" r="6" fill="{METHOD_COLORS[method]}"/>'
        f'<text x="28" y="24" font-size="18" font-weight="700">{html.escape(title)}</text>{rows}</svg>'
    )


def _box(number: int, box: Box, color: str) -> str:
    y = TOP + number * (ROW + GAP)
    edge = {STAYS: "1", GOES: "1.5", NEW: "3"}[box.kind]
    dash = ' stroke-dasharray="5 4"' if box.kind == GOES else ""
    stroke = color if box.kind == NEW else "currentColor"
    faint = ' opacity="0.72"' if box.kind == GOES else ""
    weight = ' font-weight="700"' if box.kind == NEW else ""
    return (
        f'<g{faint}><rect x="2" y="{y}" width="{WIDTH - 4}" height="{ROW}" rx="7" fill="{color}" fill-opacity="0.10" '
        f'stroke="{stroke}" stroke-opacity="{1 if box.kind == NEW else 0.45}" stroke-width="{edge}"{dash}/>'
        f'<text x="22" y="{y + 31}" font-size="17" font-weight="700" text-anchor="middle">{number + 1}</text>'
        f'<text x="42" y="{y + 22}" font-size="15"{weight}>{html.escape(box.title)}</text>'
        f'<text x="42" y="{y + 40}" font-size="12.5" opacity="0.85">{html.escape(box.note)}</text></g>'
    )


def page(alts: Sequence[tuple[str, str]]) -> str:
    """Return the pictures of (method, alt text) in one grid: side by side where there is room."""
    style = (
        "<style>.stories { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr)); gap: 1rem 1.5rem; align-items: start; }"
        " .story { width: 100%; max-width: 420px; height: auto; font-family: inherit; }</style>"
    )
    return style + '<div class="stories">' + "".join(picture(method, alt) for method, alt in alts) + "</div>"
