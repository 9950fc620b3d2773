"""Figures of the threshold sandbox: arrays -> plain dicts, as in `charts`. Pure; no streamlit.

Right and wrong differ in colour, in hatching and in the legend; kept and not kept in strength.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard import figures, theme
from dashboard.charts_classes import pick_classes, short_names
from dashboard.figures import Figure, typed

FAINT = 0.4  # strength of what is not kept


def faint(color: str) -> str:
    """Return "#rrggbb" as a colour that shines through."""
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{FAINT})"


STACK = (  # name, colour, hatching; the rows of `sandbox.histogram` and columns of `Outcome.by_class`
    ("kept, right", theme.TEAL, ""),
    ("kept, wrong", theme.RED, "/"),
    ("not kept, right", faint(theme.TEAL), ""),
    ("not kept, wrong", faint(theme.RED), "/"),
)


def histogram(counts: np.ndarray, tau: float | None) -> Figure:
    """Draw counts (4, bins) by confidence in [0, 1], stacked, and tau, if there is one, as a line."""
    bins = counts.shape[1]
    centres = (np.arange(bins) + 0.5) / bins
    traces = [_stack(k) | {"x": typed(centres), "y": typed(values), "width": 0.92 / bins} for k, values in enumerate(counts)]  # fmt: skip
    for trace in traces:
        trace["hovertemplate"] = f"around %{{x:.3f}}: %{{y:,d}} {trace['name']}<extra></extra>"
    figure = figures.new(traces)
    figure["layout"]["legend"]["traceorder"] = "normal"
    figure["layout"] |= {
        "barmode": "stack", "hovermode": "closest", "bargap": 0,
        "xaxis": {"range": [0, 1.002], "title": {"text": "confidence"}, "showgrid": False, "fixedrange": True, "tickformat": ".1f"},
        "yaxis": {"rangemode": "tozero", "title": {"text": "images"}, "fixedrange": True},
        "shapes": [] if tau is None else [figures.rule(x=tau)], "margin": {"l": 58, "r": 14, "t": 54, "b": 50},
        "annotations": [] if tau is None else [_tau(tau)],
    }  # fmt: skip
    return figure


def classes(by_class: np.ndarray, thresholds: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw for each class the shares of its guesses, by_class (C, 4), and its threshold (C,); of many the lowest and highest few."""
    shown, short = pick_classes(thresholds), short_names(names)
    label = [short[c] for c in shown]
    total = np.maximum(by_class.sum(axis=1, keepdims=True), 1)
    traces = []
    for k in range(len(STACK)):
        share, count = (by_class / total)[shown, k], by_class[shown, k]
        traces.append(
            _stack(k)
            | {
                "orientation": "h", "y": label, "x": typed(share), "customdata": typed(count),
                "hovertemplate": f"%{{y}}: %{{x:.0%}} {STACK[k][0]} (%{{customdata:,d}})<extra></extra>",
            }
        )  # fmt: skip
    lines = {
        "type": "scatter", "mode": "markers", "name": "threshold", "y": label, "x": typed(thresholds[shown]),
        "marker": {"symbol": "line-ns", "size": 11, "line": {"width": 3, "color": theme.TEXT}}, "hovertemplate": "%{y}: threshold %{x:.3f}<extra></extra>",
    }  # fmt: skip
    values = {
        "type": "scatter", "mode": "text", "y": label, "x": [1.14] * len(shown), "text": [f"{thresholds[c]:.2f}" for c in shown],
        "textposition": "middle left", "showlegend": False, "hoverinfo": "skip", "textfont": {"size": 14},
    }  # fmt: skip
    figure = figures.new([*traces, lines, values])
    figure["layout"]["legend"]["traceorder"] = "normal"
    figure["layout"] |= {
        "barmode": "stack", "bargap": 0.28, "hovermode": "closest", "margin": {"l": 8, "r": 12, "t": 54, "b": 50},
        "xaxis": {"range": [0, 1.14], "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "title": {"text": "share of the class's guesses; threshold"}, "fixedrange": True},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False, "fixedrange": True, "automargin": True, "dtick": 1},
    }  # fmt: skip
    return figure


def trade_off(taus: np.ndarray, coverage: np.ndarray, purity: np.ndarray, tau: float | None) -> Figure:
    """Draw coverage and purity, each (n,) in [0, 1] or NaN, over the thresholds `taus`, and the present tau, if there is one, as a line."""
    lines = (("coverage", coverage, theme.BLUE, "solid"), ("purity", purity, theme.TEAL, "dash"))
    traces = []
    for name, values, color, dash in lines:
        traces.append(figures.trace(taus, values, name, {"color": color, "dash": dash, "width": figures.WIDTH}, ".1%"))
    figure = figures.new(traces)
    figure["layout"] |= {
        "xaxis": {"range": [0, 1], "title": {"text": "threshold"}, "showgrid": False, "tickformat": ".1f", "hoverformat": ".2f", "fixedrange": True},
        "yaxis": {**figures.PERCENT, "fixedrange": True}, "hovermode": "x unified", "shapes": [] if tau is None else [figures.rule(x=tau)],
        "annotations": [] if tau is None else [_tau(tau, 0)],
    }  # fmt: skip
    return figure


def _tau(tau: float, y: int = 1) -> Figure:
    """The name of the line, at the top of the chart (y = 1), or at the foot (0) where curves run along the top."""
    side = "right" if tau > 0.5 else "left"
    at = "top" if y else "bottom"
    return figures.note(f"\u03c4 = {tau:g}", x=tau, y=y, yref="paper", yanchor=at, xanchor=side, bgcolor=theme.GROUND)


def _stack(k: int) -> Figure:
    name, color, hatching = STACK[k]
    marker: dict[str, Any] = {"color": color, "line": {"width": 0}}
    if hatching:
        marker["pattern"] = {"shape": hatching, "size": 6, "solidity": 0.35, "fgcolor": "#ffffff", "fillmode": "overlay", "fgopacity": 0.9}  # fmt: skip
    return {"type": "bar", "name": name, "marker": marker}
