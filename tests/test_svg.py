"""Charts as SVG: every point stands where its numbers say, and nothing typed becomes markup."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

from sslcore.svg import BOTTOM, DASHARRAY, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, Mark, chart, legend, ticks, written

NAN = float("nan")
SVG = "{http://www.w3.org/2000/svg}"


def drawn(lines: list[Line], **options: object) -> ET.Element:
    text = chart(lines, alt="a & b", x_label="step", y_label="loss", **options)  # type: ignore[arg-type]
    return ET.fromstring(text)


def places(path: str) -> list[list[tuple[float, float]]]:
    """The strokes of a path, each a list of (x, y) pixels."""
    strokes: list[list[tuple[float, float]]] = []
    for letter, x, y in re.findall(r"([ML])(-?[\d.]+) (-?[\d.]+)", path):
        if letter == "M":
            strokes.append([])
        strokes[-1].append((float(x), float(y)))
    return strokes


def test_points_stand_where_their_numbers_say() -> None:
    x, y = np.array([0, 50, 200]), np.array([4.0, 1.0, 0.0])
    root = drawn([Line(x, y, "loss")])
    (stroke,) = places(root.findall(f"{SVG}path")[0].attrib["d"])
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    for (px, py), a, b in zip(stroke, x, y, strict=True):
        assert (px, py) == pytest.approx((LEFT + width * a / 200, TOP + height * (1 - b / 4)), abs=0.06)
    said = [text.text for text in root.findall(f"{SVG}text")]
    assert {"0", "1", "2", "3", "4", "50", "100", "150", "200", "step", "loss"} <= set(said)
    assert root.attrib["role"] == "img" and root.attrib["aria-label"] == "a & b"


def test_a_value_that_is_missing_breaks_the_line() -> None:
    root = drawn([Line(np.arange(5), np.array([1.0, 2.0, NAN, 1.0, 3.0]), "a")])
    assert [len(stroke) for stroke in places(root.findall(f"{SVG}path")[0].attrib["d"])] == [2, 2]


@pytest.mark.parametrize(
    "y", [[], [NAN, NAN], [0.0], [5.0], [-1.0, 1.0], [1e-9, 2e-9], [1e30, 1e-30], [0.0, 0.0], [-3.0, -2.0]]
)
def test_odd_values_still_make_a_chart(y: list[float]) -> None:
    for percent in (False, True):
        root = drawn(
            [Line(np.arange(len(y)), np.array(y), "a", dots=True)],
            percent=percent,
            marks=[Mark(0, "A")],
            rule=(0.5, "tau"),
        )
        known = [value for value in y if math.isfinite(value)]
        assert len(root.findall(f"{SVG}circle")) == len(known)
        for _, height in (
            place for path in root.findall(f"{SVG}path") for stroke in places(path.attrib["d"]) for place in stroke
        ):
            assert TOP - 0.1 <= height <= HEIGHT - BOTTOM + 0.1
        said = "".join(text.text or "" for text in root.findall(f"{SVG}text"))
        assert ("nothing was logged" in said) == (not known)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.3), (0, 7), (0, 1048576), (-2, 3), (0, 1e-6), (0, 12345.6)])
def test_ticks_are_round_even_and_around_the_values(low: float, high: float) -> None:
    found = ticks(low, high)
    gaps = {round(b - a, 12) for a, b in pairwise(found)}
    assert found[0] <= low and found[-1] >= high * 0.999999 and 2 <= len(found) <= 8
    assert max(gaps) - min(gaps) < 1e-9
    assert f"{max(gaps):e}"[0] in "125"
    assert len({written(tick, found, False) for tick in found}) == len(found), "neighbours are told apart"


def test_names_are_text_and_every_line_has_its_dash() -> None:
    lines = [Line(np.zeros(0), np.zeros(0), f"<b>{dash}</b> & co", "#123456", dash) for dash in DASHARRAY]
    text = legend(lines)
    assert "<b>" not in text and text.count("&lt;b&gt;") == len(DASHARRAY) and "&amp; co" in text
    assert set(re.findall(r'stroke-dasharray="([^"]+)"', text)) == {dash for dash in DASHARRAY.values() if dash}
    assert "<script>" not in chart(
        lines, alt="<script>", x_label="<script>", y_label="<script>", rule=(0.5, "<script>")
    )
