"""One sentence about what is to be seen just now: what looks alarming and is right, or else what to look for. No streamlit.

What is wrong stands in `alerts.py`, and comes first.
"""

from __future__ import annotations

from dashboard import text
from dashboard.alerts import CHANGE, alerts, change
from dashboard.queries import Snapshot
from sslcore.events import Run

PAPERS = 2**20  # optimizer steps of the papers' runs
PHOTOS = ("cifar10", "cifar100", "svhn", "stl10")

WATCH = {
    "supervised": "Watch the gap: the labelled images are learnt by heart within moments, the test images are not.",
    "mixmatch": "Watch purity and confidence: MixMatch keeps every guess, so everything depends on the guesses getting better.",
    "fixmatch": "Watch the mask open: the surer the model becomes, the more images it learns from.",
    "flexmatch": "Watch the class thresholds: the low ones belong to the classes that FlexMatch helps along.",
}


def purpose(run: Run) -> str:
    """What of a run is broken on purpose, so that nobody takes its numbers for a method's; empty for a sound one."""
    method, data = run.config.get("method", {}), run.config.get("data", {})
    wrong = data.get("wrong", 0) or round(data.get("wrong_share", 0.0) * run.labels)
    fault, foreign = method.get("fault", "none"), data.get("foreign_classes", 0)
    found = [f"{text.plural(wrong, 'labelled image')} given a wrong class"] if wrong else []
    for name, which in (("labeled_gamma", "labelled"), ("unlabeled_gamma", "unlabelled")):
        if (gamma := data.get(name, 1.0)) != 1:
            large, small = ("first", "last") if gamma > 1 else ("last", "first")
            found.append(f"the {large} class has {max(gamma, 1 / gamma):g} times as many {which} images as the {small}")
    found += [f"{foreign} foreign class{'es' if foreign > 1 else ''} in the unlabelled pool"] if foreign else []
    found += [text.FAULTS.get(fault, text.escape(str(fault)))] if fault != "none" else []
    return f"Broken on purpose: {'; '.join(found)}." if found else ""


def _risen(run: Run, now: Snapshot) -> bool:
    """Whether FlexMatch's thresholds are on average above half of tau: then every guess is kept because all are sure."""
    values = now.threshold[1]
    return bool(len(values) and values[-1].mean() > run.config["method"]["threshold"] / 2)


def note(run: Run, now: Snapshot) -> tuple[str, str]:
    """Return ("info", "warning" or "success", markdown) about a run that trains or has finished."""
    if run.state == "finished":
        return "success", result(run)
    points = now.train
    if not len(points.get("step", ())):
        return "info", "The first point appears with the first steps; the images are being loaded."
    if found := alerts(run, now):
        return "warning", "  \n".join(alert.told() for alert in found)
    at_first = run.step < run.steps / 4 and not run.changed  # a lowered tau keeps every guess, too
    if run.method == "flexmatch" and points["train/mask_rate"][-1] > 0.99 and at_first and not _risen(run, now):
        return (
            "info",
            "Every guess is kept, by design: FlexMatch's thresholds begin at 0 and rise class by class as images become confident.",
        )
    if (
        (mask := change(points, "train/mask_rate"))
        and (loss := change(points, "train/loss_u"))
        and mask[1] - mask[0] > CHANGE
        and loss[1] > loss[0]
    ):
        return "info", (
            f"The unlabelled loss rises because the mask opens ({text.percent(mask[0], 0)} to {text.percent(mask[1], 0)} kept): "
            "more images count, including harder ones. That is as it should be."
        )
    return "info", WATCH.get(run.method, "")


def result(run: Run) -> str:
    """The final number with all that it rests on: data, labels, steps, and that it is one seed."""
    averaged, raw = text.percent(run.summary.get("test_accuracy")), text.percent(run.summary.get("test_accuracy_raw"))
    images, title = run.summary.get("num_test"), text.escape(str(run.summary.get("title", text.data_name(run.data))))
    share = f", {100 * run.steps / PAPERS:.2g} % of the papers' 2^20" if run.data in PHOTOS else ""
    changed = " Settings were changed during the run." if run.changed else ""
    return (
        f"**{averaged or 'An unknown share'}** of {f'{text.number(images)} ' if images else ''}test images right (averaged weights; raw {raw or 'unknown'}). "
        f"{title}: {text.plural(run.labels, 'label')}, {text.number(run.steps)} steps{share}, seed {run.seed}. "
        f"One seed: another may differ by a few points.{changed}"
    )
