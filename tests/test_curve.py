"""Readings off a curve against cases worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sslcore import curve
from sslcore import events as ev
from sslcore.curve import Point, Reading


def line(*places: tuple[int, float], spread: float = 0.0, method: str = "supervised") -> list[Point]:
    return [Point(method, labels, (mean - spread, mean + spread), 1.0) for labels, mean in places]


def test_between_two_counts_accuracy_is_linear_in_the_logarithm() -> None:
    found = curve.labels_for(line((10, 0.6), (1000, 0.8)), 0.7)
    assert found is not None and found.kind == "at" and found.labels == pytest.approx(100)  # half way on a log axis
    found = curve.labels_for(line((10, 0.5), (20, 0.6), (40, 0.9)), 0.675)
    assert found is not None and found.labels == pytest.approx(20 * 2**0.25)


def test_outside_the_measured_counts_nothing_is_claimed() -> None:
    curve_ = line((10, 0.6), (400, 0.8))
    assert str(curve.labels_for(curve_, 0.81)) == "more than 400"
    assert str(curve.labels_for(curve_, 0.55)) == "at most 10"
    assert curve.labels_for([], 0.5) is None


def test_a_dip_counts_by_its_first_crossing() -> None:
    found = curve.labels_for(line((10, 0.5), (20, 0.7), (40, 0.6), (80, 0.9)), 0.65)
    assert found is not None and 10 < found.labels < 20


def test_uncertainty_is_one_standard_error_up_and_down() -> None:
    found = curve.needed(line((10, 0.6), (1000, 0.8), spread=0.02), 0.7)
    assert found is not None
    best, fewest, most = found
    error = 0.02 * math.sqrt(2) / math.sqrt(2)  # sd of (m - s, m + s) is s sqrt 2; over sqrt n
    for reading, shift in ((best, 0.0), (fewest, error), (most, -error)):
        share = (0.7 - (0.6 + shift)) / 0.2
        assert reading.labels == pytest.approx(10 * 100**share)
    assert fewest.labels < best.labels < most.labels


def test_equal_counts_take_both_doubts_together() -> None:
    base, point = line((10, 0.6), (1000, 0.8), spread=0.02), line((40, 0.75), spread=0.01, method="fixmatch")[0]
    found = curve.equal(base, point)
    assert found is not None
    best, fewest, most = found
    assert best.labels == pytest.approx(10 * 100**0.75)  # three quarters of the way from 60 % to 80 %
    assert fewest.labels == pytest.approx(
        10 * 100 ** ((0.74 - 0.62) / 0.2)
    )  # lower point, higher curve; errors 0.01 and 0.02
    assert most.labels == pytest.approx(10 * 100 ** ((0.76 - 0.58) / 0.2))
    assert curve.between(fewest, most) == "160 to 630"
    assert curve.equal([], point) is None
    high = line((40, 0.95), method="fixmatch")[0]
    assert [str(reading) for reading in curve.equal(line((10, 0.6), (400, 0.8)), high) or ()] == ["more than 400"] * 3


def test_what_equal_steps_cost_is_told() -> None:
    points = [Point("supervised", 10, (0.5, 0.6), 2.0, 1000.0), Point("supervised", 20, (0.7,), 5.0, 4000.0)]
    assert (
        curve.costs(points) == "a run: supervised 2,000 images, 3.0 s"
    )  # three runs: (2 * 1000 + 4000) / 3, (2 * 2 + 5) / 3


@pytest.mark.parametrize(
    ("value", "text"), [(313.7, "310"), (7.6, "8"), (1234.0, "1,200"), (99.7, "100"), (40.0, "40")]
)
def test_two_digits_of_an_interpolated_count(value: float, text: str) -> None:
    assert str(Reading("at", value)) == text


def test_a_count_that_was_measured_is_told_as_it_is() -> None:
    assert str(Reading("at most", 125)) == "at most 125" and str(Reading("more than", 255)) == "more than 255"


def test_one_seed_has_no_spread() -> None:
    point = Point("fixmatch", 10, (0.5,), 1.0)
    assert point.sd is None and point.error == 0 and point.mean == 0.5
    assert "n 1" in curve.table([point]) and "+-" not in curve.table([point])


def test_the_best_run_is_chosen_on_validation_only_where_every_run_has_one() -> None:
    def ended(run_id: str, test: float, val: float | None = None, state: str = ev.FINISHED) -> ev.Run:
        values: dict[str, Any] = dict.fromkeys(ev.Run.__dataclass_fields__, None)
        return ev.Run(
            **values | {"id": run_id, "state": state, "summary": {"test_accuracy": test, "best_val_accuracy": val}}
        )

    runs = [ended("a", 0.7, 0.9), ended("b", 0.8, 0.6), ended("c", 0.99, 0.99, ev.RUNNING)]
    found = curve.best({run.id: run for run in runs})
    assert found is not None and (found[0].id, found[1]) == ("a", "best_val_accuracy")
    found = curve.best({run.id: run for run in [*runs, ended("d", 0.75)]})
    assert found is not None and (found[0].id, found[1]) == ("b", "test_accuracy")
    assert curve.best({"c": runs[2]}) is None
