"""What a sweep leaves behind: kept plans, recall by class, published numbers, the report."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from dashboard import queries
from sslcore import config as cfg
from sslcore import events as ev
from sslcore import keyframes, per_class, presets, published, recordings, report_sweep, sweep, sweep_plans
from sslcore.curve import Point
from sslcore.lab import Lab
from sslcore.store import Store
from sslcore.sweep import Plan

PLAN = Plan("smoke", ("supervised", "flexmatch"), (10, 20), (0, 1))
NAMES = ["<b>one</b>", "=two", "three"]


def matrix(*right: int) -> np.ndarray:
    """Ten test images a class, so many of each right, the others taken for the next class."""
    made = np.zeros((len(right), len(right)), np.int32)
    for c, count in enumerate(right):
        made[c, c], made[c, (c + 1) % len(right)] = count, 10 - count
    return made


def finished(store: Store, cell: sweep.Cell, *right: int) -> str:
    run_id = store.create(cell.config, preset="smoke")
    found = {
        "test_accuracy": sum(right) / 30,
        "class_names": NAMES,
        "title": "My <i>own</i>",
        "images_per_step": 30,
        "engine": ev.ENGINE,
    }
    store.update(run_id, state=ev.FINISHED, step=30, seconds=2.0, summary=found)
    keyframes.write(store.folder(run_id), 30, {"confusion": matrix(*right)})
    return run_id


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three of four cells with 10 labels: seed 0 of both methods, seed 1 of both but its FlexMatch keyframe is damaged later."""
    store = Store(tmp_path)
    cells = {(c.method, c.labels, c.seed): c for c in sweep.cells(PLAN)}
    finished(store, cells["supervised", 10, 0], 5, 5, 5)
    finished(store, cells["flexmatch", 10, 0], 9, 5, 4)
    finished(store, cells["supervised", 10, 1], 6, 6, 6)
    finished(store, cells["flexmatch", 10, 1], 8, 6, 9)
    finished(store, cells["flexmatch", 20, 0], 9, 9, 9)  # its partner is missing
    return store


def test_differences_are_taken_within_each_seed(store: Store) -> None:
    grid = sweep.cells(PLAN)
    found = sweep.assign(grid, store.runs())
    differences = per_class.paired(store.root, grid, found, "flexmatch", "supervised", 10)
    assert [one.name for one in differences] == NAMES
    assert [one.values for one in differences] == [pytest.approx(v) for v in ((0.4, 0.2), (0.0, 0.0), (-0.1, 0.3))]
    assert differences[0].mean == pytest.approx(0.3) and differences[0].sd == pytest.approx(0.02**0.5)
    back = per_class.paired(store.root, grid, found, "supervised", "flexmatch", 10)
    assert [one.mean for one in back] == [pytest.approx(-one.mean) for one in differences]
    assert per_class.paired(store.root, grid, found, "flexmatch", "supervised", 20) == [], "one of the two is missing"


def test_a_damaged_keyframe_leaves_its_seed_out(store: Store) -> None:
    grid = sweep.cells(PLAN)
    found = sweep.assign(grid, store.runs())
    bad = next(run for run in found.values() if run.method == "flexmatch" and run.seed == 1)
    (store.folder(bad.id) / "keyframes" / "000000030.npz").write_bytes(b"no zip")
    differences = per_class.paired(store.root, grid, found, "flexmatch", "supervised", 10)
    assert [one.values for one in differences] == [pytest.approx(v) for v in ((0.4,), (0.0,), (-0.1,))]
    assert differences[0].sd is None


def test_a_class_without_test_images_has_no_recall() -> None:
    empty = matrix(5, 5)
    empty[1] = 0
    assert per_class.recall(empty)[0] == 0.5 and np.isnan(per_class.recall(empty)[1])


def test_per_class_rows_hold_no_formula(store: Store) -> None:
    grid = sweep.cells(PLAN)
    rows = list(csv.DictReader(io.StringIO(per_class.to_csv(store.root, grid, sweep.assign(grid, store.runs())))))
    assert len(rows) == 5 * 3 and [row["class"] for row in rows[:3]] == ["<b>one</b>", "'=two", "three"]
    assert [(row["method"], row["labels"], row["seed"], row["right"], row["recall"]) for row in rows[:2]] == [
        ("supervised", "10", "0", "5", "0.5"), ("supervised", "10", "0", "5", "0.5")
    ]  # fmt: skip


def test_the_report_tells_all_and_escapes_what_people_typed(store: Store) -> None:
    grid = sweep.cells(PLAN)
    page = report_sweep.html(store.root, PLAN, sweep.assign(grid, store.runs()), ("tutorial", "papers"))
    assert "<b>one</b>" not in page and "&lt;b&gt;one&lt;/b&gt;" in page and "<i>own</i>" not in page
    assert "5 of 8 runs" in page and "30 optimizer steps" in page and page.count("not started") == 0
    assert "55.0 +- 7.1 % (n 2, 50.0 to 60.0 %)" in page  # supervised with 10 labels: 15 / 30 and 18 / 30
    by_class = re.findall(r"<td class='n'>([+-]?\d+\.\d)</td><td class='n'>(.*?)</td>", page)
    assert by_class == [("+30.0", "14.1"), ("+10.0", "28.3"), ("0.0", "0.0")], "the largest gain first"
    assert "20,480" in page and "2110.08263" in page and "other images" in page
    assert "python -m sslcore sweep --preset smoke --methods supervised,flexmatch --labels 10,20 --seeds 0,1" in page
    assert page.count("<td>missing</td>") == 3 and "<script" not in page and "default-src 'none'" in page
    assert not re.search(r"https?://(?!www.w3.org)", page)
    empty = report_sweep.html(store.root, Plan("smoke", seeds=(9,)), {})
    assert "no run has ended yet" in empty


