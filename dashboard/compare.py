"""Several runs beside each other: their labels and colours, overlaid curves, and the settings in which they differ. Pure.

The first run of a method bears the method's colour and dash, further ones such as no method has (`sslcore.palette`); all
have its symbol. A run keeps its slot while others come and go. Curves are those of `queries.snapshot`; of many runs fewer
points each are drawn (a power-of-two stride, so that nothing wobbles).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard import figures, text, theme
from sslcore import config as cfg
from sslcore import presets
from sslcore.config import ConfigError
from sslcore.events import DIVERGED, FAILED, INTERRUPTED, STOPPED, Run
from sslcore.palette import run_mark, run_slots

MOST = 10  # runs drawn at once: as many as can be told apart
BUDGET = 3200  # points of all runs in one chart
CUT_SHORT = (STOPPED, INTERRUPTED, FAILED, DIVERGED)
AXES = {"step": "Steps", "seconds": "Seconds", "images": "Images"}
AXIS_TITLES = {"step": "step", "seconds": "seconds of training", "images": "images (views passed through the net)"}
METRICS = {  # name in the store -> what a person reads; others are shown by their name
    "eval/test/accuracy": "Test accuracy, EMA", "eval/test/accuracy/raw": "Test accuracy, raw", "eval/val/accuracy": "Validation accuracy, EMA",
    "eval/test/balanced_accuracy": "Balanced test accuracy, EMA", "train/foreign_kept": "Foreign images kept",
    "eval/train/accuracy": "Accuracy on the labelled images", "eval/test/loss": "Test loss, EMA", "eval/val/loss": "Validation loss, EMA",
    "train/loss": "Loss, total", "train/loss_x": "Loss, labelled", "train/loss_u": "Loss, unlabelled", "train/mask_rate": "Mask rate",
    "train/purity": "Purity", "train/confidence": "Confidence", "optim/lr": "Learning rate", "optim/lambda_u": "Weight of the unlabelled loss",
    "perf/images_per_s": "Images a second",
}  # fmt: skip

Points = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Curve:
    """One run in a chart: its label, its method and slot (colour, dash and symbol), and its points."""

    label: str
    method: str
    slot: int
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Difference:
    """One setting: its dotted name, its value in each run as text, whether these differ, and what it means."""

    name: str
    values: tuple[str, ...]
    differs: bool
    help: str = ""


@dataclass(frozen=True)
class Column:
    """What a column of differences is about: a run, or the preset that it began from."""

    title: str
    config: Mapping[str, Any] = field(default_factory=dict)


def slots(before: Mapping[str, int], selected: Sequence[Run]) -> dict[str, int]:
    """Return the slot of each drawn run, given those they had; the first MOST of `selected` are drawn."""
    return run_slots(before, {run.id: run.method for run in selected[:MOST]})


def labels(runs: Sequence[Run]) -> list[str]:
    """Short names, each of them different: the given name, else "FlexMatch 40 s0"; the end of the id where two would be equal."""
    plain = [
        text.shorten(run.name, 32)
        if run.name != run.id
        else f"{text.METHODS.get(run.method, run.method)} {run.labels} s{run.seed}"
        for run in runs
    ]
    return [
        label if plain.count(label) == 1 else f"{label} \u00b7 {run.id[-6:]}"
        for label, run in zip(plain, runs, strict=True)
    ]


def curve(
    points: Points, label: str, method: str, slot: int, metric: str, axis: str, each: float, most: int
) -> Curve | None:
    """Return one metric of a run over an axis in at most about `most` points; None if it has none.

    `each`: images a step, 0 where it isn't known.
    """
    values = points.get(metric)
    if values is None or np.isnan(values).all() or (axis == "images" and not each):
        return None
    x = points["seconds"] if axis == "seconds" else points["step"] * (each if axis == "images" else 1.0)
    known = ~np.isnan(values)
    x, values = x[known], values[known]
    stride = 1
    while len(x) // stride > most:
        stride *= 2
    kept = np.append(np.arange(0, len(x) - 1, stride), len(x) - 1)
    return Curve(label, method, slot, x[kept], values[kept])


def fork_at(points: Points, run: Run, axis: str) -> float | None:
    """Where on the axis a run left the one that it was forked from; None for a run that is no fork. `points`: its training points."""
    made = run.summary.get("fork")
    if not made:
        return None
    if axis == "seconds":
        before = points["seconds"][points["step"] <= made["step"]] if points else np.zeros(0)
        return float(before[-1]) if len(before) else None
    return float(made["step"]) * (float(run.summary.get("images_per_step") or 1.0) if axis == "images" else 1.0)


def overlay(curves: Sequence[Curve], metric: str, axis: str, end: float, forks: Sequence[float] = ()) -> figures.Figure:
    """Draw the same metric of several runs over [0, end] of the axis, with a mark where a fork left its original."""
    share = is_share(metric)
    traces = []
    for one in curves:
        color, dash = run_mark(one.method, one.slot)
        style = {"color": color, "dash": dash, "width": figures.WIDTH}
        trace = figures.trace(one.x, one.y, text.plotly_safe(one.label), style, ".1%" if share else ".4~g")
        if len(one.x) <= 40:  # evaluations: each is seen, and a single one is not nothing
            symbol = theme.METHOD_SYMBOLS.get(one.method, "circle")
            marker = {"size": 6, "color": color, "symbol": symbol}
            trace |= {"mode": "lines+markers", "marker": marker, "cliponaxis": False}
        traces.append(trace)
    figure = figures.new(traces)
    hover = ",.1f" if axis == "seconds" else ",d"
    figure["layout"] |= {
        "hovermode": "x unified",
        "xaxis": {
            "range": [0, end], "title": {"text": AXIS_TITLES[axis]}, "showgrid": False, "tickformat": "~s" if end > 9999 else "~g",
            "hoverformat": hover, "unifiedhovertitle": {"text": f"{AXES[axis].lower()} %{{x:{hover}}}"}, "nticks": 6,
        },
        "yaxis": dict(figures.PERCENT) if share else figures.upward([one.y for one in curves]),
    }  # fmt: skip
    rules, words = figures.mark_lines([(at, "fork") for at in forks], end, share)
    figure["layout"] |= {"shapes": rules, "annotations": words}
    if len(curves) > 3:  # names below each other, beside the plot
        figure["layout"]["legend"] = {"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top"}
        figure["layout"]["margin"] |= {"t": 16}
    return figure


def is_share(metric: str) -> bool:
    """Whether a metric is a fraction, shown in percent."""
    return (
        "accuracy" in metric
        or "top5" in metric
        or metric in ("train/mask_rate", "train/purity", "train/confidence", "train/foreign_kept")
    )


def axis_end(runs: Sequence[Run], axis: str) -> float:
    """Right end of the axis: whole runs, of long young ones and of those that were cut short the part they have reached.

    It moves in few, large strides.
    """
    if not runs:
        return 1.0
    if axis == "seconds":
        return figures.nice(max(run.seconds for run in runs))
    each = {run.id: float(run.summary.get("images_per_step") or 1.0) if axis == "images" else 1.0 for run in runs}
    whole = {run.id: figures.nice(run.step) if run.state in CUT_SHORT else run.steps for run in runs}
    return max(figures.frame(int(whole[run.id]), run.step) * each[run.id] for run in runs)


def metric_name(metric: str) -> str:
    return METRICS.get(metric, metric)


def columns(runs: Sequence[Run], titles: Sequence[str]) -> list[Column]:
    """One column a run; a single run is compared with the preset that it began from."""
    found = [Column(title, completed(run.config)) for run, title in zip(runs, titles, strict=True)]
    if len(runs) == 1 and runs[0].preset in presets.PRESETS:
        run = runs[0]
        with contextlib.suppress(ConfigError):  # a method that this version doesn't know
            found.append(Column(f"preset {run.preset}", cfg.to_dict(presets.build(run.preset, run.method))))
    return found


def completed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored config with today's settings filled in: a run from before a setting existed had its default."""
    try:
        return cfg.to_dict(cfg.from_dict(config))
    except ConfigError:  # of another version: as it is
        return config


