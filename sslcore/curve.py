"""What a sweep says: accuracy against number of labels, and what can be read off it. numpy-free arithmetic, no torch.

Between two measured counts accuracy is taken to be linear in the logarithm of the count; outside them nothing is claimed:
a reading is then "more than" or "at most" the last or first count. Its uncertainty is the reading of the same curve moved up
and down by one standard error of its means (sd / sqrt(n) over the seeds).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sslcore import events as ev
from sslcore.sweep import Cell


@dataclass(frozen=True)
class Point:
    """One method at one count: accuracies as fractions, one for each finished seed."""

    method: str
    labels: int
    values: tuple[float, ...]
    seconds: float  # of training, mean over the runs
    images: float = 0.0  # views that passed the net, mean over the runs

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Sample deviation over the seeds; None with one."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def error(self) -> float:
        """Standard error of the mean; 0 with one seed, which has none."""
        return (self.sd or 0.0) / math.sqrt(self.n)


@dataclass(frozen=True)
class Reading:
    """A number of labels read off a curve. kind: "at", "at most" (the first count is enough) or "more than" (the last is not)."""

    kind: str
    labels: float

    def __str__(self) -> str:
        if self.kind == "at":
            return f"{_rounded(self.labels):,}"
        return f"{self.kind} {self.labels:,.0f}"  # a measured count: rounded, more would be claimed than was seen


def summary(point: Point) -> dict[str, Any]:
    """Return a point for JSON."""
    return {
        "method": point.method, "labels": point.labels, "n": point.n, "mean": point.mean, "sd": point.sd, "low": min(point.values),
        "high": max(point.values), "seconds": point.seconds, "images": point.images,
    }  # fmt: skip


def points(cells: Sequence[Cell], found: Mapping[str, ev.Run]) -> list[Point]:
    """Return a point for each method and count with a finished run, by method in the sweep's order, then by count."""
    grouped: dict[tuple[str, int], list[ev.Run]] = {}
    for cell in cells:
        run = found.get(cell.key)
        if run is not None and run.state == ev.FINISHED and run.summary.get("test_accuracy") is not None:
            grouped.setdefault((cell.method, cell.labels), []).append(run)
    methods = list(dict.fromkeys(cell.method for cell in cells))
    order = sorted(grouped, key=lambda place: (methods.index(place[0]), place[1]))
    return [
        Point(
            method, labels, tuple(run.summary["test_accuracy"] for run in grouped[method, labels]),
            statistics.fmean(run.seconds for run in grouped[method, labels]),
            statistics.fmean(run.step * run.summary.get("images_per_step", 0) for run in grouped[method, labels]),
        )
        for method, labels in order
    ]  # fmt: skip


def best(found: Mapping[str, ev.Run]) -> tuple[ev.Run, str] | None:
    """Return the finished run to go on with and the name of the accuracy that chose it; None while none has finished.

    The highest on validation where every finished run has a validation part, else the highest on test: that number then
    flatters the run it chose, and whoever shows it says so.
    """
    ended = [run for run in found.values() if run.state == ev.FINISHED and run.summary.get("test_accuracy") is not None]
    judged = ended and all(run.summary.get("best_val_accuracy") is not None for run in ended)
    name = "best_val_accuracy" if judged else "test_accuracy"
    return (max(ended, key=lambda run: run.summary[name]), name) if ended else None


def labels_for(curve: Sequence[Point], accuracy: float, shift: float = 0.0) -> Reading | None:
    """Return the smallest count at which `curve` (one method, by count) reaches `accuracy`; None for an empty curve.

    `shift`: standard errors by which the whole curve is moved up.
    """
    heights = [(point.labels, point.mean + shift * point.error) for point in curve]
    if not heights:
        return None
    if heights[0][1] >= accuracy:
        return Reading("at most", heights[0][0])
    for (left, low), (right, high) in itertools.pairwise(heights):
        if high >= accuracy:
            share = (accuracy - low) / (high - low)
            return Reading("at", math.exp(math.log(left) + share * (math.log(right) - math.log(left))))
    return Reading("more than", heights[-1][0])


def needed(curve: Sequence[Point], accuracy: float) -> tuple[Reading, Reading, Reading] | None:
    """Return the reading and its ends one standard error up and down: (best, fewest, most)."""
    readings = [labels_for(curve, accuracy, shift) for shift in (0.0, 1.0, -1.0)]
    best, fewest, most = readings
    return (best, fewest, most) if best and fewest and most else None


def equal(curve: Sequence[Point], point: Point) -> tuple[Reading, Reading, Reading] | None:
    """Return how many labels `curve`, of another method, needs for the accuracy of `point`: (best, fewest, most).

    The ends take both doubts together: `point` one standard error lower against a curve one higher, and the reverse.
    None of an empty curve.
    """
    readings = [labels_for(curve, point.mean - shift * point.error, shift) for shift in (0.0, 1.0, -1.0)]
    best, fewest, most = readings
    return (best, fewest, most) if best and fewest and most else None


def between(fewest: Reading, most: Reading) -> str:
    """Write the ends of a reading: "250 to 370"; an end outside the measured counts says so."""
    return str(fewest) if str(fewest) == str(most) else f"{fewest} to {most}"


def of_method(found: Sequence[Point], method: str) -> list[Point]:
    return [point for point in found if point.method == method]


def _rounded(value: float) -> int:
    """Two digits of an interpolated count are all it is worth: 313.7 -> 310."""
    if value < 10:
        return round(value)
    scale = 10 ** (math.floor(math.log10(value)) - 1)
    return round(value / scale) * scale


def table(found: Sequence[Point]) -> str:
    """Return means in percent with spread and n, one line per count, one column per method."""
    methods = list(dict.fromkeys(point.method for point in found))
    counts = sorted({point.labels for point in found})
    by_place = {(point.method, point.labels): point for point in found}
    rows = [["labels", *methods]]
    for labels in counts:
        cells = [by_place.get((method, labels)) for method in methods]
        rows.append([f"{labels:,}", *[_cell(point) for point in cells]])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def mean_cost(curve: Sequence[Point], name: str) -> float | None:
    """Return the mean "images" or "seconds" over all runs of a curve; None for an empty one."""
    runs = sum(point.n for point in curve)
    return sum(getattr(point, name) * point.n for point in curve) / runs if runs else None


def costs(found: Sequence[Point]) -> str:
    """Return what the equal steps cost each method: images through the net and seconds of training, means over all runs."""
    parts = []
    for method in dict.fromkeys(point.method for point in found):
        images, seconds = (mean_cost(of_method(found, method), name) or 0.0 for name in ("images", "seconds"))
        parts.append(f"{method} {images:,.0f} images, {seconds:,.1f} s")
    return "a run: " + "; ".join(parts)


def _cell(point: Point | None) -> str:
    if point is None:
        return "-"
    spread = "" if point.sd is None else f" +- {100 * point.sd:.1f}"
    return f"{100 * point.mean:.1f}{spread} (n {point.n})"
