"""One sentence about what is to be seen just now: what looks alarming and is right, and what is wrong and what to try. No streamlit.

The rules compare means of the early and the late part of a curve, so that a single noisy point says nothing.
"""

from __future__ import annotations

import numpy as np

from dashboard import text
from dashboard.queries import Columns, Snapshot
from sslcore.events import Run

PAPERS = 2**20  # optimizer steps of the papers' runs
PHOTOS = ("cifar10", "cifar100", "svhn", "stl10")
CHANGE = 0.05  # of a rate: less than this is noise
COLLAPSE = 0.01  # a mask rate below this teaches next to nothing

WATCH = {
    "supervised": "Watch the gap: the labelled images are learnt by heart within moments, the test images are not.",
    "mixmatch": "Watch purity and confidence: MixMatch keeps every guess, so all rests on the guesses getting better.",
    "fixmatch": "Watch the mask open: the surer the model becomes, the more images it learns from.",
    "flexmatch": "Watch the class thresholds: the low ones belong to the classes that FlexMatch helps along.",
}


def note(run: Run, now: Snapshot) -> tuple[str, str]:
    """Return ("info", "warning" or "success", markdown) about a run that trains or has finished."""
    if run.state == "finished":
        return "success", result(run)
    points = now.train
    if not len(points.get("step", ())):
        return "info", "The first point appears with the first steps; the images are being loaded."
    for rule in (_collapsed, _biased, _overfitted):
        if alert := rule(run, now):
            return "warning", alert
    if run.method == "flexmatch" and points["train/mask_rate"][-1] > 0.99 and run.step < run.steps / 4:
        return (
            "info",
            "Every guess is kept, by design: FlexMatch's thresholds begin at 0 and rise class by class as images become confident.",
        )
    if (
        (mask := _change(points, "train/mask_rate"))
        and (loss := _change(points, "train/loss_u"))
        and mask[1] - mask[0] > CHANGE
        and loss[1] > loss[0]
    ):
        return "info", (
            f"The unlabelled loss rises because the mask opens ({text.percent(mask[0], 0)} to {text.percent(mask[1], 0)} kept): "
            "more images count, among them harder ones. That is as it should be."
        )
    return "info", WATCH.get(run.method, "")


def result(run: Run) -> str:
    """The final number with all that it rests on: data, labels, steps, and that it is one seed."""
    averaged, raw = text.percent(run.summary.get("test_accuracy")), text.percent(run.summary.get("test_accuracy_raw"))
    images, title = run.summary.get("num_test"), text.escape(str(run.summary.get("title", text.data_name(run.data))))
    share = f", {100 * run.steps / PAPERS:.2g} % of the papers' 2^20" if run.data in PHOTOS else ""
    changed = " Settings were changed during the run." if run.changed else ""
    return (
        f"**{averaged or 'An unknown share'}** of {f'{images:,} ' if images else ''}test images right (averaged weights; raw {raw or 'unknown'}). "
        f"{title}: {text.plural(run.labels, 'label')}, {text.number(run.steps)} steps{share}, seed {run.seed}. "
        f"One seed: another may differ by a few points.{changed}"
    )


def _collapsed(run: Run, now: Snapshot) -> str:
    mask = now.train.get("train/mask_rate")
    if mask is None or run.step < run.steps / 5 or len(mask) < 20 or np.nanmean(mask[-20:]) >= COLLAPSE:
        return ""
    return (
        f"Hardly any guess is confident enough (mask rate {text.percent(float(np.nanmean(mask[-20:])))}), so the unlabelled images teach nothing. "
        "Try a lower threshold, more labels or more steps."
    )


def _biased(run: Run, now: Snapshot) -> str:
    mask, purity = _change(now.train, "train/mask_rate"), _change(now.train, "train/purity")
    if mask is None or purity is None or mask[1] - mask[0] < CHANGE or purity[0] - purity[1] < CHANGE:
        return ""
    return (
        f"Purity falls ({text.percent(purity[0], 0)} to {text.percent(purity[1], 0)}) while more guesses are kept: confirmation bias, "
        "the model believes its own errors. Try a higher threshold, more labels or another seed."
    )


def _overfitted(run: Run, now: Snapshot) -> str:
    values = now.evals.get("eval/val/accuracy")
    if values is None or len(values) < 6 or np.nanmax(values) - np.nanmean(values[-3:]) < CHANGE:
        return ""
    best = int(now.evals["step"][int(np.nanargmax(values))])
    return f"Validation accuracy has fallen since step {best:,}: the best weights are kept. A shorter run or more labels would help."


def _change(points: Columns, name: str, fewest: int = 16) -> tuple[float, float] | None:
    """Means over the second and the last quarter of a curve (the first quarter is the start-up); None if it is short."""
    values = points.get(name)
    if values is None:
        return None
    known = values[~np.isnan(values)]
    if len(known) < fewest:
        return None
    quarter = len(known) // 4
    return float(known[quarter : 2 * quarter].mean()), float(known[-quarter:].mean())
