"""The grid of a sweep, method by label count: a Components-v2 component that keeps focus while its marks change.

A mark is a button, one a seed: it opens the run. What stands in a cell is made here, without streamlit but for the component.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import text, theme
from dashboard import text_curves as words
from dashboard.served import LOADER, served
from sslcore import events as ev
from sslcore.curve import Point
from sslcore.sweep import MISSING, Cell, Plan

_component = st.components.v2.component(
    "ssl_sweep_grid", html=f'<div class="ssl-grid" {served("sweep_grid")}></div>\n', js=LOADER, isolate_styles=False
)


def rows(plan: Plan, grid: Sequence[Cell], found: Mapping[str, ev.Run], points: Sequence[Point]) -> list[list[Any]]:
    """Return [method, colour, [[words, [[run, state, share, label], ...]], ...]]: cells by count, marks by seed."""
    cells = {(cell.method, cell.labels, cell.seed): cell for cell in grid}
    means = {(point.method, point.labels): point for point in points}
    made = []
    for method in plan.methods:
        line = []
        for labels in plan.labels:
            point = means.get((method, labels))
            seeds = [_mark(cells[method, labels, seed], found) for seed in plan.seeds]
            line.append([told(point, len(plan.seeds)), seeds])
        made.append([words.method(method), theme.METHOD_COLORS[method], line])
    return made


def told(point: Point | None, seeds: int) -> str:
    """Write a cell's result: mean, spread, and n while not every seed has ended."""
    if point is None:
        return "\u2013"
    spread = "" if point.sd is None else f" \u00b1 {100 * point.sd:.1f}"
    return f"{100 * point.mean:.1f}{spread} %" + (f" (n {point.n})" if point.n != seeds else "")


def _mark(cell: Cell, found: Mapping[str, ev.Run]) -> list[Any]:
    run = found.get(cell.key)
    state = run.state if run else MISSING
    share = run.step / max(run.steps, 1) if run and run.state not in (ev.FINISHED, ev.QUEUED) and run.step else None
    accuracy = text.percent(run.summary.get("test_accuracy")) if run else None
    label = f"{words.method(cell.method)}, {text.plural(cell.labels, 'label')}, seed {cell.seed}: {words.STATES.get(state, state)}"
    label += f", {accuracy}" if accuracy and run and run.state == ev.FINISHED else ""
    label += f", step {run.step:,} of {run.steps:,}" if run and share is not None else ""
    return [run.id if run else "", state, None if share is None else round(share, 3), label]


def curve_grid(lines: list[list[Any]], counts: Sequence[int], *, key: str, on_open: Callable[[], None]) -> None:
    """Draw the grid; call it again with the same `key` to change it. A click leaves `st.session_state[key].open`, the run's id."""
    data = {
        "corner": "labels", "counts": [f"{count:,}" for count in counts], "rows": lines, "alt": words.GRID_ALT,
        "colors": {state: color for state, (color, _) in theme.STATES.items()},
    }  # fmt: skip
    _component(data=json.dumps(data, separators=(",", ":")).encode(), key=key, on_open_change=on_open)
