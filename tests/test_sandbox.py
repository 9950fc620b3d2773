"""The threshold sandbox's arithmetic against loops over images and against FlexMatch's own functions."""

from __future__ import annotations

import base64
import math
import time

import numpy as np
import pytest
import torch

from dashboard import sandbox, sandbox_charts
from dashboard.sandbox import Predictions
from sslcore.config import FlexMatchConfig
from sslcore.methods.flexmatch import FlexMatch, status_to_share
from tests import reference

C, N = 7, 300


def predictions(seed: int = 0, n: int = N) -> Predictions:
    """Made-up predictions: surer ones are right more often, every ninth truth is unknown."""
    g = np.random.default_rng(seed)
    confidence = g.uniform(0.2, 1.0, n)
    predicted = g.integers(0, C, n)
    truth = np.where(g.random(n) < confidence, predicted, (predicted + 1) % C)
    truth[::9] = -1
    return Predictions(confidence, predicted, truth, C)


def numbers(values: dict[str, str]) -> np.ndarray:
    """What a chart's typed array holds."""
    return np.frombuffer(base64.b64decode(values["bdata"]), "<f4")


def slow_outcome(p: Predictions, thresholds: list[float]) -> dict[str, float]:
    kept = known = wrong = 0
    for confidence, guess, truth in zip(p.confidence, p.predicted, p.truth, strict=True):
        if confidence >= thresholds[guess]:
            kept += 1
            if truth >= 0:
                known += 1
                wrong += guess != truth
    return {"kept": kept, "known": known, "wrong": wrong}


@pytest.mark.parametrize("seed", range(4))
def test_the_outcome_equals_a_loop_over_the_images(seed: int) -> None:
    p = predictions(seed)
    thresholds = np.random.default_rng(seed + 9).uniform(0.2, 1.0, C)
    result, expected = sandbox.outcome(p, thresholds), slow_outcome(p, thresholds.tolist())
    assert (result.kept, result.known, result.wrong) == (expected["kept"], expected["known"], expected["wrong"])
    assert result.coverage == expected["kept"] / N and result.purity == 1 - expected["wrong"] / expected["known"]
    assert 0 < result.wrong < result.known < result.kept < N, "the case must have all kinds"
    for c in range(C):
        mine = [i for i in range(N) if p.predicted[i] == c]
        wrong = [i for i in mine if p.truth[i] >= 0 and p.truth[i] != c]
        kept = [i for i in mine if p.confidence[i] >= thresholds[c]]
        kept_wrong = [i for i in kept if i in wrong]
        cells = [len(kept) - len(kept_wrong), len(kept_wrong)]
        cells += [len(mine) - len(wrong) - cells[0], len(wrong) - len(kept_wrong)]
        assert result.by_class[c].tolist() == cells


def test_nothing_kept_and_nothing_known_have_no_purity() -> None:
    p = predictions()
    nothing = sandbox.outcome(p, np.full(C, 1.1))
    assert (nothing.coverage, nothing.purity, nothing.wrong) == (0.0, None, 0)
    unknown = Predictions(p.confidence, p.predicted, np.full(N, -1), C)
    assert sandbox.outcome(unknown, np.zeros(C)).purity is None
    assert sandbox.expected_wrong(sandbox.outcome(unknown, np.zeros(C)), 0, 1000) is None


@pytest.mark.parametrize("mapping", sandbox.MAPPINGS)
@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("tau", [0.0, 0.6, 0.95, 1.0])
def test_class_thresholds_equal_those_of_the_engine_and_of_the_slow_twin(
    mapping: str, warmup: bool, tau: float
) -> None:
    method = FlexMatch(FlexMatchConfig(threshold=tau, mapping=mapping, threshold_warmup=warmup), C, N)
    g = torch.Generator().manual_seed(3)
    for filled in (0, 5, 60, N):  # images with a confident class; none, few, many, all
        method.selected.fill_(C)
        method.selected[:filled] = torch.randint(C - 1, (filled,), generator=g)  # one class never
        counts = method.counts()
        found = sandbox.flex_thresholds(counts.numpy().astype(float), tau, mapping, warmup)
        assert found == pytest.approx(method.thresholds(counts).numpy(), abs=1e-6)
        records = [None if label == C else int(label) for label in method.selected]
        assert found == pytest.approx(reference.flexmatch_thresholds(records, C, tau, mapping, warmup))


@pytest.mark.parametrize("mapping", sandbox.MAPPINGS)
def test_the_mapping_equals_the_engines(mapping: str) -> None:
    beta = np.linspace(0, 1, 101)
    assert sandbox.status_to_share(beta, mapping) == pytest.approx(status_to_share(torch.from_numpy(beta), mapping).numpy())  # fmt: skip
    assert sandbox.status_to_share(beta, mapping)[[0, -1]] == pytest.approx([0, 1])


@pytest.mark.parametrize("tau", [0.0, 0.5, 0.9, 1.0])
def test_the_learning_status_is_what_flexmatch_records_when_it_sees_each_image_once(tau: float) -> None:
    p = predictions(2)
    counts = sandbox.learning_status(p, tau)
    method = FlexMatch(FlexMatchConfig(threshold=tau), C, N)
    sure = torch.from_numpy(p.confidence >= tau)
    method.selected.copy_(torch.where(sure, torch.from_numpy(p.predicted), method.selected))  # as its step does
    assert counts.tolist() == method.counts().tolist() and counts.sum() == N


