"""What all charts share: lines over steps with bands and marks, axes that stand still, numbers in few bytes. Pure; no streamlit.

A figure is a plain dict (`plotly.graph_objects.Figure(figure)` takes it): it costs a tenth of a `go.Figure` object and
needs no import of plotly. Colours that depend on light or dark are CSS variables, resolved in the browser (`live_chart`).
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboard import theme
from dashboard.text import number, plotly_safe, shorten

Figure = dict[str, Any]
Columns = Mapping[str, np.ndarray]
Marks = Sequence[tuple[float, str]]  # (step, what a person did there)

SMOOTHING = 0.8  # weight of the old value between two of the at most 800 points
FRAME = 2000  # steps up to which the x axis is the whole run from the start
WIDTH, FAINT = 3.0, 1.2  # of lines, in pixels: read from the back of a classroom
PERCENT = {"tickformat": ".0%", "range": [0, 1.03]}
ROWS, LETTER = 3, 0.016  # of the marks' labels; width of a letter as a share of the plot
CLOSE = 0.012  # marks nearer than this share of the plot are told in one label
DECADES = 6  # of a log axis at most


def new(traces: list[Figure]) -> Figure:
    return {
        "data": traces,
        "layout": {
            "margin": {"l": 58, "r": 14, "t": 36, "b": 50},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
            "showlegend": True, "shapes": [], "annotations": [],
        },
    }  # fmt: skip


def over_steps(traces: list[Figure], points: Columns, steps: int, yaxis: Mapping[str, Any], marks: Marks) -> Figure:
    """Put traces over the steps of a run, with what a person did marked at its step."""
    figure = new(traces)
    at = points.get("step", np.zeros(0))
    end = frame(steps, int(at[-1]) if len(at) else 0)
    shapes, labels = mark_lines(marks, end, of_shares="tickformat" in yaxis)
    figure["layout"] |= {
        "xaxis": {
            "range": [0, end], "title": {"text": "step"}, "tickformat": "~s" if end > 9999 else "d", "hoverformat": ",d",
            "showgrid": False, "unifiedhovertitle": {"text": "step %{x:,d}"}, "nticks": 6,
        },
        "yaxis": dict(yaxis), "hovermode": "x unified", "shapes": shapes, "annotations": labels,
    }  # fmt: skip
    return figure


def line(
    points: Columns,
    name: str,
    label: str,
    color: str,
    dash: str,
    *,
    hover: str,
    smooth: bool = False,
    markers: bool = False,
    band: tuple[Columns, Columns] = ({}, {}),
) -> list[Figure]:
    """The traces of one metric: its line, and faint behind it the raw points or, where points are passed over, their band."""
    values = points.get(name)
    if values is None or np.isnan(values).all():
        return []
    style = {"color": color, "dash": dash, "width": WIDTH}
    shown = trace(points["step"], smoothed(values) if smooth else values, label, style, hover)
    if markers:
        shown |= {"mode": "lines+markers", "marker": {"size": 7, "color": color}, "cliponaxis": False}
    behind: list[Figure] = []
    silent = {"showlegend": False, "hoverinfo": "skip", "hovertemplate": None}
    low, high = (side.get(name) for side in band)
    if low is not None and high is not None:
        nothing = {"width": 0, "color": color}
        ends = [("lowest", low, {}), ("highest", high, {"fill": "tonexty", "fillcolor": color})]
        behind = [
            trace(points["step"], value, label, nothing, hover) | silent | {"opacity": 0.22, "meta": f"{label}, {end}"} | fill
            for end, value, fill in ends
        ]  # fmt: skip
    elif smooth:
        faint = {"color": color, "width": FAINT}
        raw = trace(points["step"], values, label, faint, hover) | silent
        behind = [raw | {"opacity": 0.35, "meta": f"{label}, not smoothed"}]
    return [*behind, shown]


def trace(x: np.ndarray, y: np.ndarray, label: str, style: Mapping[str, Any], hover: str) -> Figure:
    return {
        "type": "scatter", "mode": "lines", "name": label, "legendgroup": label, "x": typed(x), "y": typed(y), "line": dict(style),
        "connectgaps": True, "hovertemplate": f"%{{y:{hover}}}",
    }  # fmt: skip


def smoothed(values: np.ndarray, weight: float = SMOOTHING) -> np.ndarray:
    """Return the exponential average of (n,) values, without bias at the start; NaN stays and is passed over."""
    result, total, norm = np.full(len(values), np.nan), 0.0, 0.0
    for i, value in enumerate(values.tolist()):
        if value == value:
            total, norm = weight * total + (1 - weight) * value, weight * norm + (1 - weight)
            result[i] = total / norm
    return result


def frame(steps: int, last: int) -> float:
    """Return the right end of the x axis: the run's end; of a long run the half, quarter, ... that still holds `last`.

    So the axis stands still but for a few doublings, and a young long run isn't a line at the left edge.
    """
    end = float(max(steps, 1))
    while end / 2 >= max(last, FRAME):
        end /= 2
    return end


def upward(values: Sequence[np.ndarray], *, log: bool = False) -> dict[str, Any]:
    """Return a y axis from 0, or of whole decades, that holds all values (n,) and moves only in big strides."""
    known = np.concatenate([part[np.isfinite(part)] for part in values]) if values else np.zeros(0)
    if not log:
        return {"type": "linear", "range": [0, nice(float(known.max()) if len(known) else 1.0)], "nticks": 6}
    above = known[known > 0]
    top = math.ceil(math.log10(float(above.max()))) if len(above) else 0
    low = math.floor(math.log10(float(above.min()))) if len(above) else top - 1
    return {"type": "log", "range": [max(min(low, top - 1), top - DECADES), top], "exponentformat": "power", "dtick": 1}


def nice(value: float) -> float:
    """Return the smallest of 1, 1.5, 2, 3, 4, 6, 8, 10 times a power of ten that is not below `value`; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((n * power for n in (1, 1.5, 2, 3, 4, 6, 8) if n * power >= value), 10 * power)


