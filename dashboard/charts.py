"""Charts: arrays -> plotly figures as plain dicts (`plotly.graph_objects.Figure(figure)` takes them). Pure; no streamlit.

Plain dicts with base64 arrays cost a tenth of `go.Figure` objects and need no import of plotly, so a page paints at
once and a tick is cheap. Colours that depend on light or dark are CSS variables, resolved in the browser (`live_chart`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboard import theme
from dashboard.text import plotly_safe

Figure = dict[str, Any]
Columns = Mapping[str, np.ndarray]
Marks = Sequence[tuple[int, str]]  # (step, what was changed there)

SMOOTHING = 0.8  # weight of the old value between two of the at most 800 points
FRAME = 2000  # steps up to which the x axis is the whole run from the start
MOST_CLASSES = 10
PERCENT = {"tickformat": ".0%", "range": [0, 1.03]}


def losses(points: Columns, steps: int, *, log: bool = False, smooth: bool = False, marks: Marks = ()) -> Figure:
    """Draw total, labelled and unlabelled loss over the steps; on a log axis values of 0 leave a gap."""
    lines = [("train/loss", "total", theme.TEXT, "solid"), ("train/loss_x", "labelled", theme.BLUE, "dash")]
    if "train/loss_u" in points:
        lines.append(("train/loss_u", "unlabelled", theme.RED, "dot"))
    else:
        lines = [("train/loss", "labelled", theme.BLUE, "solid")]
    traces = [
        t
        for name, label, color, dash in lines
        for t in _line(points, name, label, color, dash, smooth=smooth, hover=".4f")
    ]
    axis: dict[str, Any] = (
        {"type": "log", "exponentformat": "power", "dtick": 1} if log else {"rangemode": "tozero", "type": "linear"}
    )
    return _over_steps(traces, points, steps, {**axis, "uirevision": f"log {log}"}, marks)


def accuracies(points: Columns, steps: int, *, marks: Marks = ()) -> Figure:
    """Draw the accuracy on test (EMA and raw), validation where there is one, and the labelled images."""
    lines = [
        ("eval/test/accuracy", "test, EMA", theme.BLUE, "solid"),
        ("eval/test/accuracy/raw", "test, raw", theme.SKY, "dot"),
        ("eval/val/accuracy", "validation, EMA", theme.TEAL, "dashdot"),
        ("eval/train/accuracy", "labelled, EMA", theme.TAN, "dash"),
    ]
    traces = [
        t
        for name, label, color, dash in lines
        for t in _line(points, name, label, color, dash, hover=".1%", markers=True)
    ]
    return _over_steps(traces, points, steps, PERCENT, marks)


def masks(points: Columns, steps: int, *, smooth: bool = False, marks: Marks = ()) -> Figure:
    """Draw mask rate (share kept), purity (share of the kept that are right) and confidence."""
    lines = [
        ("train/mask_rate", "mask rate", theme.BLUE, "solid"),
        ("train/purity", "purity", theme.TEAL, "dash"),
        ("train/confidence", "confidence", theme.TAN, "dot"),
    ]
    traces = [
        t
        for name, label, color, dash in lines
        for t in _line(points, name, label, color, dash, smooth=smooth, hover=".1%")
    ]
    return _over_steps(traces, points, steps, PERCENT, marks)


def thresholds(
    at: np.ndarray, values: np.ndarray, names: Sequence[str], steps: int, tau: float, *, marks: Marks = ()
) -> Figure:
    """Draw each class's threshold over time: at (n,) steps, values (n, C). Of many classes the lowest and highest few."""
    traces = []
    for c in pick_classes(values[-1] if len(values) else np.zeros(0)):
        line = {"color": theme.class_color(c), "dash": theme.class_dash(c), "width": 2}
        label = plotly_safe(names[c])
        traces.append(_trace(at, values[:, c], label, line, ".2f"))
    figure = _over_steps(traces, {"step": at}, steps, {"range": [0, 1.03], "tickformat": ".1f"}, marks)
    figure["layout"]["legend"] = {
        "orientation": "v",
        "x": 1.01,
        "xanchor": "left",
        "y": 1,
        "yanchor": "top",
        "tracegroupgap": 0,
    }
    figure["layout"]["margin"] = {"l": 44, "r": 8, "t": 16, "b": 38}  # high enough for ten names
    figure["layout"]["shapes"] += [_rule(y=tau)]
    figure["layout"]["annotations"] += [
        _note(f"\u03c4 = {tau:g}", x=0, xref="paper", xanchor="left", y=tau, yanchor="bottom")
    ]
    return figure