def test_published_numbers_are_those_of_their_sources() -> None:
    by = {(one.group, one.method): {place.labels: place for place in one.places} for one in published.SERIES}
    assert by["tutorial", "flexmatch"][500].accuracy == pytest.approx(0.59753) and by["tutorial", "supervised"][
        20_000
    ].accuracy == pytest.approx(0.82255)
    assert len(by["tutorial", "mixmatch"]) == 5 and by["tutorial", "mixmatch"][500].sd is None
    assert by["papers", "fixmatch"][250].accuracy == pytest.approx(0.9493) and by["papers", "fixmatch"][
        40
    ].sd == pytest.approx(0.0337)
    assert by["papers", "mixmatch"][4000].accuracy == pytest.approx(0.9376)
    assert {one.steps for one in published.SERIES if one.group == "papers"} == {1_048_576}


def test_recorded_runs_are_whole_and_say_what_they_are(tmp_path: Path) -> None:
    """What ships can be taken in, and its evaluations are what is laid beside a sweep."""
    store = Store(tmp_path)
    ids = recordings.take_in(store)
    series = {one.method: one for one in published.series(("recorded",), cfg.METHOD_NAMES)}
    assert len(ids) == len(series) > 0 and recordings.take_in(store) == ids
    for run in map(store.run, ids):
        (place,) = series[run.method].places
        evaluated = store.points(run.id, "eval")
        assert (place.labels, place.accuracy) == (run.labels, evaluated["eval/test/accuracy"][-1])
        assert run.summary["device_name"] in series[run.method].source and "JPEG" in series[run.method].source
        assert run.name.startswith("Recorded") and f"step {int(evaluated['step'][-1]):,}" in run.note
        assert series[run.method].steps == run.steps == 20_480 and keyframes.steps(store.folder(run.id))
        assert run.data == "folder:cifar10-jpeg" and "/" not in json.dumps(run.config)
        with pytest.raises(cfg.ConfigError, match="without its weights"):
            Lab(store).resume(run.id)
        assert store.run(run.id) == run and queries.possible(run) == {"delete"}


def test_what_stands_against_a_comparison_is_said() -> None:
    cifar = presets.build("cifar10-tutorial", "fixmatch")
    both = published.series(("tutorial", "papers"), ("fixmatch",))
    assert len(both) == 2
    (only,) = published.caveats(both, cifar)  # the tutorial's budget is the same
    assert "1,048,576" in only and "2 % of that" in only
    assert published.budget(cifar) == "2 % of the papers' 2^20 steps" and published.budget(presets.build("smoke")) == ""
    assert published.caveats([], cifar) == []
    small = presets.build("cifar10-tutorial", settings={"model.depth": 10})
    assert "the sweep's from a WRN-10-2" in " ".join(published.caveats(both, small))
    told = " ".join(published.caveats(both, presets.build("smoke")))
    assert "other images" in told and "smaller network" in told and "20,480" in told


def test_plans_are_kept_newest_first_and_a_wider_one_takes_the_place_of_the_narrower(tmp_path: Path) -> None:
    wider = dataclasses.replace(PLAN, seeds=(0, 1, 2))
    other = dataclasses.replace(PLAN, settings={"train.steps": 40})
    for plan in (PLAN, other, wider):
        sweep_plans.keep(tmp_path, plan)
        for path in (tmp_path / "sweeps").iterdir():  # a clock that is too coarse
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))
    assert sweep_plans.kept(tmp_path) == [wider, other]
    sweep_plans.keep(tmp_path, other)
    assert sweep_plans.kept(tmp_path) == [other, wider]
    (tmp_path / "sweeps" / "bad.json").write_text('{"preset": "gone"}')
    assert sweep_plans.kept(tmp_path) == [other, wider]
    assert sweep_plans.kept(tmp_path / "nothing") == []


def test_one_seed_tells_no_doubt_about_the_smallest_count() -> None:
    seeds = {
        n: [Point("fixmatch", 10, (0.6, 0.7)[:n], 1.0), Point("fixmatch", 40, (0.9, 1.0)[:n], 1.0)] for n in (1, 2)
    }
    assert report_sweep._needed(seeds[1], 0.75) == "20", "half of the way from 10 to 40, by its logarithm"
    assert report_sweep._needed(seeds[2], 0.75) == "16 (13 to 20)", "0.65 and 0.95, each with an error of 0.05"
    assert report_sweep._needed(seeds[2], 0.3) == "at most 10" and report_sweep._needed([], 0.3) == "-"