def mark_lines(marks: Marks, end: float, of_shares: bool) -> tuple[list[Figure], list[Figure]]:
    """Return a rule at every mark's step, and labels of which none lies on another: neighbours share one, in up to three rows.

    They stand where a run's curves seldom are: losses fall, so above; shares that rise to 100 %, so below.
    """
    groups: list[list[tuple[float, str]]] = []
    for mark in sorted(marks, key=lambda mark: mark[0]):
        if groups and mark[0] - groups[-1][0][0] <= CLOSE * end:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    rules, labels, taken = [], [], [-1.0] * ROWS
    for group in groups:
        rules += [rule(x=step) for step in sorted({step for step, _ in group})[:8]]
        told = Counter(what for _, what in group)
        words = shorten(", ".join(what if n == 1 else f"{what} x{n}" for what, n in told.items()), 34)
        at, wide = group[0][0] / end, LETTER * len(words)
        left = (
            at + wide > 0.95
        )  # at the right edge, where the time machine's own line can be, the label stands before its line
        begins = at - wide if left else at
        row = next((row for row in range(ROWS) if taken[row] <= begins), None)
        if row is None:  # no room: the line alone
            continue
        taken[row] = begins + wide + LETTER
        labels.append(
            note(
                plotly_safe(words), x=group[0][0], y=0.02 + 0.1 * row if of_shares else 1 - 0.1 * row, yref="paper",
                yanchor="bottom" if of_shares else "top", xanchor="right" if left else "left",
                hovertext="<br>".join(plotly_safe(f"step {number(step)}: {what}") for step, what in group[:20]),
            )
        )  # fmt: skip
    return rules, labels


def rule(x: float | None = None, y: float | None = None) -> Figure:
    """A thin dashed line across the whole plot at x or at y."""
    ends = (
        {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
        if x is not None
        else {"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "paper"}
    )
    return {"type": "line", "line": {"color": theme.TEXT, "width": 1.5, "dash": "dash"}, "opacity": 0.65, **ends}


def note(text: str, **place: Any) -> Figure:
    return {"text": text, "showarrow": False, "font": {"color": theme.TEXT, "size": 14}, **place}


def typed(values: np.ndarray) -> dict[str, str]:
    """Encode numbers as plotly's typed array, float32: a third of the size of JSON, and NaN is allowed."""
    return {"dtype": "f4", "bdata": base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()}
