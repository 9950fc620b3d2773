"""Charts of the time machine and of a fork: what plotly takes, the numbers they were given, and nothing changed behind a back."""

from __future__ import annotations

import base64
import copy
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard import biography, branch, charts, time_charts
from dashboard.biography import Biography, History
from tests.test_charts import in_plotly

NAMES = [f"<i>{c}</i>" for c in range(4)]
POINTS = {
    "step": np.array([1, 5, 10, 20]), "train/loss": np.array([4.0, 3.0, 2.0, 1.0]), "train/loss_x": np.array([2.0, 1.0, 0.5, 0.2]),
    "train/mask_rate": np.array([0.1, 0.2, 0.3, 0.4]), "train/purity": np.array([np.nan, 0.8, 0.9, 1.0]),
}  # fmt: skip
EVALS = {"step": np.array([10, 20]), "eval/test/accuracy": np.array([0.5, 0.75])}


def decode(values: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(values["bdata"]), "<f4")


def life(steps: list[int], guess: list[int], kept: list[int], truth: int = 1, threshold: float = 0.5) -> Biography:
    n = len(steps)
    column = np.linspace(0.2, 0.9, n)[:, None]
    made = History(
        np.array(steps), np.array(guess)[:, None], column, np.array(kept, bool)[:, None], np.full((n, 1), threshold), np.array([truth])
    )  # fmt: skip
    return biography.biography(made, 0)


