"""Alerts on real runs: sick ones are told what, since when and what to try; healthy ones are left in peace at every moment.

The curves were recorded by `python -m tests.record_curves`, which says what settings made each run sick.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashboard.alerts import Alert, alerts
from dashboard.queries import Snapshot
from sslcore import events as ev
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


def test_a_diverged_run_ends_as_one() -> None:
    assert str(of("diverged")[0]["state"]) == str(of("unstable")[0]["state"]) == ev.DIVERGED


@pytest.mark.slow
@pytest.mark.parametrize("case", ["collapse", "bias", "stuck", "healthy/flexmatch/10"])
def test_the_recorded_curves_are_what_the_engine_gives(case: str, tmp_path: Any) -> None:
    from sslcore.store import Store

    fresh, (kept, method, steps) = record(case, Store(tmp_path)), of(case)
    told = [
        [alert.what.split(":")[0].split("(")[0] for alert in moment(c, method, steps, steps)] for c in (fresh, kept)
    ]
    assert told[0] == told[1]