def lanes(threshold: np.ndarray, count: np.ndarray, names: Sequence[str], tau: float) -> Figure:
    """Draw the present thresholds (C,) as bars; count (C + 1,): learning status sigma_c, the last is `unused`; may be empty."""
    shown = pick_classes(threshold)
    label = [plotly_safe(names[c]) for c in shown]
    bar: dict[str, Any] = {
        "type": "bar", "orientation": "h", "y": label, "x": typed(threshold[shown]), "name": "threshold",
        "marker": {"color": [theme.class_color(c) for c in shown]}, "hovertemplate": "%{y}: threshold %{x:.3f}<extra></extra>",
    }  # fmt: skip
    if len(count) == len(threshold) + 1:
        # beta = sigma_c over the largest; while most images are unused, over those (warm-up, FlexMatch Eq. 11).
        beta = count[:-1] / max(float(count.max()), 1.0)
        bar["customdata"] = [[int(count[c]), float(beta[c]), int(count[-1])] for c in shown]
        bar["hovertemplate"] = (
            "%{y}: threshold %{x:.3f}<br>learning status \u03c3 = %{customdata[0]:,d}, \u03b2 = %{customdata[1]:.2f}"
            "<br>images without a confident class: %{customdata[2]:,d}<extra></extra>"
        )
    values = {
        "type": "scatter", "mode": "text", "y": label, "x": [1.13] * len(shown), "text": [f"{threshold[c]:.2f}" for c in shown],
        "textposition": "middle left", "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip
    figure = _figure([bar, values])
    figure["layout"] |= {
        "xaxis": {"range": [0, 1.13], "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "title": {"text": "threshold"}, "fixedrange": True},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False, "fixedrange": True, "automargin": True, "dtick": 1},
        "bargap": 0.28, "hovermode": "closest", "showlegend": False, "shapes": [_rule(x=tau)], "margin": {"l": 8, "r": 12, "t": 22, "b": 38},
        "annotations": [_note(f"\u03c4 = {tau:g}", x=tau, y=1, yref="paper", yanchor="bottom")],
    }  # fmt: skip
    return figure


def pseudo_counts(count: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw the share of each class among the kept pseudo-labels, from their number by class (C,)."""
    shown = pick_classes(count)
    share = count / max(float(count.sum()), 1.0)
    bar = {
        "type": "bar", "x": [plotly_safe(names[c]) for c in shown], "y": typed(share[shown]), "customdata": typed(count[shown]), "name": "share",
        "marker": {"color": [theme.class_color(c) for c in shown]}, "hovertemplate": "%{x}: %{y:.1%} (%{customdata:,d})<extra></extra>",
    }  # fmt: skip
    even = 1 / max(len(count), 1)
    figure = _figure([bar])
    figure["layout"] |= {
        "xaxis": {"type": "category", "showgrid": False, "fixedrange": True, "title": {"text": "class"}, "dtick": 1},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True}, "bargap": 0.28, "showlegend": False, "hovermode": "closest",
        "shapes": [_rule(y=even)], "margin": {"l": 44, "r": 40, "t": 22, "b": 38},
        "annotations": [_note("even", x=1.01, xref="paper", xanchor="left", y=even, yanchor="middle")],
    }  # fmt: skip
    return figure


def smoothed(values: np.ndarray, weight: float = SMOOTHING) -> np.ndarray:
    """Return the exponential average of (n,) values, without bias at the start; NaN stays and is passed over."""
    result, total, norm = np.full(len(values), np.nan), 0.0, 0.0
    for i, value in enumerate(values.tolist()):
        if value == value:
            total, norm = weight * total + (1 - weight) * value, weight * norm + (1 - weight)
            result[i] = total / norm
    return result


def pick_classes(values: np.ndarray, most: int = MOST_CLASSES) -> list[int]:
    """Return which classes to draw, in their order: all, or of many the lowest and the highest few by value."""
    if len(values) <= most:
        return list(range(len(values)))
    order = np.argsort(values, kind="stable")
    return sorted(np.concatenate([order[: most // 2], order[-(most - most // 2) :]]).tolist())


def frame(steps: int, last: int) -> float:
    """Return the right end of the x axis: the run's end; of a long run the half, quarter, ... that still holds `last`.

    So the axis stands still but for a few doublings, and a young long run isn't a line at the left edge.
    """
    end = float(max(steps, 1))
    while end / 2 >= max(last, FRAME):
        end /= 2
    return end


def typed(values: np.ndarray) -> dict[str, str]:
    """Encode numbers as plotly's typed array, float32: a third of the size of JSON, and NaN is allowed."""
    return {"dtype": "f4", "bdata": base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()}


def _line(
    points: Columns,
    name: str,
    label: str,
    color: str,
    dash: str,
    *,
    hover: str,
    smooth: bool = False,
    markers: bool = False,
) -> list[Figure]:
    values = points.get(name)
    if values is None or np.isnan(values).all():
        return []
    line = {"color": color, "dash": dash, "width": 2.2}
    if not smooth:
        trace = _trace(points["step"], values, label, line, hover)
        return [trace | ({"mode": "lines+markers", "marker": {"size": 5, "color": color}} if markers else {})]
    faint = {"color": color, "width": 1}
    raw = _trace(points["step"], values, label, faint, hover) | {
        "opacity": 0.28,
        "showlegend": False,
        "hoverinfo": "skip",
        "hovertemplate": None,
    }
    return [raw, _trace(points["step"], smoothed(values), label, line, hover)]


def _trace(x: np.ndarray, y: np.ndarray, label: str, line: Mapping[str, Any], hover: str) -> Figure:
    return {
        "type": "scatter", "mode": "lines", "name": label, "legendgroup": label, "x": typed(x), "y": typed(y), "line": dict(line),
        "connectgaps": True, "hovertemplate": f"%{{y:{hover}}}",
    }  # fmt: skip


def _over_steps(traces: list[Figure], points: Columns, steps: int, yaxis: Mapping[str, Any], marks: Marks) -> Figure:
    figure = _figure(traces)
    at = points.get("step", np.zeros(0))
    end = frame(steps, int(at[-1]) if len(at) else 0)
    figure["layout"] |= {
        "xaxis": {
            "range": [0, end],
            "title": {"text": "step"},
            "tickformat": "~s" if end > 9999 else "d",
            "hoverformat": ",d",
            "showgrid": False,
            "unifiedhovertitle": {"text": "step %{x:,d}"},
        },
        "yaxis": dict(yaxis),
        "hovermode": "x unified",
        "shapes": [_rule(x=step) for step, _ in marks],
        "annotations": [
            _note(plotly_safe(text), x=step, y=1, yref="paper", yanchor="top", xanchor="left") for step, text in marks
        ],
    }
    return figure


def _figure(traces: list[Figure]) -> Figure:
    return {
        "data": traces,
        "layout": {
            "margin": {"l": 44, "r": 12, "t": 30, "b": 38},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
            "showlegend": True, "shapes": [], "annotations": [],
        },
    }  # fmt: skip


def _rule(x: float | None = None, y: float | None = None) -> Figure:
    """A thin dashed line across the whole plot at x or at y."""
    ends = (
        {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
        if x is not None
        else {"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "paper"}
    )
    return {"type": "line", "line": {"color": theme.TEXT, "width": 1.2, "dash": "dash"}, "opacity": 0.65, **ends}


def _note(text: str, **place: Any) -> Figure:
    return {"text": text, "showarrow": False, "font": {"color": theme.TEXT, "size": 12}, **place}
