"""Charts of single classes: FlexMatch's thresholds, the kept pseudo-labels, the confusion matrix. Pure; no streamlit.

With more than ten classes the lowest and the highest few are drawn, or those that a person chose.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboard import theme
from dashboard.figures import WIDTH, Figure, Marks, new, note, over_steps, rule, trace, typed
from dashboard.text import plotly_safe, plural, shorten

MOST_CLASSES = 10
NAME = 14  # letters of a class name in a legend or at an axis
LETTER, SYMBOL, ROW = 5.5, 40, 17  # pixels of a legend: a letter, the line before a name, a row
PHONE = 255  # pixels that a chart is wide on a phone
MOST_NUMBERS = 15  # classes up to which the cells of a confusion matrix hold their numbers
BELOW = 10  # letters of one below a confusion matrix, where names stand upright
FULL = 0.95  # share of a row above which white stands out from the cell more than the ink does (both 3.95 : 1 there, in light)


def thresholds(
    at: np.ndarray, values: np.ndarray, names: Sequence[str], steps: int, tau: float,
    *, marks: Marks = (), chosen: Sequence[int] = (),
) -> Figure:  # fmt: skip
    """Draw each class's threshold over time: at (n,) steps, values (n, C). Of many classes the lowest and highest few."""
    traces, short = [], short_names(names)
    shown = pick_classes(values[-1] if len(values) else np.zeros(0), chosen=chosen)
    for c in shown:
        style = {"color": theme.class_color(c), "dash": theme.class_dash(c), "width": WIDTH - 0.5}
        traces.append(trace(at, values[:, c], short[c], style, ".2f"))
    figure = over_steps(traces, {"step": at}, steps, {"range": [0, 1.03], "tickformat": ".1f", "nticks": 6}, marks)
    # Boxes of one width, as wide as the longest name; above the plot stands room for all rows, on a phone too: never a scroll bar.
    wide = LETTER * max((len(short[c]) for c in shown), default=1)
    rows = math.ceil(len(shown) / max(PHONE // (wide + SYMBOL), 1))
    figure["layout"]["legend"] |= {
        "entrywidth": wide, "entrywidthmode": "pixels", "tracegroupgap": 0, "font": {"size": 11}
    }  # fmt: skip
    figure["layout"]["margin"] |= {"t": max(36, 14 + ROW * rows)}
    figure["layout"]["shapes"] += [rule(y=tau)]
    figure["layout"]["annotations"] += [
        note(f"\u03c4 = {tau:g}", x=0.99, xref="paper", xanchor="right", y=tau, yanchor="bottom")
    ]
    return figure


def lanes(
    threshold: np.ndarray, count: np.ndarray, names: Sequence[str], tau: float, *, chosen: Sequence[int] = ()
) -> Figure:
    """Draw the present thresholds (C,) as bars; count (C + 1,): learning status sigma_c, the last is `unused`; may be empty."""
    shown, short = pick_classes(threshold, chosen=chosen), short_names(names)
    label = [short[c] for c in shown]
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
        "type": "scatter", "mode": "text", "y": label, "x": [1.15] * len(shown), "text": [f"{threshold[c]:.2f}" for c in shown],
        "textposition": "middle left", "showlegend": False, "hoverinfo": "skip", "textfont": {"size": 14},
    }  # fmt: skip
    figure = new([bar, values] if shown else [])
    figure["layout"] |= {
        "xaxis": {"range": [0, 1.15], "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "title": {"text": "threshold"}, "fixedrange": True},
        "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False, "fixedrange": True, "automargin": True, "dtick": 1},
        "bargap": 0.28, "hovermode": "closest", "showlegend": False, "shapes": [rule(x=tau)], "margin": {"l": 8, "r": 12, "t": 24, "b": 50},
        "annotations": [note(f"\u03c4 = {tau:g}", x=tau, y=1, yref="paper", yanchor="bottom")],
    }  # fmt: skip
    return figure


def pseudo_counts(count: np.ndarray, names: Sequence[str], *, chosen: Sequence[int] = ()) -> Figure:
    """Draw the share of each class among the kept pseudo-labels, from their number by class (C,)."""
    shown, short = pick_classes(count, chosen=chosen), short_names(names)
    share = count / max(float(count.sum()), 1.0)
    bar = {
        "type": "bar", "x": [short[c] for c in shown], "y": typed(share[shown]), "customdata": typed(count[shown]), "name": "share",
        "marker": {"color": [theme.class_color(c) for c in shown]}, "hovertemplate": "%{x}: %{y:.1%} (%{customdata:,d})<extra></extra>",
    }  # fmt: skip
    even = 1 / max(len(count), 1)
    top = max(2 * even, 1.2 * float(share.max())) if len(share) else 1.0
    figure = new([bar] if shown else [])
    figure["layout"] |= {
        "xaxis": _classes_below(shown, short),
        "yaxis": {"tickformat": ".0%" if top > 0.05 else ".1%", "range": [0, _stride(top, even)], "fixedrange": True, "nticks": 6},
        "bargap": 0.28, "showlegend": False, "hovermode": "closest", "shapes": [rule(y=even)], "margin": {"l": 58, "r": 46, "t": 22, "b": 50},
        "annotations": [note("even", x=1.01, xref="paper", xanchor="left", y=even, yanchor="middle")],
    }  # fmt: skip
    return figure


def recalls(recall: np.ndarray, names: Sequence[str], *, chosen: Sequence[int] = ()) -> Figure:
    """Draw the recall of each class (C,), NaN where it has no images, and their mean, the balanced accuracy, as a line."""
    shown, short = pick_classes(recall, chosen=chosen), short_names(names)
    bar = {
        "type": "bar", "x": [short[c] for c in shown], "y": typed(recall[shown]), "name": "recall",
        "marker": {"color": [theme.class_color(c) for c in shown]}, "hovertemplate": "%{x}: %{y:.1%} found<extra></extra>",
    }  # fmt: skip
    figure = new([bar] if shown else [])
    figure["layout"] |= {
        "xaxis": _classes_below(shown, short),
        "yaxis": {"tickformat": ".0%", "range": [0, 1.03], "fixedrange": True, "nticks": 6},
        "bargap": 0.28, "showlegend": False, "hovermode": "closest", "margin": {"l": 58, "r": 54, "t": 22, "b": 50},
    }  # fmt: skip
    if np.isfinite(recall).any():
        mean = float(np.nanmean(recall))
        figure["layout"]["shapes"] = [rule(y=mean)]
        told = note(f"{100 * mean:.1f} %", x=1.01, xref="paper", xanchor="left", y=mean, yanchor="middle")
        figure["layout"]["annotations"] = [told]
    return figure


def confusion(counts: np.ndarray, names: Sequence[str], ticks: int = 20) -> Figure:
    """Draw a confusion matrix, counts (C, C) [truth, prediction]: colour is the share of the row, the cells hold both up to 15 classes.

    `ticks`: how many names an axis has room for.
    """
    classes = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis, below = short_names(names[:classes]), short_names(names[:classes], BELOW)
    grid: dict[str, Any] = {
        "type": "heatmap", "x": list(range(classes)), "y": list(range(classes)), "z": _rounded(share), "customdata": counts.tolist(), "zmin": 0, "zmax": 1,
        "colorscale": [[0, "rgba(71,97,228,0)"], [0.02, "rgba(71,97,228,.16)"], [1, "rgba(71,97,228,.9)"]], "showscale": False,
        "xgap": 1, "ygap": 1, "name": "share",
        "hovertext": [
            [f"{plotly_safe(truth)} taken for {plotly_safe(guess)}<br>{plural(n, 'image')}" for guess, n in zip(names, row, strict=False)]
            for truth, row in zip(names, counts.tolist(), strict=False)
        ],
        "hovertemplate": "%{hovertext}, %{z:.1%} of the row<extra></extra>",
    }  # fmt: skip
    figure = new([grid] if classes else [])
    if 0 < classes <= MOST_NUMBERS:
        figure["data"].append(_numbers(counts, share))
    every = max(1, -(-classes // ticks))
    at = list(range(0, classes, every))
    named = {
        "tickvals": at,
        "showgrid": False,
        "fixedrange": True,
        "zeroline": False,
    }
    figure["layout"] |= {
        "xaxis": {
            **named, "ticktext": [below[c] for c in at], "title": {"text": "prediction"},
            "range": [-0.5, classes - 0.5], "automargin": True,
        },
        "yaxis": {**named, "ticktext": [axis[c] for c in at], "title": {"text": "truth"}, "range": [classes - 0.5, -0.5], "automargin": True},
        "hovermode": "closest", "showlegend": False, "margin": {"l": 62, "r": 10, "t": 10, "b": 52},
    }  # fmt: skip
    return figure


def _numbers(counts: np.ndarray, share: np.ndarray) -> Figure:
    """The numbers in the cells, white on the full ones: a heatmap's own take their colour as if it always stood on white."""
    truth, guess = np.nonzero(counts)
    return {
        "type": "scatter", "mode": "text", "x": guess.tolist(), "y": truth.tolist(), "text": [str(n) for n in counts[truth, guess].tolist()],
        "textfont": {"size": 14, "color": ["#ffffff" if full else theme.TEXT for full in share[truth, guess] > FULL]},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def pick_classes(values: np.ndarray, most: int = MOST_CLASSES, chosen: Sequence[int] = ()) -> list[int]:
    """Return which classes to draw, in their order: all, or of many the chosen ones, else the lowest and the highest few by value."""
    if len(values) <= most:
        return list(range(len(values)))
    if chosen := [c for c in chosen if c < len(values)]:
        return sorted(set(chosen))
    order = np.argsort(values, kind="stable")
    return sorted(np.concatenate([order[: most // 2], order[-(most - most // 2) :]]).tolist())


def short_names(names: Sequence[str], most: int = NAME) -> list[str]:
    """Return names short enough for an axis; those that would then look alike begin with the number of their class."""
    short = [shorten(name, most) for name in names]
    twice = {name for name, count in Counter(short).items() if count > 1}
    told = [f"{c}: {shorten(name, most - 4)}" if name in twice else name for c, name in enumerate(short)]
    return [plotly_safe(name) for name in told]


def _classes_below(shown: Sequence[int], short: Sequence[str]) -> dict[str, Any]:
    """Return an x axis of classes: their numbers, or names that stand upright and then need no title."""
    upright = max((len(short[c]) for c in shown), default=0) > 3
    form = {"tickangle": -90, "automargin": True, "tickfont": {"size": 12}} if upright else {"title": {"text": "class"}}
    return {"type": "category", "showgrid": False, "fixedrange": True, "dtick": 1, **form}


def _stride(top: float, even: float) -> float:
    """The top of the axis in whole doublings of twice the even share, so that it seldom moves."""
    end = 2 * even
    while end < min(top, 1.0):
        end *= 1.5
    return min(end, 1.0)


def _rounded(share: np.ndarray) -> list[list[float]]:
    rows: list[list[float]] = np.round(share, 4).tolist()
    return rows
