"""Recall of each class at the end of a sweep's runs, and two methods compared seed by seed. numpy and keyframes; no torch.

The same seed gives both methods the same labelled images, so the difference within a seed is free of the luck of that
draw: that is what is averaged, not the two means.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sslcore import events as ev
from sslcore import keyframes
from sslcore.sweep import Cell
from sslcore.tables import safe_cell

COLUMNS = ("method", "labels", "seed", "run_id", "class", "test_images", "right", "recall")


@dataclass(frozen=True)
class Difference:
    """One class: recall of the one method minus that of the other, a value a seed, as fractions."""

    name: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Sample deviation over the seeds; None with one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def signed(difference: float) -> str:
    """Write a difference of two shares in points: "+1.2", "-0.4", and "0.0" without a sign where it rounds to nothing."""
    written = f"{100 * difference:+.1f}"
    return written if float(written) else "0.0"


def confusion(root: Path, run: ev.Run) -> np.ndarray | None:
    """Return the confusion matrix (C, C) of a finished run's last evaluation, rows the truth; None if it isn't there."""
    return _confusion(root / run.id, run.step)


@lru_cache(maxsize=4096)  # of a finished run it never changes
def _confusion(folder: Path, step: int) -> np.ndarray | None:
    try:
        return keyframes.load(folder, step, ["confusion"]).get("confusion")
    except (FileNotFoundError, ValueError):  # deleted or damaged
        return None


def recall(matrix: np.ndarray) -> np.ndarray:
    """Return the share of each class's test images that is right (C,); NaN for a class without any."""
    totals = matrix.sum(axis=1)
    return np.where(totals > 0, np.diagonal(matrix) / np.maximum(totals, 1), np.nan)


def names(run: ev.Run, count: int) -> list[str]:
    """Return the names of the classes, numbers where the run doesn't say."""
    known = [str(name) for name in run.summary.get("class_names", [])]
    return [known[c] if c < len(known) else str(c) for c in range(count)]


def paired(
    root: Path, cells: Sequence[Cell], found: Mapping[str, ev.Run], first: str, second: str, labels: int
) -> list[Difference]:
    """Return the difference `first` - `second` of each class at one count, over the seeds for which both have finished."""
    seeds: dict[int, dict[str, ev.Run]] = {}
    for cell in cells:
        run = found.get(cell.key)
        if cell.labels == labels and cell.method in (first, second) and run is not None and run.state == ev.FINISHED:
            seeds.setdefault(cell.seed, {})[cell.method] = run
    rows, called = [], []
    for _, runs in sorted(seeds.items()):
        if len(runs) < 2:
            continue
        a, b = (confusion(root, runs[method]) for method in (first, second))
        if a is not None and b is not None and a.shape == b.shape:
            rows.append(recall(a) - recall(b))
            called = names(runs[first], len(a))
    if not rows:
        return []
    columns = np.stack([row for row in rows if len(row) == len(rows[-1])]).T  # (C, seeds)
    told = zip(called, columns.tolist(), strict=True)
    return [Difference(name, tuple(values)) for name, values in told if all(value == value for value in values)]


def to_csv(root: Path, cells: Sequence[Cell], found: Mapping[str, ev.Run]) -> str:
    """Return one row a class of every finished run, in the order of the grid; rows of one seed can be paired."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in cells:
        run = found.get(cell.key)
        matrix = confusion(root, run) if run is not None and run.state == ev.FINISHED else None
        if run is None or matrix is None:
            continue
        told = zip(names(run, len(matrix)), matrix.sum(axis=1).tolist(), np.diagonal(matrix).tolist(), strict=True)
        for name, total, right in told:
            share = round(right / total, 6) if total else ""
            writer.writerow((cell.method, cell.labels, cell.seed, run.id, safe_cell(name), total, right, share))
    return out.getvalue()
