"""The curves of a run: losses, accuracies, mask rate and purity -> plotly figures as plain dicts. Pure; no streamlit.

What they share stands in `figures.py`, the charts of single classes in `charts_classes.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dashboard import theme
from dashboard.charts_classes import lanes as lanes
from dashboard.charts_classes import pick_classes as pick_classes
from dashboard.charts_classes import pseudo_counts as pseudo_counts
from dashboard.charts_classes import thresholds as thresholds
from dashboard.figures import PERCENT, WIDTH, Columns, Marks, line, new, over_steps, smoothed, typed, upward
from dashboard.figures import Figure as Figure
from dashboard.figures import frame as frame
from dashboard.text import number

Band = tuple[Columns, Columns]  # lowest and highest of what a thinned curve passes over
NO_BAND: Band = ({}, {})
PATH = 24  # points of the path of coverage that are drawn as dots


def losses(
    points: Columns, steps: int, *, log: bool = False, smooth: bool = False, marks: Marks = (), band: Band = NO_BAND
) -> Figure:
    """Draw total, labelled and unlabelled loss over the steps; on a log axis values of 0 leave a gap."""
    lines = [("train/loss", "total", theme.TEXT, "solid"), ("train/loss_x", "labelled", theme.BLUE, "dash")]
    if "train/loss_u" in points:
        lines.append(("train/loss_u", "unlabelled", theme.RED, "dot"))
    else:
        lines = [("train/loss", "labelled", theme.BLUE, "solid")]
    traces = [
        t
        for name, label, color, dash in lines
        for t in line(points, name, label, color, dash, smooth=smooth, hover=".4f", band=band)
    ]
    drawn = [side[name] for side in (points, *band) for name, *_ in lines if name in side]
    return over_steps(traces, points, steps, {**upward(drawn, log=log), "uirevision": f"log {log}"}, marks)


def accuracies(points: Columns, steps: int, *, marks: Marks = ()) -> Figure:
    """Draw the accuracy on test (EMA and raw), validation where there is one, and the labelled images."""
    return over_steps(_parts(points, "accuracy", ".1%"), points, steps, PERCENT, marks)


def part_losses(points: Columns, steps: int, *, log: bool = False, marks: Marks = ()) -> Figure:
    """Draw the loss on test (EMA and raw), validation where there is one, and the labelled images, without augmentation."""
    drawn = [values for name, values in points.items() if "/loss" in name]
    axis = {**upward(drawn, log=log), "uirevision": f"log {log}"}
    return over_steps(_parts(points, "loss", ".4f"), points, steps, axis, marks)


def _parts(points: Columns, what: str, hover: str) -> list[Figure]:
    lines = [
        (f"eval/test/{what}", "test, EMA", theme.BLUE, "solid"),
        (f"eval/test/{what}/raw", "test, raw", theme.SKY, "dot"),
        (f"eval/val/{what}", "validation, EMA", theme.TEAL, "dashdot"),
        (f"eval/train/{what}", "labelled, EMA", theme.TAN, "dash"),
    ]
    return [
        t
        for name, label, color, dash in lines
        for t in line(points, name, label, color, dash, hover=hover, markers=True)
    ]


def masks(points: Columns, steps: int, *, smooth: bool = False, marks: Marks = (), band: Band = NO_BAND) -> Figure:
    """Draw mask rate (share kept), purity (share of the kept that are right), confidence, and of foreign images the share kept."""
    lines = [
        ("train/mask_rate", "mask rate", theme.BLUE, "solid"),
        ("train/purity", "purity", theme.TEAL, "dash"),
        ("train/confidence", "confidence", theme.TAN, "dot"),
        ("train/foreign_kept", "foreign kept", theme.RED, "dashdot"),
    ]
    traces = [
        t
        for name, label, color, dash in lines
        for t in line(points, name, label, color, dash, smooth=smooth, hover=".1%", band=band)
    ]
    return over_steps(traces, points, steps, PERCENT, marks)


def coverage(points: Columns, *, smooth: bool = False) -> Figure:
    """Draw purity over mask rate as a path through time: the dots grow with the steps, the newest one is named."""
    nothing = np.zeros(0)
    steps, mask, purity = (points.get(name, nothing) for name in ("step", "train/mask_rate", "train/purity"))
    if not len(mask) or not len(purity):
        steps = mask = purity = nothing
    if smooth:
        mask, purity = smoothed(mask), smoothed(purity)
    known = np.flatnonzero(~np.isnan(mask) & ~np.isnan(purity))
    steps, mask, purity = steps[known], mask[known], purity[known]
    dots = np.unique(np.linspace(0, len(known) - 1, min(PATH, len(known))).round().astype(int)) if len(known) else known
    share = np.linspace(0.0, 1.0, len(dots))
    hover: dict[str, Any] = {
        "hovertemplate": "step %{customdata:,d}<br>mask rate %{x:.1%}<br>purity %{y:.1%}<extra></extra>",
        "showlegend": False, "type": "scatter",
    }  # fmt: skip
    low, far = (bool(len(part) and part[-1] > edge) for part, edge in ((-purity, -0.15), (mask, 0.5)))
    side = f"{'top' if low else 'bottom'} {'left' if far else 'right'}"  # inside, off the words of the axes
    traces: list[Figure] = [
        {"mode": "lines", "name": "path", "x": typed(mask), "y": typed(purity), "customdata": typed(steps), **hover,
         "line": {"color": theme.BLUE, "width": 1.6}, "opacity": 0.55, "meta": "purity"},
        {"mode": "markers", "name": "earlier", "x": typed(mask[dots]), "y": typed(purity[dots]), "customdata": typed(steps[dots]), **hover,
         "marker": {"color": theme.BLUE, "size": typed(5 + 5 * share), "opacity": typed(0.35 + 0.5 * share)}},
        {"mode": "markers+text", "name": "now", "x": typed(mask[-1:]), "y": typed(purity[-1:]), "customdata": typed(steps[-1:]), **hover,
         "marker": {"color": theme.RED, "size": 16, "symbol": "diamond", "line": {"color": theme.GROUND, "width": 2}},
         "text": [f"step {number(int(step))}" for step in steps[-1:]], "textfont": {"color": theme.TEXT, "size": 14},
         "textposition": side, "cliponaxis": False},
    ]  # fmt: skip
    figure = new(traces if len(known) else [])
    figure["layout"] |= {
        "xaxis": {**PERCENT, "title": {"text": "mask rate: share kept"}, "nticks": 6},
        "yaxis": {**PERCENT, "title": {"text": "purity"}, "nticks": 6}, "hovermode": "closest", "showlegend": False,
        "margin": {"l": 76, "r": 14, "t": 14, "b": 50},
    }  # fmt: skip
    return figure


__all__ = ["WIDTH", "Columns", "Marks", "accuracies", "coverage", "losses", "masks", "part_losses", "smoothed", "typed"]
