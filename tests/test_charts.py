"""Charts are valid plotly figures, hold the numbers they are given, and can be told apart."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard import charts, charts_classes, charts_guess, figures, panel_images, theme
from dashboard.live_chart import encode

ROOT = Path(__file__).resolve().parent.parent
STEPS = np.arange(1, 51)
NAMES = [str(c) for c in range(10)]


def decode(values: dict[str, str]) -> np.ndarray:
    assert values["dtype"] == "f4"
    return np.frombuffer(base64.b64decode(values["bdata"]), "<f4")


def columns(*names: str) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {"step": STEPS, "seconds": STEPS / 10.0} | {name: generator.random(50) for name in names}


TRAIN = columns("train/loss", "train/loss_x", "train/loss_u", "train/mask_rate", "train/purity", "train/confidence")
EVALS = columns("eval/test/accuracy", "eval/test/accuracy/raw", "eval/train/accuracy", "eval/val/accuracy")
LEVELS = np.random.default_rng(1).random((50, 10)).astype(np.float32)

VIEWS = np.random.default_rng(2).dirichlet(np.ones(10), (8, 2))  # (images, K, C)
SQUARED = VIEWS.mean(axis=1) ** 2  # T = 0.5
GUESSES = {
    "view_probs": VIEWS,
    "guess": SQUARED / SQUARED.sum(axis=1, keepdims=True),
    "weak_images": np.zeros((8, 16, 16, 1), np.uint8),
}

FIGURES = {
    "loss": charts.losses(TRAIN, 100),
    "loss log": charts.losses(TRAIN, 100, log=True, smooth=True, marks=[(20, "optim.lr = 0.1")]),
    "loss supervised": charts.losses(columns("train/loss", "train/loss_x"), 100),
    "accuracy": charts.accuracies(EVALS, 100),
    "mask": charts.masks(TRAIN, 100, smooth=True),
    "threshold": charts.thresholds(STEPS, LEVELS, NAMES, 100, 0.95),
    "loss thinned": charts.losses(TRAIN, 100, band=(TRAIN, TRAIN), smooth=True),
    "parts": charts.part_losses(columns("eval/test/loss", "eval/test/loss/raw", "eval/train/loss"), 100, log=True),
    "coverage": charts.coverage(TRAIN, smooth=True),
    "confusion": charts_classes.confusion(np.arange(100).reshape(10, 10), NAMES),
    "guess": charts_guess.sharpening(GUESSES, NAMES, [3, 0, 5], sharpened=True),
    "guess before": charts_guess.sharpening(GUESSES, NAMES, [3], sharpened=False),
    "nothing yet: guess": charts_guess.sharpening({}, [], [], sharpened=True),
    "confusion of many": charts_classes.confusion(np.eye(40, dtype=int), [f"class {c}" for c in range(40)]),
    "lanes": charts.lanes(LEVELS[-1], np.arange(11.0), NAMES, 0.95),
    "lanes without counts": charts.lanes(LEVELS[-1], np.zeros(0), NAMES, 0.95),
    "pseudo": charts.pseudo_counts(np.arange(10.0), NAMES),
    "recall": charts_classes.recalls(np.arange(10.0) / 10, NAMES),
    "nothing yet: loss": charts.losses({}, 100),
    "nothing yet: accuracy": charts.accuracies({}, 100),
    "nothing yet: mask": charts.masks({}, 100),
    "nothing yet: threshold": charts.thresholds(np.zeros(0), np.zeros((0, 0)), [], 100, 0.95),
    "nothing yet: lanes": charts.lanes(np.zeros(0), np.zeros(0), [], 0.95),
    "nothing yet: parts": charts.part_losses({}, 100),
    "nothing yet: coverage": charts.coverage({}),
    "nothing yet: confusion": charts_classes.confusion(np.zeros((0, 0)), []),
    "nothing yet: pseudo": charts.pseudo_counts(np.zeros(0), []),
    "nothing yet: recall": charts_classes.recalls(np.zeros(0), []),
}


def in_plotly(value: Any) -> Any:
    """Colours of the page, which only a browser knows, as black."""
    if isinstance(value, dict):
        return {name: in_plotly(item) for name, item in value.items()}
    if isinstance(value, list):
        return [in_plotly(item) for item in value]
    return "#000000" if isinstance(value, str) and value.startswith("var(") else value


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_one_that_plotly_takes(name: str) -> None:
    go.Figure(in_plotly(FIGURES[name]))  # raises on an unknown property or a bad value


def test_a_curve_holds_the_numbers_it_was_given() -> None:
    total = FIGURES["loss"]["data"][0]
    assert np.allclose(decode(total["x"]), STEPS) and np.allclose(decode(total["y"]), TRAIN["train/loss"])
    assert [trace["name"] for trace in FIGURES["loss"]["data"]] == ["total", "labelled", "unlabelled"]
    assert [trace["name"] for trace in FIGURES["loss supervised"]["data"]] == ["labelled"]


def test_a_metric_without_any_value_has_no_line_and_gaps_stay_gaps() -> None:
    purity = TRAIN["train/purity"].copy()
    purity[:3] = np.nan
    figure = charts.masks({"step": STEPS, "train/purity": purity, "train/mask_rate": np.full(50, np.nan)}, 100)
    (trace,) = figure["data"]
    assert (
        trace["name"] == "purity"
        and np.isnan(decode(trace["y"])[:3]).all()
        and not np.isnan(decode(trace["y"])[3:]).any()
    )


def test_log_scale_changes_the_axis_and_forgets_only_its_own_zoom() -> None:
    linear, log = charts.losses(TRAIN, 100)["layout"]["yaxis"], charts.losses(TRAIN, 100, log=True)["layout"]["yaxis"]
    assert (linear["type"], log["type"]) == ("linear", "log") and linear["uirevision"] != log["uirevision"]


def test_smoothing_equals_the_definition() -> None:
    values = np.array([3.0, np.nan, 1.0, 4.0, 1.0])
    expected, known = [], []
    for value in values:
        if np.isnan(value):
            expected.append(np.nan)
            continue
        known.append(value)
        weights = [0.6 ** (len(known) - 1 - i) for i in range(len(known))]
        expected.append(sum(w * v for w, v in zip(weights, known, strict=True)) / sum(weights))
    assert np.allclose(charts.smoothed(values, 0.6), expected, equal_nan=True)


def test_a_smoothed_curve_keeps_the_raw_one_faint_behind_it() -> None:
    raw, smooth = charts.losses(columns("train/loss"), 100, smooth=True)["data"]
    assert raw["opacity"] < 0.5 and raw["showlegend"] is False and raw["legendgroup"] == smooth["legendgroup"]
    assert np.ptp(decode(smooth["y"])) < np.ptp(decode(raw["y"]))


@pytest.mark.parametrize(
    ("steps", "last", "end"),
    [(600, 1, 600), (600, 600, 600), (1 << 20, 10, 2048), (1 << 20, 2049, 4096), (1 << 20, 1 << 20, 1 << 20)],
)
def test_the_axis_of_a_long_run_doubles_and_never_hides_a_point(steps: int, last: int, end: int) -> None:
    assert charts.frame(steps, last) == end


def test_of_many_classes_the_lowest_and_highest_are_drawn() -> None:
    values = np.random.default_rng(3).random(100)
    chosen = charts.pick_classes(values)
    ranks = values.argsort().argsort()
    assert (
        len(chosen) == 10 and sorted(ranks[chosen]) == [0, 1, 2, 3, 4, 95, 96, 97, 98, 99] and chosen == sorted(chosen)
    )
    assert len(charts.thresholds(STEPS[:1], values[None], [str(c) for c in range(100)], 100, 0.9)["data"]) == 10


def test_long_names_are_told_apart_and_every_row_of_the_legend_has_its_place() -> None:
    names = [f"class number {c} of a long list" for c in range(9)] + ["<b>"]
    short = charts_classes.short_names(names)
    assert short[:2] == ["0: clas… list", "1: clas… list"] and short[9] == "&lt;b&gt;" and len(set(short)) == 10
    bars = charts_classes.recalls(np.linspace(0, 1, 10), names)["data"][0]
    assert bars["x"] == short, "bars of one name would lie on each other"
    for labels, angle in ((NAMES, None), (names, -90)):
        axis = charts_classes.recalls(np.linspace(0, 1, 10), labels)["layout"]["xaxis"]
        assert axis.get("tickangle") == angle and ("title" in axis) == (angle is None), "upright names have its place"
    matrix = charts_classes.confusion(np.eye(10, dtype=int), names)["layout"]["xaxis"]["ticktext"]
    assert len(set(matrix)) == 10 and max(map(len, matrix)) <= 16
    margins = [charts.thresholds(STEPS, LEVELS, each, 100, 0.95)["layout"]["margin"]["t"] for each in (NAMES, names)]
    assert margins == [48, 99], "two rows of five on a phone, and five of two"


def test_learning_status_follows_flexmatch_with_its_warm_up() -> None:
    """beta_c = sigma_c / max(max sigma, unused), arXiv:2110.08263 Eq. 11."""
    bar = charts.lanes(np.full(2, 0.5), np.array([10.0, 20.0, 80.0]), ["a", "b"], 0.95)["data"][0]
    assert bar["customdata"] == [[10, 10 / 80, 80], [20, 20 / 80, 80]]


def test_shares_of_pseudo_labels_sum_to_one() -> None:
    assert decode(FIGURES["pseudo"]["data"][0]["y"]).sum() == pytest.approx(1)


def test_the_line_across_the_recalls_is_their_mean_without_classes_that_have_no_images() -> None:
    figure = charts_classes.recalls(np.array([1.0, 0.5, np.nan, 0.0]), ["a", "b", "c", "d"])
    assert figure["layout"]["shapes"][0]["y0"] == 0.5 and figure["layout"]["annotations"][0]["text"] == "50.0 %"
    assert not charts_classes.recalls(np.full(3, np.nan), ["a", "b", "c"])["layout"]["shapes"]


def test_a_class_name_can_not_format_a_chart() -> None:
    figure = charts.lanes(np.ones(1), np.zeros(0), ["<b onclick=x>&"], 0.95)
    assert figure["data"][0]["y"] == ["&lt;b onclick=x&gt;&amp;"]


def test_a_changed_setting_is_marked_where_it_changed() -> None:
    layout = FIGURES["loss log"]["layout"]
    assert (
        layout["shapes"][0]["x0"] == 20
        and len(layout["annotations"]) == 1
        and layout["annotations"][0]["text"] == "optim.lr = 0.1"
    )


def test_a_thinned_curve_has_its_band_behind_it() -> None:
    low, high = TRAIN["train/loss"] - 1, TRAIN["train/loss"] + 1
    under, over, shown = charts.losses(
        {"step": STEPS, "train/loss": TRAIN["train/loss"]}, 100, band=({"train/loss": low}, {"train/loss": high})
    )["data"]
    assert np.allclose(decode(under["y"]), low) and np.allclose(decode(over["y"]), high) and over["fill"] == "tonexty"
    assert under["showlegend"] is over["showlegend"] is False and shown["legendgroup"] == over["legendgroup"]
    assert np.allclose(decode(shown["y"]), TRAIN["train/loss"])


@pytest.mark.parametrize(
    ("value", "end"), [(0.0, 1), (0.011, 0.015), (1.0, 1), (2.31, 3), (4.4, 6), (9.0, 10), (71, 80)]
)
def test_the_axis_of_a_loss_moves_only_in_big_strides(value: float, end: float) -> None:
    axis = figures.upward([np.array([0.0, value, np.nan])])
    assert axis["range"] == [0, pytest.approx(end)]


def test_a_log_axis_holds_every_positive_value_in_whole_decades() -> None:
    assert figures.upward([np.array([0.0, 0.02, 3.0])], log=True)["range"] == [-2, 1]
    assert figures.upward([], log=True)["range"] == [-1, 0]
    assert figures.upward([np.array([1e-30, 1.0])], log=True)["range"] == [-6, 0]  # learnt by heart: no end of decades


def test_the_labels_of_marks_never_lie_on_another() -> None:
    marks = [(step, f"threshold = 0.{step}") for step in range(10, 100, 3)] + [
        (50, "pause"),
        (50, "step"),
        (50, "step"),
    ]
    rules, labels = figures.mark_lines(marks, 100.0, False)
    assert {rule["x0"] for rule in rules} == {step for step, _ in marks}
    boxes = []
    for label in labels:
        wide = figures.LETTER * len(label["text"]) * 100
        left = label["x"] - wide if label["xanchor"] == "right" else label["x"]
        boxes.append((label["y"], left, left + wide))
    for i, (y, left, right) in enumerate(boxes):
        assert left >= -1e-9 and right <= 100 + 1e-9
        assert not any(y == other[0] and left < other[2] and right > other[1] for other in boxes[:i])
    (_, (label,)) = figures.mark_lines([(5, "step"), (5, "step"), (5, "pause")], 100.0, False)
    assert label["text"] == "step x2, pause"


def test_the_labels_of_marks_stand_where_the_curves_are_not() -> None:
    """Accuracies near 100 % leave the lower half free, a loss that falls the upper."""
    high = {"step": np.arange(9), "eval/test/accuracy": np.full(9, 0.95), "train/loss": np.linspace(8, 1, 9)}
    (above,) = charts.losses(high, 9, marks=[(3, "pause")])["layout"]["annotations"]
    (below,) = charts.accuracies(high, 9, marks=[(3, "pause")])["layout"]["annotations"]
    assert (above["y"], above["yanchor"]) == (1.0, "top") and (below["y"], below["yanchor"]) == (0.02, "bottom")
    assert "bgcolor" not in above, "nothing behind a label is hidden"


def test_coverage_against_purity_ends_in_the_newest_point() -> None:
    path, dots, newest = FIGURES["coverage"]["data"]
    assert (
        decode(newest["x"])[0] == decode(path["x"])[-1]
        and newest["text"] == ["step 50"]
        and len(decode(dots["x"])) <= 24
    )


def test_the_newest_point_of_coverage_is_named_off_the_words_of_the_axes() -> None:
    places = {}
    for mask, purity in ((0.9, 0.9), (0.1, 0.9), (0.9, 0.01), (0.1, 0.01)):
        points = {"step": np.array([1]), "train/mask_rate": np.array([mask]), "train/purity": np.array([purity])}
        places[mask, purity] = charts.coverage(points)["data"][-1]["textposition"]
    assert list(places.values()) == ["bottom left", "bottom right", "top left", "top right"]


def test_a_hundred_classes_have_as_many_names_at_an_axis_as_there_is_room_for() -> None:
    names = [f"animal_{c:03d}" for c in range(100)]
    for ticks in (20, 10):
        layout = charts_classes.confusion(np.eye(100, dtype=int), names, ticks)["layout"]
        assert len(layout["yaxis"]["ticktext"]) == ticks and layout["yaxis"]["ticktext"][1] == names[100 // ticks]


def test_a_confusion_matrix_shows_counts_and_the_share_of_its_row() -> None:
    grid, numbers = charts_classes.confusion(np.array([[4, 1], [0, 0]]), ["<b>", "b"])["data"]
    assert grid["z"] == [[0.8, 0.2], [0.0, 0.0]] and grid["customdata"] == [[4, 1], [0, 0]]
    assert (numbers["x"], numbers["y"], numbers["text"]) == ([0, 1], [0, 0], ["4", "1"])
    assert numbers["textfont"]["color"] == [theme.TEXT, theme.TEXT], (
        "a faint cell's number is read on the page's ground"
    )
    assert grid["hovertext"][0][1] == "&lt;b&gt; taken for b<br>1 image"


def test_guesses_are_drawn_for_the_same_images_before_and_after() -> None:
    before, after = FIGURES["guess"]["data"]
    assert before["x"] == after["x"] and len(before["x"]) == 30
    assert np.allclose(decode(before["y"]), VIEWS.mean(axis=1)[[3, 0, 5]].ravel())
    assert np.allclose(decode(after["y"]), GUESSES["guess"][[3, 0, 5]].ravel())
    told = [note["text"] for note in FIGURES["guess"]["layout"]["annotations"] if note["y"] == charts_guess.TOP]
    mean, guess = VIEWS.mean(axis=1)[3], GUESSES["guess"][3]
    assert told[0] == f"{-(mean * np.log(mean)).sum():.2f}<br>\u2192 {-(guess * np.log(guess)).sum():.2f}"
    assert len(FIGURES["guess"]["layout"]["images"]) == 3 and len(FIGURES["guess before"]["data"]) == 1
    layout = FIGURES["guess"]["layout"]
    plot = panel_images.GUESS_HEIGHT - layout["margin"]["t"] - layout["margin"]["b"]
    above, line = plot * (1 - 1 / layout["yaxis"]["range"][1]), 1.3 * layout["annotations"][0]["font"]["size"]
    assert above > 3 * line, "two lines of entropy and the name of a class must not lie on each other"


def test_what_is_sent_holds_each_array_once() -> None:
    figure = charts.losses(TRAIN, 100)
    sent = json.loads(encode(figure))
    restored = [
        {
            name: {"dtype": "f4", "bdata": sent["arrays"][value["ref"]]}
            if isinstance(value, dict) and "ref" in value
            else value
            for name, value in trace.items()
        }
        for trace in sent["data"]
    ]
    assert restored == json.loads(json.dumps(figure["data"])) and sent["layout"] == json.loads(
        json.dumps(figure["layout"])
    )
    assert len(sent["arrays"]) == 4  # the steps, and three losses


def test_chosen_classes_are_drawn_instead_of_the_extremes() -> None:
    values = np.random.default_rng(3).random(100)
    assert charts.pick_classes(values, chosen=[70, 3, 3, 500]) == [3, 70]
    assert charts.pick_classes(values[:5], chosen=[1]) == [0, 1, 2, 3, 4]


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_class_colours_are_the_same_in_both_modes_and_can_be_seen_in_both() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    for mode in ("light", "dark"):
        assert settings[mode]["chartCategoricalColors"] == list(theme.CLASS_COLORS)
        ground = luminance(settings[mode]["backgroundColor"])
        for color in theme.CLASS_COLORS:
            bright, dim = sorted((luminance(color), ground), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 2.7, (mode, color)


def test_two_classes_never_share_both_colour_and_dash() -> None:
    assert len({(theme.class_color(c), theme.class_dash(c)) for c in range(50)}) == 50
