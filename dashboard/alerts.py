"""What is wrong with a run, told as what, since when and what to try. No streamlit.

Every rule compares means over a part of a curve, so that a single noisy point says nothing, and waits until a healthy run
would have shown that it learns. `tests/test_alerts.py` holds them against real runs, sick and healthy, at every moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard import text
from dashboard.queries import Columns, Snapshot
from sslcore.events import Run

CHANGE = 0.05  # of a rate: less than this is noise
COLLAPSE = 0.01  # a mask rate below this teaches next to nothing
SURER = 0.15  # confidence above purity by more than this: it believes its errors
EARLY = 0.2  # of the run: before that a rule that waits for progress says nothing
FEWEST = 16  # points below which a curve says nothing
FLAT = 0.05  # a loss that has fallen by less than this share has not moved
LOUD = 3.0  # a loss that is so many times its lowest level is diverging


@dataclass(frozen=True)
class Alert:
    """`since`: the step at which it began, as far as the curves tell."""

    what: str
    since: int
    advice: str

    def told(self) -> str:
        """Return it as markdown."""
        return f"**{text.escape(self.what)}** Since step {text.number(self.since)}. Try {text.escape(self.advice)}."


def alerts(run: Run, now: Snapshot) -> list[Alert]:
    """Return what is wrong, the worst first; empty for a run that is well or too young to tell."""
    if not len(now.train.get("step", ())):
        return []
    found = [rule(run, now) for rule in (_diverging, _stuck, _collapsed, _biased, _falling)]
    told = [alert for alert in found if alert]
    return (
        told[:1] if told and told[0].what.startswith(("The loss", "Nothing")) else told
    )  # the rest only follows from these


def _diverging(run: Run, now: Snapshot) -> Alert | None:
    step, loss = known(now.train, "train/loss_x")
    if len(loss) < 6:
        return None
    sums = np.convolve(loss, np.ones(3))[: len(loss)]
    level = sums / np.minimum(np.arange(1, len(loss) + 1), 3)  # mean of the latest three
    best = int(level.argmin())
    if level[-1] < LOUD * max(level[best], 1.0):  # a small loss may be many times a tiny one
        return None
    return Alert(
        f"The loss on the labelled images grows ({level[best]:.3g} to {level[-1]:.3g}): training is diverging.",
        int(step[best]), "a smaller learning rate (Change applies it at once), or a smaller weight of the unlabelled loss",
    )  # fmt: skip


def _stuck(run: Run, now: Snapshot) -> Alert | None:
    step, loss = known(now.train, "train/loss_x")
    if len(loss) < FEWEST or step[-1] < max(EARLY * run.steps, 30):
        return None
    quarter = len(loss) // 4
    flat = loss[-quarter:].mean() > (1 - FLAT) * loss[:quarter].mean()
    even = 1.0 / max(len(run.summary.get("class_names", ())), 2)
    chance = min(2 * even, (1 + even) / 2)  # of two classes twice the even share would be all of them
    _, labelled = known(now.evals, "eval/train/accuracy")
    learnt = len(labelled) and labelled[-1] > chance
    if (not flat and not (len(labelled) >= 3 and labelled.max() <= chance)) or learnt:
        return None
    at = (
        f"; it gets even the labelled images only {text.percent(float(labelled[-1]), 0)} right" if len(labelled) else ""
    )
    advice = "another learning rate, ten times larger or smaller, or a smaller weight of the unlabelled loss"
    return Alert(f"Nothing is learnt: the loss hardly falls{at}.", int(step[0]), advice)


def _collapsed(run: Run, now: Snapshot) -> Alert | None:
    step, mask = known(now.train, "train/mask_rate")
    if len(mask) < FEWEST or run.step < EARLY * run.steps or mask[-FEWEST:].mean() >= COLLAPSE:
        return None
    open_ = np.flatnonzero(mask >= COLLAPSE)
    since = int(step[open_[-1] + 1]) if len(open_) and open_[-1] + 1 < len(step) else int(step[0])
    return Alert(
        f"The mask has collapsed: hardly any guess is confident enough (mask rate {text.percent(float(mask[-FEWEST:].mean()))}), "
        "so the unlabelled images teach nothing.",
        since, "a lower threshold, more labels or more steps",
    )  # fmt: skip


def _biased(run: Run, now: Snapshot) -> Alert | None:
    step, purity = known(now.train, "train/purity")
    if len(purity) < FEWEST or run.step < EARLY * run.steps:
        return None
    quarter = len(purity) // 4
    early, late = float(purity[quarter : 2 * quarter].mean()), float(purity[-quarter:].mean())
    best = int(np.convolve(purity, np.ones(5) / 5, "same").argmax())
    advice = "a higher threshold, a smaller weight of the unlabelled loss, more labels or another seed"
    mask = change(now.train, "train/mask_rate")
    if mask and mask[1] - mask[0] >= CHANGE and early - late >= CHANGE:
        words = f"Purity falls ({text.percent(early, 0)} to {text.percent(late, 0)}) while more guesses are kept: "
        return Alert(words + "confirmation bias, the model believes its own errors.", int(step[best]), advice)
    kept = 1.0 if mask is None else mask[1]
    sure = change(now.train, "train/confidence")
    if sure is None or kept < 0.3 or sure[1] - late < SURER:
        return None
    gap = known(now.train, "train/confidence")[1][-len(purity) :] - purity
    calm = np.flatnonzero(gap < SURER)
    since = (
        int(step[min(calm[-1] + 1, len(step) - 1)])
        if len(calm) and calm[-1] < len(gap) - quarter
        else int(step[quarter])
    )
    words = f"Confidence ({text.percent(sure[1], 0)}) is far above purity ({text.percent(late, 0)} of the kept guesses are right): "
    return Alert(words + "confirmation bias, the model learns its own errors.", since, advice)


def _falling(run: Run, now: Snapshot) -> Alert | None:
    step, values = known(now.evals, "eval/val/accuracy")
    if len(values) < 6 or values.max() - values[-3:].mean() < CHANGE:
        return None
    return Alert(
        f"Validation accuracy has fallen from {text.percent(float(values.max()), 0)} to "
        f"{text.percent(float(values[-3:].mean()), 0)}; the best weights are kept.",
        int(step[int(values.argmax())]), "a shorter run, a smaller learning rate or more labels",
    )  # fmt: skip


def known(points: Columns, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (steps, values) of a metric where it has a finite value; empty if it is not there."""
    values = points.get(name, np.zeros(0))
    there = np.isfinite(values)
    return points.get("step", np.zeros(0))[: len(values)][there], values[there]


def change(points: Columns, name: str, fewest: int = FEWEST) -> tuple[float, float] | None:
    """Means over the second and the last quarter of a curve (the first quarter is the start-up); None if it is short."""
    _, values = known(points, name)
    if len(values) < fewest:
        return None
    quarter = len(values) // 4
    return float(values[quarter : 2 * quarter].mean()), float(values[-quarter:].mean())