def differences(sides: Sequence[Column]) -> list[Difference]:
    """Compare settings side by side, in the order of config.py; what a run doesn't have is a dash."""
    flat = [flatten(side.config) for side in sides]
    about: dict[str, str] = {}
    for method in cfg.METHOD_NAMES:
        about |= {name: spec.metadata["help"] for name, spec, _ in cfg.walk(cfg.with_method(cfg.RunConfig(), method))}
    order = list(about)
    names = sorted(
        dict.fromkeys(name for values in flat for name in values),
        key=lambda name: (cfg.SECTIONS.index(name.split(".")[0]) if name.split(".")[0] in cfg.SECTIONS else 99, order.index(name) if name in order else 99),
    )  # fmt: skip
    missing = object()
    found = []
    for name in names:
        raw = [values.get(name, missing) for values in flat]
        said = tuple("\u2013" if value is missing else written(value) for value in raw)
        differs = any(value != raw[0] for value in raw[1:])
        found.append(Difference(name, said, differs, about.get(name, "")))
    return found


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"section.setting": value} of a run's stored config."""
    return {f"{section}.{name}": value for section, part in config.items() for name, value in part.items()}


def written(value: Any) -> str:
    """A setting as a person reads it."""
    if value is None:
        return "(preset's)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else text.number(value) if isinstance(value, int) else str(value)