LIFE = life([0, 10, 20, 30, 50], [2, 1, 1, 3, 1], [0, 1, 1, 0, 1])
FIGURES = {
    "ribbon": time_charts.ribbon(LIFE, NAMES, 60),
    "ribbon of one keyframe": time_charts.ribbon(life([0], [2], [1]), NAMES, 60),
    "ribbon, truth not known": time_charts.ribbon(life([0, 9], [2, 1], [1, 0], truth=-1, threshold=0.0), NAMES, 60_000),
    "histogram": time_charts.histogram(np.arange(20), np.arange(20)[::-1], 0.95),
    "histogram of nothing": time_charts.histogram(np.zeros(0), np.zeros(0), None),
    "cursor": time_charts.cursor(charts.losses(POINTS, 40), 10),
    "both": branch.both(charts.losses(POINTS, 40), "loss", POINTS, EVALS, 5, 40, smooth=True),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_one_that_plotly_takes(name: str) -> None:
    go.Figure(in_plotly(FIGURES[name]))  # raises on an unknown property or a bad value


def test_a_cursor_leaves_the_figure_that_is_kept_as_it_was() -> None:
    figure = charts.losses(POINTS, 40, marks=[(5, "pause")])
    before = copy.deepcopy(figure)
    moved = time_charts.cursor(figure, 10)
    assert figure == before and len(moved["layout"]["shapes"]) == len(before["layout"]["shapes"]) + 1
    assert moved["layout"]["shapes"][-1]["x0"] == moved["layout"]["shapes"][-1]["x1"] == 10


def test_a_ribbon_holds_each_keyframe_once_at_its_step() -> None:
    bars = [trace for trace in FIGURES["ribbon"]["data"] if trace["type"] == "bar"]
    seen: dict[int, tuple[str, float, float, float]] = {}
    for trace in bars:
        for k, step in enumerate(decode(trace["x"])):
            assert int(step) not in seen
            seen[int(step)] = (
                trace["text"][k],
                float(decode(trace["y"])[k]),
                trace["width"][k],
                trace["marker"]["opacity"][k],
            )
    for k, step in enumerate(LIFE.steps.tolist()):
        words, height, width, opacity = seen[step]
        c = int(LIFE.guess[k])
        assert words.startswith(f"&lt;i&gt;{c}&lt;/i&gt;, ") and ("not kept" in words) == (not LIFE.kept[k]) == (
            opacity < 1
        )
        assert words.endswith("right" if c == 1 else "wrong")
        assert height == pytest.approx(LIFE.confidence[k])
        assert width == (LIFE.steps[k + 1] - step if k + 1 < len(LIFE.steps) else 10), (
            "the last as wide as the usual gap"
        )
    line = next(trace for trace in FIGURES["ribbon"]["data"] if trace["name"] == "threshold")
    assert (decode(line["y"]) == 0.5).all()
    assert not any(trace["name"] == "threshold" for trace in FIGURES["ribbon, truth not known"]["data"]), (
        "the method has none"
    )


def test_an_axis_of_few_steps_counts_whole_ones() -> None:
    assert FIGURES["ribbon of one keyframe"]["layout"]["xaxis"]["dtick"] == 1
    assert "dtick" not in FIGURES["ribbon"]["layout"]["xaxis"]


def test_the_name_of_a_class_stands_over_its_stretch() -> None:
    assert time_charts.stretches(LIFE, 60.0) == [(2, 0, 10), (1, 10, 30), (3, 30, 50), (1, 50, 60)]
    notes = FIGURES["ribbon"]["layout"]["annotations"]
    assert [(note["text"][9], note["x"]) for note in notes] == [("2", 5), ("1", 20), ("3", 40), ("1", 55)]


def test_a_short_name_stands_over_a_short_stretch_too() -> None:
    """Else its colour alone would tell it."""
    short = life(list(range(0, 1000, 50)), [2] + 19 * [1], 20 * [1])
    for names, told in (([str(c) for c in range(4)], ["2", "1"]), ([f"class {c}" for c in range(4)], ["class 1"])):
        notes = time_charts.ribbon(short, names, 1000)["layout"]["annotations"]
        assert [note["text"] for note in notes] == told


def test_a_histogram_stacks_right_and_wrong() -> None:
    right, wrong = FIGURES["histogram"]["data"]
    assert (decode(right["y"]) == np.arange(20)).all() and (decode(wrong["y"]) == np.arange(20)[::-1]).all()
    assert decode(right["x"])[0] == pytest.approx(0.025) and decode(right["x"])[-1] == pytest.approx(0.975)
    assert "pattern" in wrong["marker"] and "pattern" not in right["marker"], "not told apart by colour alone"
    assert FIGURES["histogram of nothing"]["data"] == []


def test_a_low_threshold_is_named_below_the_legend() -> None:
    bins = np.ones(20)
    high, low = (time_charts.histogram(bins, bins, tau)["layout"]["annotations"][0] for tau in (0.7, 0.1))
    assert (high["yanchor"], low["yanchor"]) == ("bottom", "top")


OWN = {"loss": charts.losses(POINTS, 40), "mask": charts.masks(POINTS, 40), "accuracy": charts.accuracies(EVALS, 40)}


@pytest.mark.parametrize("kind", OWN)
def test_the_original_stands_behind_a_fork_from_where_it_left(kind: str) -> None:
    own: dict[str, Any] = OWN[kind]
    before = copy.deepcopy(own)
    figure = branch.both(own, kind, POINTS, EVALS, 10, 40)
    added = figure["data"][: len(figure["data"]) - len(own["data"])]
    assert own == before and figure["data"][len(added) :] == own["data"], "the fork's own lines lie on top"
    assert [trace["name"] for trace in added] == [f"{trace['name']}, original" for trace in own["data"]]
    for trace in added:
        assert decode(trace["x"]).tolist() == [10, 20] and trace["opacity"] < 1 and trace["showlegend"] is False


def test_what_a_fork_does_not_draw_is_left_out_of_its_original() -> None:
    own = charts.losses(
        {"step": POINTS["step"], "train/loss": POINTS["train/loss"], "train/loss_x": POINTS["train/loss_x"]}, 40
    )
    other = POINTS | {"train/loss_u": np.ones(4)}
    figure = branch.both(own, "loss", other, {}, 5, 40, smooth=True)
    assert "unlabelled, original" not in {trace["name"] for trace in figure["data"]}
