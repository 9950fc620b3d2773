"""The curves of the original behind those of a fork, from the step of the fork on: faint, finely dashed. Pure; no streamlit."""

from __future__ import annotations

import numpy as np

from dashboard import charts
from dashboard.figures import Columns, Figure

KINDS = ("loss", "accuracy", "mask")  # charts that show both branches
ORIGINAL = {"dash": "5px,4px", "width": 2.0}


def rows_from(points: Columns, step: int) -> dict[str, np.ndarray]:
    """Return the rows of a run's columns from `step` on."""
    return {name: values[points["step"] >= step] for name, values in points.items()}


def behind(figure: Figure, original: Figure) -> Figure:
    """Return the figure with the lines of `original`, drawn by the same function, behind its own; what it lacks is left out."""
    own = {trace["name"] for trace in figure["data"]}
    ghosts = [
        {
            **trace, "mode": "lines", "name": f"{trace['name']}, original", "line": {**trace["line"], **ORIGINAL}, "opacity": 0.55,
            "showlegend": False, "meta": f"{trace['name']}, original",
        }
        for trace in original["data"]
        if trace["name"] in own and trace.get("showlegend") is not False
    ]  # fmt: skip
    return {**figure, "data": [*ghosts, *figure["data"]]}


def both(
    figure: Figure,
    kind: str,
    train: Columns,
    evals: Columns,
    step: int,
    steps: int,
    *,
    log: bool = False,
    smooth: bool = False,
) -> Figure:
    """Return a fork's chart of `kind`, one of KINDS, with the original's `train` and `evals` columns behind it from `step` on."""
    if kind == "accuracy":
        return behind(figure, charts.accuracies(rows_from(evals, step), steps))
    if kind == "loss":
        return behind(figure, charts.losses(rows_from(train, step), steps, log=log, smooth=smooth))
    return behind(figure, charts.masks(rows_from(train, step), steps, smooth=smooth))
