"""Alerts on real runs: sick ones are told what, since when and what to try; healthy ones are left in peace at every moment.

The curves were recorded by `python -m tests.record_curves`, which says what settings made each run sick.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.alerts import Alert, alerts
from dashboard.queries import Snapshot
from sslcore import events as ev
from sslcore import presets
from sslcore.session import Stay
from sslcore.store import Store
from tests.record_curves import CASES, FILE, record

with np.load(FILE) as recorded:
    CURVES = {name: recorded[name] for name in recorded.files}
HEALTHY = [case for case in CASES if case.startswith("healthy")]
SICK = {  # case -> what the first alert says
    "collapse": "The mask has collapsed",
    "bias": "confirmation bias",
    "bias/rising": "confirmation bias",
    "bias/mixmatch": "Nothing is learnt",  # pushed so hard by its own guesses that it never starts
    "unstable": "training is diverging",
    "stuck": "Nothing is learnt",
    "stuck/supervised": "Nothing is learnt",
    "stuck/mixmatch": "Nothing is learnt",
}


def moment(curves: dict[str, np.ndarray], method: str, steps: int, step: int) -> list[Alert]:
    """The alerts of a run when it stood at `step`."""
    train = {
        name: values
        for name, values in curves.items()
        if "/" not in name.removeprefix("train/") and name not in ("state", "classes")
    }
    evals = {name.removeprefix("evals/"): values for name, values in curves.items() if name.startswith("evals/")}
    there = [
        {name: values[part["step"] <= step] for name, values in part.items()} if part else {} for part in (train, evals)
    ]
    values: dict[str, Any] = dict.fromkeys(ev.Run.__dataclass_fields__, None)
    values |= {"id": "r", "method": method, "steps": steps, "step": step, "state": ev.RUNNING, "config": {}}
    run = ev.Run(**values | {"summary": {"class_names": ["?"] * int(curves["classes"])}})
    return alerts(run, Snapshot("r", (), train=there[0], evals=there[1]))


def of(case: str) -> tuple[dict[str, np.ndarray], str, int]:
    method, settings = CASES[case]
    curves = {name.partition(":")[2]: values for name, values in CURVES.items() if name.startswith(f"{case}:")}
    return curves, method, int(settings.get("train.steps", 750))


@pytest.mark.parametrize("case", HEALTHY)
def test_a_healthy_run_is_left_in_peace_at_every_moment(case: str) -> None:
    curves, method, steps = of(case)
    assert int(curves["step"][-1]) == steps and len(curves["step"]) > 50
    for step in curves["step"][2::3].tolist():
        assert moment(curves, method, steps, int(step)) == [], step


@pytest.mark.parametrize("case", SICK)
def test_a_sick_run_is_told_what_it_has_since_when_and_what_to_try(case: str) -> None:
    curves, method, steps = of(case)
    last = int(curves["step"][-1])
    found = moment(curves, method, steps, last)
    assert found and SICK[case] in " ".join(alert.what for alert in found), found
    for alert in found:
        assert 0 <= alert.since < last and alert.advice and f"Since step {alert.since:,}." in alert.told()


@pytest.mark.parametrize("case", ["collapse", "stuck", "unstable"])
def test_what_is_wrong_is_told_before_half_of_the_run_is_over(case: str) -> None:
    curves, method, steps = of(case)
    assert moment(curves, method, steps, steps // 2)


def test_nothing_is_said_before_the_first_points() -> None:
    for case in SICK:
        curves, method, steps = of(case)
        assert moment(curves, method, steps, 0) == []


def test_a_diverged_run_ends_as_one(tmp_path: Path) -> None:
    for case in ("diverged", "unstable"):
        assert str(of(case)[0]["state"]) == ev.DIVERGED
    store = Store(tmp_path)
    run_id = store.create(presets.build("smoke", "supervised", {"train.threads": 1, **CASES["diverged"][1]}))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    with pytest.raises(ev.Diverged, match="by step"):
        Stay(store, run_id).advance(threading.Event())
    points = store.points(run_id, ev.TRAIN)
    assert 0 < points["step"][-1] < 200 and np.isfinite(points["train/loss"]).all(), "what isn't finite is no point"


def alerted(
    last: int = 100, steps: int = 100, labelled: Sequence[float] = (), val: Sequence[float] = (), **train: np.ndarray
) -> list[Alert]:
    """The alerts at step `last` of a run with these curves, evenly spread over the steps, and accuracies, of ten classes."""
    points = len(next(iter(train.values())))
    curves = {"step": np.linspace(1, last, points), "classes": np.array(10)}
    curves |= {f"train/{name}": values for name, values in train.items()}
    if accuracies := {part: np.array(values) for part, values in (("train", labelled), ("val", val)) if len(values)}:
        curves["evals/step"] = np.linspace(1, last, len(next(iter(accuracies.values()))))
        curves |= {f"evals/eval/{part}/accuracy": values for part, values in accuracies.items()}
    return moment(curves, "fixmatch", steps, last)


def told(loss: np.ndarray, *labelled: float, last: int = 100, steps: int = 100) -> str:
    """What is said of a run with this loss and these accuracies on the labelled images."""
    return " ".join(alert.what for alert in alerted(last, steps, labelled, loss_x=loss))


def fallen(share: float, points: int = 16) -> np.ndarray:
    """A loss that falls by a share after the first quarter of its points."""
    return np.where(np.arange(points) < points // 4, 2.0, 2.0 * (1 - share))


def test_a_flat_loss_is_told_unless_the_labelled_images_are_learnt() -> None:
    assert "the loss hardly falls." in told(fallen(0.04)) and not told(fallen(0.06))
    assert "only 10 % right" in told(fallen(0.04), 0.5, 0.1) and not told(fallen(0.04), 0.1, 0.5)


def test_a_falling_loss_is_told_after_three_evaluations_no_better_than_twice_chance() -> None:
    assert told(fallen(0.5), 0.1, 0.2, 0.1) and not told(fallen(0.5), 0.1, 0.2)
    assert not told(fallen(0.5), 0.1, 0.3, 0.1)


@pytest.mark.parametrize(("classes", "learnt", "not_yet"), [(2, 1.0, 0.7), (3, 0.7, 0.6), (100, 0.03, 0.01)])
def test_with_few_or_many_classes_all_labelled_images_right_is_something_learnt(
    classes: int, learnt: float, not_yet: float
) -> None:
    for right, expected in ((learnt, False), (not_yet, True)):
        curves = {"step": np.linspace(1, 100, 16), "classes": np.array(classes), "train/loss_x": fallen(0.5)}
        curves |= {"evals/step": np.array([30, 60, 100]), "evals/eval/train/accuracy": np.full(3, right)}
        assert bool(moment(curves, "fixmatch", 100, 100)) == expected


def test_nothing_learnt_is_said_after_16_points_30_steps_and_a_fifth_of_the_run() -> None:
    assert told(fallen(0.0, 16)) and not told(fallen(0.0, 15))
    assert told(fallen(0.0), last=30) and not told(fallen(0.0), last=29)
    assert told(fallen(0.0), last=200, steps=1000) and not told(fallen(0.0), last=199, steps=1000)


def test_a_loss_is_diverging_when_three_points_stand_at_three_times_its_lowest_level() -> None:
    low = fallen(0.5)  # down to 1
    assert "diverging" in told(np.append(low, [3.1] * 3)) and "diverging" not in told(np.append(low, [2.9] * 3))
    assert "diverging" not in told(np.append(low, [3.1] * 2)), "a mean of three, so that one point says nothing"
    assert not told(np.append(low / 100, [2.9] * 3), 0.9), "many times a tiny loss is still a small one"


def test_a_loss_diverges_since_it_was_lowest() -> None:
    (alert,) = alerted(20, loss_x=np.concatenate([fallen(0.5, 17), [9.0] * 3]))
    assert alert.since == 7, "the first step at which the last three points were at the lowest level"


def test_what_only_follows_from_a_loss_that_does_not_fall_is_not_told_beside_it() -> None:
    flat, shut = np.full(16, 2.0), np.zeros(16)
    (alert,) = alerted(loss_x=flat, mask_rate=shut)
    assert alert.what.startswith("Nothing is learnt")
    (alert,) = alerted(loss_x=fallen(0.5), mask_rate=shut)
    assert alert.what.startswith("The mask has collapsed")


def test_a_mask_has_collapsed_since_it_was_last_open() -> None:
    mask = np.where(np.arange(40) < 20, 0.5, 0.0)
    mask[3] = 0.0  # for a moment, long before
    (alert,) = alerted(40, mask_rate=mask)
    assert alert.since == 21 and "mask rate 0" in alert.what
    assert not alerted(40, mask_rate=np.maximum(mask, 0.02)), "few guesses are some"
    assert alerted(20, mask_rate=np.zeros(20)) and not alerted(19, mask_rate=np.zeros(19)), "it has a fifth of the run"


def quarters(*values: float) -> np.ndarray:
    """A curve of 32 points that is level within each quarter."""
    return np.repeat(values, 8)


def test_purity_that_falls_while_more_is_kept_is_bias() -> None:
    falls, rises = quarters(0.7, 0.8, 0.8, 0.74), quarters(0.3, 0.3, 0.3, 0.36)
    (alert,) = alerted(32, purity=falls, mask_rate=rises)
    assert alert.what.startswith("Purity falls (80 % to 74 %)")
    assert alert.since == 11, "the middle of the first five points at its best"
    assert not alerted(32, purity=falls, mask_rate=quarters(0.3, 0.3, 0.3, 0.34))
    assert not alerted(32, purity=quarters(0.7, 0.8, 0.8, 0.76), mask_rate=rises)


def test_a_model_that_is_surer_than_right_is_biased_if_it_keeps_much() -> None:
    purity, sure = quarters(0.95, 0.95, 0.79, 0.79), quarters(0.95, 0.95, 0.95, 0.95)
    (alert,) = alerted(32, purity=purity, confidence=sure)  # no mask: MixMatch keeps all
    assert (
        "Confidence (95 %) is far above purity (79 % of the kept guesses are right)" in alert.what and alert.since == 17
    )
    assert alerted(32, purity=purity, confidence=sure, mask_rate=np.full(32, 0.31))
    assert not alerted(32, purity=purity, confidence=sure, mask_rate=np.full(32, 0.29))
    assert not alerted(32, purity=purity, confidence=sure - 0.02)


def test_validation_has_fallen_when_three_evaluations_are_below_the_best() -> None:
    (alert,) = alerted(101, val=[0.5, 0.8, 0.9, 0.84, 0.84, 0.84], loss_x=fallen(0.5))
    assert alert.what.startswith("Validation accuracy has fallen from 90 % to 84 %") and alert.since == 41
    assert not alerted(val=[0.5, 0.9, 0.9, 0.9, 0.9, 0.8], loss_x=fallen(0.5)), "one says nothing"
    assert not alerted(val=[0.8, 0.9, 0.84, 0.84, 0.84], loss_x=fallen(0.5)), "five are too few"


@pytest.mark.slow
@pytest.mark.parametrize("case", ["collapse", "bias", "stuck", "healthy/flexmatch/10"])
def test_the_recorded_curves_are_what_the_engine_gives(case: str, tmp_path: Path) -> None:
    fresh, (kept, method, steps) = record(case, Store(tmp_path)), of(case)
    said = [
        [alert.what.split(":")[0].split("(")[0] for alert in moment(c, method, steps, steps)] for c in (fresh, kept)
    ]
    assert said[0] == said[1]
