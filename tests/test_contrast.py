"""Contrast by WCAG 2: text 4.5 : 1, lines and parts of controls 3 : 1, in both themes as they are set."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from dashboard import charts_classes, theme

ROOT = Path(__file__).parent.parent
THEMES = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
PAGE = (ROOT / "dashboard" / "page.css").read_text()
BOTH = pytest.mark.parametrize("name", ["light", "dark"])


def rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def over(color: str, ground: str, share: float) -> str:
    """A colour of so much opacity on a ground."""
    pairs = zip(rgb(color), rgb(ground), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def luminance(color: str) -> float:
    parts = [c / 12.92 if (c := part / 255) <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for part in rgb(color)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def ratio(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def grounds(name: str) -> list[str]:
    """Page and sidebar."""
    return [THEMES[name]["backgroundColor"], THEMES[name]["sidebar"]["backgroundColor"]]


def found(pattern: str) -> tuple[str, ...]:
    match = re.search(pattern, PAGE)
    assert match, pattern
    return match.groups()


def test_the_measure_is_that_of_wcag() -> None:
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@BOTH
def test_text_captions_and_what_is_chosen_can_be_read(name: str) -> None:
    (share,) = found(r"stCaptionContainer\] \{.* currentColor (\d+)%")
    for ground in grounds(name):
        caption = over(THEMES[name]["textColor"], ground, int(share) / 100)
        primary = THEMES[name]["primaryColor"]
        assert ratio(caption, ground) >= 4.5
        assert ratio(primary, ground) >= 4.5
        assert ratio(primary, over(primary, ground, 0.1)) >= 4.5, "a chosen segment is tinted"
        assert ratio(THEMES[name]["linkColor"], ground) >= 4.5


@BOTH
def test_buttons_rings_and_lines_can_be_seen(name: str) -> None:
    buttons = dict(zip(("light", "dark"), found(r"background: light-dark\((#\w+), (#\w+)\)"), strict=True))
    assert ratio("#ffffff", buttons[name]) >= 4.5
    (ring,) = found(r"outline: 2px solid (#\w+)")
    for ground in grounds(name):
        assert ratio(ring, ground) >= 3
    for color in theme.CLASS_COLORS:  # those of the methods are among them
        assert ratio(color, THEMES[name]["backgroundColor"]) >= 3, color
    for sign in (theme.RIGHT, theme.WRONG):
        assert ratio(sign[name], THEMES[name]["backgroundColor"]) >= 3
        assert ratio(sign[name], theme.ON_SIGN[name]) >= 3


@BOTH
def test_every_number_of_a_confusion_matrix_can_be_read_on_its_cell(name: str) -> None:
    """Not 4.5 : 1 everywhere: neither white nor the ink is, on a blue between them; each also stands in the chart's table."""
    ground, worst = THEMES[name]["backgroundColor"], 21.0
    for n in range(3, 101):
        grid, numbers = charts_classes.confusion(np.array([[n, 100 - n], [0, 1]]), ["a", "b"])["data"]
        low, high = ([float(part) for part in re.findall(r"[.\d]+", color)] for _, color in grid["colorscale"][1:])
        at = (n / 100 - 0.02) / 0.98
        *cell, share = (a + at * (b - a) for a, b in zip(low, high, strict=True))
        ink = numbers["textfont"]["color"][0].replace(theme.TEXT, THEMES[name]["textColor"])
        worst = min(worst, ratio(ink, over("#" + "".join(f"{round(part):02x}" for part in cell), ground, share)))
    assert worst >= 3.9
