"""Figures of the time machine: arrays -> plain dicts, as in `charts`. Pure; no streamlit.

Right and wrong, kept and not kept differ in colour or strength and in hatching, and stand in the legend.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboard import theme
from dashboard.biography import Biography
from dashboard.charts_classes import short_names
from dashboard.figures import Figure, new, note, rule, trace, typed
from dashboard.text import plotly_safe

CURSOR = "var(--st-primary-color)"
HATCH = {"shape": "/", "size": 6, "solidity": 0.35, "fgcolor": "#ffffff", "fillmode": "overlay", "fgopacity": 0.9}
LEGEND = 0.55  # share of the axis that the legend above a histogram takes on a narrow screen
WIDE = 0.07  # share of the axis from which a stretch of the ribbon has room for the name of its class
DIGIT = 0.04  # and for one of a letter or two, on a phone too


def cursor(figure: Figure, step: int) -> Figure:
    """Return the figure, drawn over steps, with a line at `step`."""
    layout = dict(figure["layout"])
    line = {
        "type": "line",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": CURSOR, "width": 2.5},
    }
    layout["shapes"] = [*layout.get("shapes", []), line]
    return {**figure, "layout": layout}


def histogram(right: np.ndarray, wrong: np.ndarray, tau: float | None) -> Figure:
    """Draw test images by confidence, right and wrong ones, each (bins,) counts over [0, 1]; tau: the fixed threshold."""
    bins = max(len(right), 1)
    traces = [
        {
            "type": "bar", "name": name, "x": typed((np.arange(bins) + 0.5) / bins), "y": typed(counts), "width": 0.92 / bins,
            "marker": {"color": color, **({"pattern": HATCH} if name == "wrong" else {})},
            "hovertemplate": f"around %{{x:.3f}}: %{{y:,d}} {name}<extra></extra>",
        }
        for name, counts, color in (("right", right, theme.TEAL), ("wrong", wrong, theme.RED))
    ]  # fmt: skip
    figure = new(traces if right.sum() + wrong.sum() else [])
    figure["layout"] |= {
        "barmode": "stack", "hovermode": "closest", "bargap": 0,
        "xaxis": {"range": [0, 1.002], "title": {"text": "confidence"}, "showgrid": False, "fixedrange": True, "tickformat": ".1f"},
        "yaxis": {"rangemode": "tozero", "fixedrange": True},
    }  # fmt: skip
    if tau is not None:
        figure["layout"]["shapes"] = [rule(x=tau)]
        place = {"yanchor": "bottom", "xanchor": "right" if tau > 0.8 else "center"}
        if tau < LEGEND:  # above it stands the legend
            place = {"yanchor": "top", "xanchor": "left"}
        label = note(f"\u03c4 = {tau:g}", x=tau, y=1, yref="paper", **place)
        figure["layout"]["annotations"] = [label]
    return figure


def ribbon(life: Biography, names: Sequence[str], steps: int) -> Figure:
    """Draw an image's guessed class (colour, name) and confidence (height) from keyframe to keyframe; faint: not kept."""
    spans = _spans(life.steps)
    end = max(float(life.steps[-1] + spans[-1]), 1.0)
    traces: list[Figure] = []
    short = short_names(names)
    for c in dict.fromkeys(life.guess.tolist()):
        mine = life.guess == c
        about = [
            f"{plotly_safe(names[c])}, {100 * p:.0f} %, {'kept' if kept else 'not kept'}{_verdict(c, life.truth)}"
            for p, kept in zip(life.confidence[mine], life.kept[mine], strict=True)
        ]
        marker = {
            "color": theme.class_color(c), "opacity": np.where(life.kept[mine], 1.0, 0.4).tolist(), "line": {"width": 0},
            "pattern": {**HATCH, "shape": ["" if kept else "/" for kept in life.kept[mine].tolist()]},
        }  # fmt: skip
        traces.append(
            {
                "type": "bar", "name": f"guess {short[c]}", "x": typed(life.steps[mine]), "offset": 0, "y": typed(life.confidence[mine]),
                "width": spans[mine].tolist(), "marker": marker, "text": about, "textposition": "none", "hovertemplate": "step %{x:,d}: %{text}<extra></extra>",
            }
        )  # fmt: skip
    if life.threshold.any():
        line = {"color": theme.TEXT, "width": 1.6, "dash": "dot", "shape": "hv"}
        traces.append(
            trace(life.steps, life.threshold, "threshold", line, ".2f") | {"hoverinfo": "skip", "hovertemplate": None}
        )
    figure = new(traces)
    ticks = {"dtick": 1} if end < 8 else {}  # there is no half step
    figure["layout"] |= {
        "barmode": "overlay", "bargap": 0, "hovermode": "closest",
        "xaxis": {"range": [0, end], "title": {"text": "step"}, "showgrid": False, "tickformat": "~s" if steps > 9999 else "d", **ticks},
        "yaxis": {"tickformat": ".0%", "range": [0, 1.13], "tickvals": [0, 0.25, 0.5, 0.75, 1], "fixedrange": True},
        "annotations": [
            note(short[c], x=(left + right) / 2, y=1.01, yanchor="bottom")
            for c, left, right in stretches(life, end)
            if right - left >= (DIGIT if len(short[c]) < 3 else WIDE) * end
        ],
    }  # fmt: skip
    return figure


def stretches(life: Biography, end: float) -> list[tuple[int, float, float]]:
    """Return (class, first step, step of the next stretch or `end`) for every stretch of keyframes with the same guess."""
    found: list[tuple[int, float, float]] = []
    for step, c in zip(life.steps.tolist(), life.guess.tolist(), strict=True):
        if found and found[-1][0] == c:
            continue
        if found:
            found[-1] = (*found[-1][:2], float(step))
        found.append((c, float(step), end))
    return found


def _spans(steps: np.ndarray) -> np.ndarray:
    """How far each keyframe speaks: to the next one; the last as far as they are apart on the whole."""
    gaps = np.diff(steps).astype(float)
    return np.append(gaps, max(float(np.median(gaps)) if len(gaps) else 1.0, 1.0))


def _verdict(guess: int, truth: int) -> str:
    return "" if truth < 0 else ", right" if guess == truth else ", wrong"