def test_the_histogram_and_the_trade_off_equal_loops() -> None:
    p = predictions(1)
    p.confidence[:3] = (1.0, 0.0, 0.05)
    keep = sandbox.kept(p, np.full(C, 0.7))
    found = sandbox.histogram(p, keep)
    expected = np.zeros((4, sandbox.BINS), int)
    for i in range(N):
        wrong = p.truth[i] >= 0 and p.truth[i] != p.predicted[i]
        place = min(int(p.confidence[i] * sandbox.BINS), sandbox.BINS - 1)
        expected[(0 if keep[i] else 2) + wrong, place] += 1
    assert (found == expected).all() and found.sum() == N

    taus = np.array([0.0, 0.3, 0.7, p.confidence[5], 1.0, 1.01])
    coverage, purity = sandbox.trade_off(p, taus)
    for tau, share, pure in zip(taus, coverage, purity, strict=True):
        result = sandbox.outcome(p, np.full(C, tau))
        assert share == result.coverage
        assert pure == pytest.approx(result.purity) if result.purity is not None else math.isnan(pure)


def test_expected_wrong_labels_scale_with_the_pool_and_lie_in_their_interval() -> None:
    p = predictions()
    result = sandbox.outcome(p, np.full(C, 0.8))
    known = int((p.truth >= 0).sum())
    expected, low, high = sandbox.expected_wrong(result, known, 50_000) or (0, 0, 0)
    assert expected == 50_000 * result.wrong / known and 0 < low < expected < high
    assert sandbox.wilson(0, 64)[0] == 0 and 0.04 < sandbox.wilson(0, 64)[1] < 0.07
    assert sandbox.wilson(64, 64)[1] == pytest.approx(1)
    # Newcombe 1998, table I: 81 of 263 has the Wilson interval 0.2553 to 0.3662.
    assert sandbox.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_a_keyframe_gives_its_probe_and_its_test_set_and_an_old_one_only_the_probe() -> None:
    g = np.random.default_rng(0)
    probs = g.dirichlet(np.ones(C), 64).astype(np.float32)
    frame = {"weak_probs": probs, "unlabeled_truth": np.arange(64) % C}
    probe = sandbox.from_keyframe(frame, "probe")
    assert probe is not None and (probe.predicted == probs.argmax(1)).all() and probe.num_classes == C
    assert sandbox.from_keyframe(frame, "test") is None
    frame |= {"test_conf": np.array([0.5, 1.0], np.float16), "test_pred": np.array([1, 2], np.uint8)}
    test = sandbox.from_keyframe(frame | {"test_truth": np.array([1, 1], np.int16)}, "test")
    assert test is not None and test.right.tolist() == [True, False]


def test_the_charts_show_every_image_once() -> None:
    p = predictions()
    thresholds = np.linspace(0.3, 0.9, C)
    counts = sandbox.histogram(p, sandbox.kept(p, thresholds))
    figure = sandbox_charts.histogram(counts, 0.7)
    assert len(figure["data"]) == 4 and figure["layout"]["barmode"] == "stack"
    hatched = [trace["name"] for trace in figure["data"] if "pattern" in trace["marker"]]
    assert hatched == ["kept, wrong", "not kept, wrong"], "right and wrong must not differ in colour alone"
    assert figure["layout"]["shapes"][0]["x0"] == 0.7
    bars = sandbox_charts.classes(sandbox.outcome(p, thresholds).by_class, thresholds, ["<b>", *"cdefghijk"][:C])
    assert bars["data"][0]["y"][0] == "&lt;b&gt;"
    many = sandbox_charts.classes(np.ones((100, 4), int), np.linspace(0, 1, 100), [str(c) for c in range(100)])
    assert len(many["data"][0]["y"]) == 10


def test_the_charts_hold_the_numbers_they_are_given() -> None:
    p = predictions()
    thresholds = np.linspace(0.3, 0.9, C)
    counts = sandbox.histogram(p, sandbox.kept(p, thresholds))
    for trace, row in zip(sandbox_charts.histogram(counts, None)["data"], counts, strict=True):
        assert numbers(trace["y"]).tolist() == row.tolist()
        assert numbers(trace["x"]) == pytest.approx((np.arange(sandbox.BINS) + 0.5) / sandbox.BINS)
    by_class = sandbox.outcome(p, thresholds).by_class
    bars = sandbox_charts.classes(by_class, thresholds, [f"kind {c}" for c in range(C)])["data"]
    for k, trace in enumerate(bars[:4]):
        places = [int(name.removeprefix("kind ")) for name in trace["y"]]
        assert (
            sorted(places) == list(range(C)) and numbers(trace["customdata"]).tolist() == by_class[places, k].tolist()
        )
        assert numbers(trace["x"]) == pytest.approx(by_class[places, k] / by_class[places].sum(axis=1))
    assert numbers(bars[4]["x"]) == pytest.approx(thresholds[places])
    taus = np.linspace(0, 1, 11)
    coverage, purity = sandbox.trade_off(p, taus)
    drawn = {trace["name"]: trace for trace in sandbox_charts.trade_off(taus, coverage, purity, 0.7)["data"]}
    for name, values in (("coverage", coverage), ("purity", purity)):
        assert numbers(drawn[name]["x"]) == pytest.approx(taus)
        assert numbers(drawn[name]["y"]) == pytest.approx(values, nan_ok=True)


def test_a_knob_is_answered_in_no_time_with_fifty_thousand_predictions() -> None:
    p = predictions(n=50_000)
    began = time.perf_counter()
    counts = sandbox.learning_status(p, 0.9)
    thresholds = sandbox.flex_thresholds(counts, 0.9, "convex", True)
    sandbox.outcome(p, thresholds)
    sandbox.histogram(p, sandbox.kept(p, thresholds))
    sandbox.trade_off(p, np.linspace(0, 1, 201))
    assert time.perf_counter() - began < 1.0  # about 15 ms on an idle core
