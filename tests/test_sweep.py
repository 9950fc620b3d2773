"""A sweep: its grid, which run belongs to which cell, the command line with several processes, a kill in the middle."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sslcore import config as cfg
from sslcore import events as ev
from sslcore import presets, sweep
from sslcore.config import ConfigError
from sslcore.store import Store
from sslcore.sweep import Plan

SMALL = Plan("smoke", ("supervised", "flexmatch"), (10, 20), (0, 1), {"train.threads": 1})
ARGUMENTS = ["sweep", "--preset", "smoke", "--labels", "10,20", "--set", "train.threads=1", "--parallel", "2"]


def command(root: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "sslcore", *ARGUMENTS, "--root", str(root), "--json", *more]


def finish(
    store: Store, config: cfg.RunConfig, accuracy: float = 0.5, state: str = ev.FINISHED, **columns: object
) -> str:
    run_id = store.create(config, preset="smoke")
    store.update(
        run_id,
        state=state,
        step=config.train.steps,
        seconds=1.0,
        summary={"test_accuracy": accuracy, "engine": ev.ENGINE},
    )
    store.update(run_id, **columns) if columns else None
    return run_id


def test_the_grid_begins_with_a_whole_curve_and_gives_every_method_the_same_terms() -> None:
    grid = sweep.cells(SMALL)
    assert [(c.seed, c.labels, c.method) for c in grid[:4]] == [
        (0, 10, "supervised"), (0, 10, "flexmatch"), (0, 20, "supervised"), (0, 20, "flexmatch")
    ]  # fmt: skip
    assert len(grid) == 8 and len({c.key for c in grid}) == 8
    for cell in grid:
        same = presets.build(
            "smoke", cell.method, {"data.labels": cell.labels, "train.seed": cell.seed, "train.threads": 1}
        )
        assert cell.config == same
    assert len({(c.config.train.steps, c.config.train.batch, c.config.augment) for c in grid}) == 1


def test_a_methods_own_setting_is_passed_over_by_those_that_lack_it() -> None:
    grid = sweep.cells(Plan("smoke", labels=(10,), settings={"method.threshold": "0.5"}))
    told = {cell.method: getattr(cell.config.method, "threshold", None) for cell in grid}
    assert told == {"supervised": None, "mixmatch": None, "fixmatch": 0.5, "flexmatch": 0.5}


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan("smoke", labels=()), "labels must name at least one"),
        (Plan("smoke", seeds=(1, 1)), "seeds must not repeat"),
        (Plan("smoke", methods=("fixmatch", "magic")), "method must be one of"),
        (Plan("smoke", settings={"train.seed": "3"}), "train.seed is what a sweep varies"),
        (Plan("smoke", settings={"method.magic": "3"}), "unknown setting 'method.magic'"),
        (Plan("smoke", seeds=tuple(range(600))), "at most 2,000 runs, got 12,000"),
        (Plan("nothing"), "preset must be one of"),
    ],
)
def test_what_cannot_be_swept_is_one_sentence(plan: Plan, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sweep.cells(plan)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_counts_are_read() -> None:
    assert sweep.counts("labels", "10,20, 40") == (10, 20, 40)
    assert sweep.counts("seeds", "0-3,7") == (0, 1, 2, 3, 7)
    for bad in ("", "a", "1,,2", "-3", "3-1", "0-999999"):
        with pytest.raises(ConfigError, match="labels must be"):
            sweep.counts("labels", bad)


def test_a_plan_survives_being_written_down() -> None:
    assert sweep.from_json(sweep.to_json(SMALL)) == SMALL
    for bad in ("", "[]", "{}", '{"preset": "smoke", "methods": 3}'):
        with pytest.raises(ConfigError, match="can't be read"):
            sweep.from_json(bad)


def test_which_run_belongs_to_a_cell(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cell, other = sweep.cells(SMALL)[:2]
    paused = finish(store, cell.config, state=ev.PAUSED)
    finish(store, cell.config, state=ev.FAILED)
    finish(store, other.config, changed=True)  # its settings were changed: no cell
    finish(store, other.config, summary={"fork": {"run": "x", "step": 3}})
    finish(store, other.config, summary={"engine": ev.ENGINE - 1})
    found = sweep.assign(sweep.cells(SMALL), store.runs())
    assert {key: run.id for key, run in found.items()} == {cell.key: paused}
    done = finish(store, cell.config)
    finish(store, cell.config, state=ev.QUEUED)
    assert sweep.assign(sweep.cells(SMALL), store.runs())[cell.key].id == done


def test_csv_has_one_row_a_cell_and_no_formula(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grid = sweep.cells(SMALL)
    run_id = finish(store, grid[0].config, 0.875)
    rows = list(csv.DictReader(io.StringIO(sweep.to_csv(grid, sweep.assign(grid, store.runs()), "smoke"))))
    assert [(row["method"], int(row["labels"]), int(row["seed"])) for row in rows] == [
        (c.method, c.labels, c.seed) for c in grid
    ]
    assert rows[0]["run_id"] == run_id and float(rows[0]["test_accuracy"]) == 0.875 and rows[0]["status"] == "finished"
    assert [row["status"] for row in rows[1:]] == ["missing"] * 7 and rows[1]["test_accuracy"] == ""


def test_time_left_comes_from_runs_of_the_same_kind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grid = sweep.cells(SMALL)
    finish(store, grid[0].config)
    assert (
        sweep.seconds_left(grid, sweep.assign(grid, store.runs()), store.runs()) is None
    )  # nothing known of FlexMatch
    finish(store, grid[1].config)
    assert sweep.seconds_left(grid, sweep.assign(grid, store.runs()), store.runs()) == pytest.approx(6.0)  # 1 s a run


def test_command_line_trains_what_is_missing_and_uses_the_rest_again(tmp_path: Path) -> None:
    out = tmp_path / "curve.csv"
    first = subprocess.run(command(tmp_path, "--out", str(out)), capture_output=True, text=True, timeout=240)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["whole"] and len(told["runs"]) == 8 and {run["status"] for run in told["runs"]} == {"finished"}
    assert {(p["method"], p["labels"], p["n"]) for p in told["curve"]} == {
        (m, n, 1) for m in cfg.METHOD_NAMES for n in (10, 20)
    }
    rows = list(csv.DictReader(out.open()))
    assert {row["run_id"]: float(row["test_accuracy"]) for row in rows} == {
        run["run_id"]: run["test_accuracy"] for run in told["runs"]
    }

    began = time.monotonic()
    second = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=240)
    assert json.loads(second.stdout)["runs"] == told["runs"], "finished cells were trained again"
    assert len(Store(tmp_path).runs()) == 8 and time.monotonic() - began < 60


def test_a_failed_cell_does_not_stop_the_rest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    broken = sweep.cells(Plan("smoke", ("supervised",), (10,), (0,), {"train.threads": 1}))[0]
    run_id = store.create(broken.config, preset="smoke", state=ev.STOPPED)
    (store.folder(run_id) / "last.pt").write_bytes(b"not a checkpoint")
    done = subprocess.run(command(tmp_path, "--methods", "supervised"), capture_output=True, text=True, timeout=240)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["whole"]
    assert [(run["labels"], run["status"]) for run in told["runs"]] == [(10, "failed"), (20, "finished")]
    assert told["runs"][0]["run_id"] == run_id and "last.pt" in store.run(run_id).error


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_it_goes_on_and_repeats_nothing(tmp_path: Path, sign: signal.Signals) -> None:
    more = ["--methods", "supervised,flexmatch", "--steps", "400"]
    process = subprocess.Popen(command(tmp_path, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store, deadline = Store(tmp_path), time.monotonic() + 120
    while not any(run.state == ev.FINISHED for run in store.runs()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, sign)
    _, words = process.communicate(timeout=60)
    if sign == signal.SIGINT:
        assert process.returncode == 130 and "go on with: python -m sslcore sweep --preset smoke" in words
    while any(run.state in ev.ACTIVE for run in store.runs()):  # workers leave with their parent
        assert time.monotonic() < deadline
        store.reconcile()
        time.sleep(0.05)
    finished = {run.id: run.ended for run in store.runs() if run.state == ev.FINISHED}
    assert 0 < len(finished) < 4

    again = subprocess.run(command(tmp_path, *more), capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, again.stderr
    runs = {run.id: run for run in store.runs()}
    assert {run.state for run in runs.values()} == {ev.FINISHED} and len(runs) == 4, "a run was lost or doubled"
    assert {run_id: runs[run_id].ended for run_id in finished} == finished, "a finished run was trained again"
