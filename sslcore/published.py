"""Numbers on CIFAR-10 to be laid beside a sweep: the tutorial's table, the papers', and our own recorded runs. Each with its source and budget.

All with WRN-28-2. Nothing here is compared without saying where budgets differ. What is recorded is read from the recordings.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from sslcore import recordings
from sslcore.config import RunConfig

PAPER_STEPS = 2**20
DATA = "cifar10"


@dataclass(frozen=True)
class Place:
    """Test accuracy at one count, a fraction, with its spread over the runs where one was published."""

    labels: int
    accuracy: float
    sd: float | None = None


@dataclass(frozen=True)
class Series:
    """One method of one source. `steps`: optimizer steps; `told`: how many runs, and which checkpoint was reported."""

    group: str  # a key of GROUPS
    method: str
    source: str
    steps: int
    told: str
    places: tuple[Place, ...]


GROUPS = {
    "tutorial": "The tutorial's table",
    "papers": "The papers' numbers",
    "recorded": "Recorded with this program",
}
TUTORIAL_STEPS = 20 * 1024
_COUNTS = (500, 2000, 10_000, 15_000, 20_000)
_TABLE = {  # percent
    "supervised": (36.145, 44.343, 69.173, 75.991, 82.255),
    "mixmatch": (54.108, 80.570, 88.730, 88.740, 89.220),
    "fixmatch": (57.205, 83.887, 89.570, 90.550, 90.556),
    "flexmatch": (59.753, 84.027, 89.580, 90.695, 90.934),
}


def _errors(*rows: tuple[int, float, float]) -> tuple[Place, ...]:
    """Places from (labels, test error in percent, its deviation), as papers print them."""
    return tuple(Place(labels, round(1 - error / 100, 6), round(sd / 100, 6)) for labels, error, sd in rows)


SERIES: tuple[Series, ...] = (
    *(
        Series(
            "tutorial", method, "the tutorial's results table", TUTORIAL_STEPS, "one run each, no spread given; its labelled baseline is under-trained",
            tuple(Place(n, round(value / 100, 6)) for n, value in zip(_COUNTS, values, strict=True)),
        )
        for method, values in _TABLE.items()
    ),
    Series(
        "papers", "supervised", "USB, classic_cv results (arXiv:2208.07204)", PAPER_STEPS, "3 seeds, weak augmentation, best checkpoint on the test set",
        _errors((40, 77.58, 1.82), (250, 55.96, 1.95), (4000, 15.51, 0.18)),
    ),
    Series(
        "papers", "mixmatch", "MixMatch paper (arXiv:1905.02249)", PAPER_STEPS, "5 splits, median of the last 20 checkpoints",
        _errors((250, 11.08, 0.87), (500, 9.65, 0.94), (1000, 7.75, 0.32), (2000, 7.03, 0.15), (4000, 6.24, 0.06)),
    ),
    Series(
        "papers", "fixmatch", "FixMatch paper, RandAugment (arXiv:2001.07685)", PAPER_STEPS, "5 splits, median of the last 20 checkpoints",
        _errors((40, 13.81, 3.37), (250, 5.07, 0.65), (4000, 4.26, 0.05)),
    ),
    Series(
        "papers", "flexmatch", "FlexMatch paper (arXiv:2110.08263)", PAPER_STEPS, "3 seeds, best checkpoint on the test set",
        _errors((40, 4.97, 0.06), (250, 4.98, 0.09), (4000, 4.19, 0.01)),
    ),
)  # fmt: skip


def series(groups: Sequence[str], methods: Sequence[str]) -> list[Series]:
    """Return what is known of these methods from these groups."""
    known = [*SERIES, *(_recorded() if "recorded" in groups else ())]
    return [one for one in known if one.group in groups and one.method in methods]


@functools.cache
def _recorded() -> tuple[Series, ...]:
    made = []
    for one in recordings.found():
        run, summary = one.run, one.run["summary"]
        early = "" if one.finished else f", stopped at step {run['step']:,}: the last evaluation before it"
        told = f"one run, seed {run['seed']}, in {summary['precision']}{early}; averaged weights"
        source = f"recorded on an {summary['device_name']} on {summary['title']}, which is not CIFAR-10 itself"
        place = Place(run["labels"], summary["test_accuracy"])
        made.append(Series("recorded", run["method"], source, run["steps"], told, (place,)))
    return tuple(made)


def caveats(shown: Sequence[Series], config: RunConfig) -> list[str]:
    """Return in sentences why comparing the numbers shown with runs of this config is not fair; empty where nothing is shown."""
    found = []
    if shown and config.data.source != DATA:
        found.append("These numbers are on CIFAR-10 and the sweep's on other images: the heights can't be compared.")
    if shown and config.model.net != "wrn":
        found.append("They come from a WRN-28-2, the sweep's from a much smaller network.")
    elif shown and (config.model.depth, config.model.widen_factor) != (28, 2):
        found.append(
            f"They come from a WRN-28-2, the sweep's from a WRN-{config.model.depth}-{config.model.widen_factor}."
        )
    for group in GROUPS:
        budgets = {one.steps for one in shown if one.group == group}
        for steps in sorted(budgets - {config.train.steps}):
            share = config.train.steps / steps
            found.append(
                f"{GROUPS[group]}: {steps:,} optimizer steps per run; this sweep takes {config.train.steps:,} ({_times(share)})."
            )
    return found


def _times(share: float) -> str:
    return f"{share:.1f} times as many" if share > 1.05 else f"{100 * share:.2g} % of that"


def budget(config: RunConfig) -> str:
    """Return the share of the papers' steps, for the data sets on which they worked; empty for others."""
    if config.data.source != DATA:
        return ""
    return f"{100 * config.train.steps / PAPER_STEPS:.2g} % of the papers' 2^20 steps"
