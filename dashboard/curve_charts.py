"""The charts of the Label curves page: points of a sweep -> plotly figures as plain dicts. Pure; no streamlit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard import figures, theme
from dashboard.text import METHODS, percent, plotly_safe, shorten
from sslcore import report_sweep
from sslcore.curve import Point, Reading
from sslcore.per_class import Difference, signed
from sslcore.published import GROUPS, Series

BY = {"tutorial": "tutorial", "papers": "paper", "recorded": "recorded"}  # whose numbers, in the legend
MARK = {"tutorial": "x-thin-open", "papers": "{}-open", "recorded": "{}-open-dot"}  # around the method's own symbol
APART = 1.45  # two labels of the axis are at least this factor apart
MOST_CLASSES = 20  # of many the lowest and the highest differences


@dataclass(frozen=True)
class Level:
    """A horizontal reading: at `accuracy` from the count `left` to that of `right`, each as it is read."""

    accuracy: float
    left: float
    right: Reading


def curve(
    points: Sequence[Point],
    counts: Sequence[int],
    published: Sequence[Series] = (),
    level: Level | None = None,
    goal: float | None = None,
) -> figures.Figure:
    """Draw mean accuracy over labels on a log axis, a line a method; `counts`: of the whole sweep, so that the axis stands still."""
    drawn: list[figures.Figure] = []
    for method in dict.fromkeys(point.method for point in points):
        drawn += _line(method, [point for point in points if point.method == method])
    for series in published:
        drawn.append(_published(series))
    figure = figures.new(drawn)
    at = sorted({*counts, *(place.labels for one in published for place in one.places)})
    heights = [v for point in points for v in point.values] + [p.accuracy for one in published for p in one.places]
    heights += [goal] if goal is not None and heights else []
    figure["layout"] |= {
        "xaxis": _labels_axis(at), "yaxis": _accuracy_axis(heights), "hovermode": "closest",
        "margin": {"l": 66, "r": 14, "t": 16, "b": 56},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top"},
    }  # fmt: skip
    if goal is not None:
        figure["layout"]["shapes"].append(figures.rule(y=goal))
    if level is not None and points:
        _mark(figure, level)
    return figure


def _line(method: str, points: Sequence[Point]) -> list[figures.Figure]:
    color, label = theme.METHOD_COLORS.get(method, theme.TEXT), METHODS.get(method, method)
    x = [point.labels for point in points]
    single = [(point.labels, value) for point in points if point.n > 1 for value in point.values]
    sds = [point.sd or 0.0 for point in points]
    hidden: dict[str, Any] = {"type": "scatter", "x": x, "visible": False, "showlegend": False}
    return [
        {"type": "scatter", "mode": "markers", "name": f"{label}, single runs", "x": [n for n, _ in single], "y": [v for _, v in single],
         "marker": {"color": color, "size": 6, "symbol": theme.METHOD_SYMBOLS.get(method, "circle")}, "opacity": 0.3, "showlegend": False, "hoverinfo": "skip"},
        {"type": "scatter", "mode": "lines+markers", "name": label, "x": x, "y": [point.mean for point in points],
         "line": {"color": color, "dash": theme.METHOD_DASHES.get(method, "solid"), "width": figures.WIDTH},
         "marker": {"color": color, "size": 10, "symbol": theme.METHOD_SYMBOLS.get(method, "circle")},
         "error_y": {"type": "data", "array": sds, "visible": any(sds), "color": color, "thickness": 2, "width": 6},
         "customdata": [hover(point) for point in points], "hovertemplate": "%{customdata}<extra></extra>"},
        hidden | {"y": [point.sd if point.sd is not None else "" for point in points], "meta": f"{label}, sd over seeds"},
        hidden | {"y": [point.n for point in points], "meta": f"{label}, seeds"},
    ]  # fmt: skip


def hover(point: Point) -> str:
    return f"<b>{METHODS.get(point.method, point.method)}</b>, {point.labels:,} labels<br>{report_sweep.told(point)}"


def _published(series: Series) -> figures.Figure:
    color = theme.METHOD_COLORS.get(series.method, theme.TEXT)
    label = f"{METHODS.get(series.method, series.method)}, {BY[series.group]}"
    sds = [place.sd or 0.0 for place in series.places]
    told = [
        f"<b>{label}</b>, {place.labels:,} labels<br>{percent(place.accuracy)}{f' +- {100 * place.sd:.2f}' if place.sd is not None else ''}"
        f"<br>{plotly_safe(series.source)}<br>{series.steps:,} steps"
        for place in series.places
    ]
    return {
        "type": "scatter", "mode": "lines+markers", "name": label, "x": [place.labels for place in series.places],
        "y": [place.accuracy for place in series.places], "opacity": 0.75,
        "line": {"color": color, "dash": "dot", "width": 1.4},
        "marker": {"color": color, "size": 9, "symbol": MARK[series.group].format(theme.METHOD_SYMBOLS.get(series.method, "circle"))},
        "error_y": {"type": "data", "array": sds, "visible": any(sds), "color": color, "thickness": 1, "width": 4},
        "customdata": told, "hovertemplate": "%{customdata}<extra></extra>", "meta": f"{label} ({GROUPS[series.group]})",
    }  # fmt: skip


def _labels_axis(at: Sequence[int]) -> dict[str, Any]:
    low, high = (math.log10(at[0]), math.log10(at[-1])) if at else (1.0, 3.0)
    shown: list[int] = []
    for count in at:
        if not shown or count >= max(APART, 10 ** (0.09 * (high - low))) * shown[-1]:
            shown.append(count)
    room = max(0.06 * (high - low), 0.06)
    return {
        "type": "log", "range": [low - room, high + room], "title": {"text": "labelled images"}, "tickvals": shown,
        "ticktext": [f"{count // 1000}k" if count % 1000 == 0 else f"{count:,}" for count in shown], "tickangle": 0, "showgrid": True,
    }  # fmt: skip


def _accuracy_axis(heights: Sequence[float]) -> dict[str, Any]:
    """From the tenth below the lowest to 100 %: it moves in strides of a tenth only."""
    low = min(max(math.floor(10 * min(heights) - 0.2) / 10, 0.0), 0.9) if heights else 0.0
    return {"tickformat": ".0%", "range": [low, 1.01], "title": {"text": "test accuracy"}, "nticks": 8}


def _mark(figure: figures.Figure, level: Level) -> None:
    """Draw the horizontal reading from one curve to the other, with its words where it is long enough to carry them."""
    end = level.right.labels
    line = {"type": "line", "x0": level.left, "x1": end, "y0": level.accuracy, "y1": level.accuracy}
    figure["layout"]["shapes"].append(line | {"line": {"color": theme.TEXT, "width": 2}})
    if max(end / level.left, level.left / end) >= APART:
        words = f"{level.left:,.0f} = {level.right}"
        side = 1 if end > level.left else -1  # below the line and beside the point that is read, where no curve is
        figure["layout"]["annotations"].append(
            figures.note(
                words, x=math.log10(level.left), xanchor="left" if side > 0 else "right", xshift=12 * side, y=level.accuracy, yanchor="top", yshift=-2
            )
        )  # fmt: skip


def classes(found: Sequence[Difference], first: str, second: str) -> figures.Figure:
    """Draw the difference in recall of each class as bars, single seeds as dots; of many classes the lowest and highest."""
    shown = list(found)
    if len(shown) > MOST_CLASSES:
        ranked = sorted(shown, key=lambda one: one.mean)
        shown = ranked[: MOST_CLASSES // 2] + ranked[-MOST_CLASSES // 2 :]
    labels = [plotly_safe(shorten(one.name, 24)) for one in shown]
    sds = [one.sd or 0.0 for one in shown]
    dots = [(value, k) for k, one in enumerate(shown) if len(one.values) > 1 for value in one.values]
    reach = max(
        [
            0.05,
            *(abs(value) for one in shown for value in one.values),
            *(abs(one.mean) + sd for one, sd in zip(shown, sds, strict=True)),
        ]
    )
    reach = math.ceil(20 * reach) / 20
    colors = [theme.METHOD_COLORS.get(first if one.mean >= 0 else second, theme.TEXT) for one in shown]
    told = [
        f"<b>{label}</b><br>{signed(one.mean)} points{f' +- {100 * one.sd:.1f}' if one.sd is not None else ''} (n {len(one.values)})"
        for label, one in zip(labels, shown, strict=True)
    ]
    names = METHODS.get(first, first), METHODS.get(second, second)
    sides = f"\u2190 {names[1]} better     {names[0]} better \u2192"
    traces: list[figures.Figure] = [
        {"type": "bar", "orientation": "h", "name": f"{names[0]} - {names[1]}", "y": list(range(len(shown))), "x": [one.mean for one in shown],
         "marker": {"color": colors}, "error_x": {"type": "data", "array": sds, "visible": any(sds), "color": theme.TEXT, "thickness": 1.5, "width": 4},
         "customdata": told, "hovertemplate": "%{customdata}<extra></extra>"},
        {"type": "scatter", "mode": "markers", "name": "single seeds", "y": [k for _, k in dots], "x": [value for value, _ in dots],
         "marker": {"color": theme.TEXT, "size": 6, "symbol": "circle-open"}, "showlegend": False,
         "customdata": [f"{signed(value)} points" for value, _ in dots], "hovertemplate": "%{customdata}<extra></extra>"},
    ]  # fmt: skip
    figure = figures.new(traces if shown else [])
    figure["layout"] |= {
        "xaxis": _differences_axis(reach) | {"title": {"text": sides}, "zeroline": True, "zerolinecolor": theme.TEXT},
        "yaxis": {"tickvals": list(range(len(shown))), "ticktext": labels, "range": [len(shown) - 0.5, -0.5], "automargin": True, "showgrid": False},
        "showlegend": False, "hovermode": "closest", "bargap": 0.35, "margin": {"l": 60, "r": 14, "t": 10, "b": 52},
    }  # fmt: skip
    return figure


def _differences_axis(reach: float) -> dict[str, Any]:
    """At most three ticks a side, each with its sign, and a zero that has none, which no tick format can write."""
    step = next(step for step in (5, 10, 20, 50) if 100 * reach < 4 * step)
    most = int(100 * reach + 0.5) // step
    at = [step * k for k in range(-most, most + 1)]
    words = [f"{points:+d}%".replace("-", "\u2212") if points else "0" for points in at]
    return {"tickvals": [points / 100 for points in at], "ticktext": words, "range": [-1.05 * reach, 1.05 * reach]}


@dataclass(frozen=True, eq=False)
class Lane:
    """One run of a race: its method and the points of one metric."""

    method: str
    steps: np.ndarray
    values: np.ndarray


def race(lanes: Sequence[Lane], steps: int, reached: int, share: bool) -> figures.Figure:
    """Draw one metric of all runs of a race over the steps, each in its method's colour and dash."""
    traces = []
    for lane in lanes:
        color = theme.METHOD_COLORS.get(lane.method, theme.TEXT)
        style: Mapping[str, Any] = {
            "color": color,
            "dash": theme.METHOD_DASHES.get(lane.method, "solid"),
            "width": figures.WIDTH,
        }
        trace = figures.trace(
            lane.steps, lane.values, METHODS.get(lane.method, lane.method), style, ".1%" if share else ".4~g"
        )
        if len(lane.steps) <= 40:
            trace |= {
                "mode": "lines+markers",
                "marker": {"size": 7, "color": color, "symbol": theme.METHOD_SYMBOLS.get(lane.method, "circle")},
            }
        traces.append(trace)
    axis = dict(figures.PERCENT) if share else figures.upward([lane.values for lane in lanes])
    return figures.over_steps(traces, {"step": np.array([reached])}, steps, axis, ())
