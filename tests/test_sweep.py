"""A sweep: its grid, which run belongs to which cell, the command line with several processes, a kill in the middle."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from sslcore import bench_gpu_told, console, cost, presets, session, sweep, sweep_plans, sweep_run
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.config import ConfigError
from sslcore.graph import EAGER
from sslcore.lab import Lab
from sslcore.options import parser, sweep_plan
from sslcore.store import Store
from sslcore.sweep import Plan
from sslcore.trainer import Trainer
from tests.test_lab import until

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
        (
            Plan("smoke", methods=("supervised", "")),
            "methods must be some of supervised, mixmatch, fixmatch, flexmatch, got ''",
        ),
        (Plan("smoke", seeds=(1, 1)), "seeds must not repeat itself, got 1 twice"),
        (Plan("smoke", seeds=(3, 9**400, 9**400)), f"seeds must not repeat itself, got {str(9**400)[:80]} twice"),
        (Plan("smoke", methods=("fixmatch", "magic")), "methods must be some of"),
        (Plan("smoke", settings={"train.seed": "3"}), "train.seed can't be set for a whole sweep, which varies it"),
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


def test_counts_are_written_as_they_are_read() -> None:
    assert sweep.span((0, 1, 2, 7)) == "0-2,7" and sweep.span((10, 20)) == "10,20" and sweep.span((3, 4)) == "3,4"
    for numbers in ((0,), tuple(range(10)), (5, 6, 7, 1, 2)):
        assert sweep.counts("seeds", sweep.span(numbers)) == numbers


@pytest.mark.parametrize("name", sweep.NAMED)
def test_named_sweeps_give_every_method_the_same_terms(name: str) -> None:
    plan = sweep.NAMED[name].plan
    grid = sweep.cells(plan)
    assert len(grid) == len(plan.methods) * len(plan.labels) and plan.methods == cfg.METHOD_NAMES
    terms = {
        (c.config.train.steps, c.config.train.batch, c.config.augment, c.config.model, c.config.data.source)
        for c in grid
    }
    assert len(terms) == 1, "steps, batch, augmentation, network and data are the same for all methods"


def test_the_command_of_a_plan_asks_for_that_plan() -> None:
    plan = Plan(
        "smoke",
        ("supervised", "flexmatch"),
        (10, 20),
        (0, 1, 2),
        {"train.steps": 7, "data.source": "folder:/a b", "train.ema_warmup": False},
    )
    words = shlex.split(sweep.command(plan))
    assert words[:4] == ["python", "-m", "sslcore", "sweep"]
    typed = sweep_plan(parser().parse_args(words[3:]))
    assert [cell.key for cell in sweep.cells(typed)] == [cell.key for cell in sweep.cells(plan)]


def test_a_plan_survives_being_written_down() -> None:
    assert sweep.from_json(sweep.to_json(SMALL)) == SMALL
    for bad in ("", "[]", "{}", '{"preset": "smoke", "methods": 3}'):
        with pytest.raises(ConfigError, match="can't be read"):
            sweep.from_json(bad)


def test_the_kept_plans_are_read_again_without_laying_out_their_grids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan("smoke", labels=(10, 20), seeds=tuple(range(7)))
    sweep_plans.keep(tmp_path, plan)
    monkeypatch.setattr(sweep, "cells", lambda *_: pytest.fail("a plan can have thousands of cells"))
    assert sweep_plans.kept(tmp_path) == [plan]


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


def test_of_several_runs_of_a_cell_the_one_that_is_farthest_ahead_belongs_to_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cell = sweep.cells(SMALL)[0]
    worst_first = [
        (ev.FAILED, 20), (ev.DIVERGED, 25), (ev.STOPPED, 5), (ev.PAUSED, 9), (ev.INTERRUPTED, 12), (ev.QUEUED, 0),
        (ev.RUNNING, 3), (ev.PAUSING, 4), (ev.STOPPING, 6), (ev.FINISHED, 30),
    ]  # fmt: skip
    made = [finish(store, cell.config, state=state, step=step) for state, step in worst_first]
    finish(store, cell.config)  # as good, but later
    runs = {run.id: run for run in store.runs()}
    for k in range(1, len(made) + 1):
        for order in (made[:k], made[k - 1 :: -1]):
            assert sweep.assign([cell], [runs[run_id] for run_id in order])[cell.key].id == made[k - 1]
    for every in (store.runs(), store.runs()[::-1]):
        assert sweep.assign([cell], every)[cell.key].id == made[-1], "of equals the earliest"


def test_how_far_a_sweep_is_is_one_sentence(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grid = sweep.cells(SMALL)
    assert console.sweep_sentence(grid, {}) == "0 of 8 runs finished"
    states = (ev.FINISHED, ev.FAILED, ev.DIVERGED, ev.RUNNING, ev.PAUSING, ev.QUEUED)
    for cell, state in zip(grid, states, strict=False):
        finish(store, cell.config, state=state)
    assert console.sweep_sentence(grid, sweep.assign(grid, store.runs())) == (
        "1 of 8 runs finished, 2 failed, at work: flexmatch 20 labels seed 0, supervised 10 labels seed 1"
    )


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

    def left() -> float | None:
        runs = store.runs()
        return sweep.seconds_left(grid, sweep.assign(grid, runs), sweep.speeds(runs))

    assert left() is None  # nothing known of FlexMatch
    finish(store, grid[1].config, seconds=2.0)
    assert left() == pytest.approx(3 * 1.0 + 3 * 2.0)  # 1 s and 2 s a run
    finish(store, grid[2].config, state=ev.PAUSED, step=10, seconds=1 / 3)
    assert left() == pytest.approx(2 * 1.0 + 20 / 30 * 1.0 + 3 * 2.0)
    finish(store, grid[3].config, state=ev.FAILED, seconds=2.0)
    assert left() == pytest.approx(2 * 1.0 + 20 / 30 * 1.0 + 2 * 2.0), "a failed cell isn't tried again by itself"
    far = finish(store, grid[1].config, seconds=900.0)
    store.update(far, host="elsewhere")
    assert left() == pytest.approx(2 * 1.0 + 20 / 30 * 1.0 + 2 * 2.0), "another machine's speed counts"


def test_a_speed_is_the_median_of_this_machines_own_runs_whatever_their_labels_and_seed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grid = [cell for cell in sweep.cells(SMALL) if cell.method == "flexmatch"]
    for cell, seconds in zip(grid, (3.0, 90.0, 6.0), strict=False):
        finish(store, cell.config, seconds=seconds)
    finish(store, grid[3].config, state=ev.QUEUED, step=0)
    for _ in range(3):
        finish(store, grid[3].config, seconds=900.0, summary={"imported": {"host": "elsewhere"}})
    (speed,) = sweep.speeds(store.runs()).values()
    assert speed == pytest.approx(6.0 / 30)


def test_a_cell_that_has_failed_or_diverged_has_no_steps_to_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cell = sweep.cells(SMALL)[0]
    left = {
        state: sweep.steps_left(cell, store.run(finish(store, cell.config, state=state, step=12)))
        for state in ev.STATES
        if state != ev.FINISHED
    }
    assert left.pop(ev.FAILED) == left.pop(ev.DIVERGED) == 0 and set(left.values()) == {18}
    assert sweep.steps_left(cell, None) == 30 and sweep.steps_left(cell, store.run(finish(store, cell.config))) == 0


@pytest.mark.parametrize(
    ("steps", "each", "timed", "evaluations"),
    [(30, 0.5, 6, 3 / 30), (30, 3.0, 2, 3 / 30), (2, 0.5, 6, 2 / 2)],  # three evaluations a run, but no step twice
)
def test_the_measured_cost_is_that_of_the_steps_and_of_evaluating_both_models(
    monkeypatch: pytest.MonkeyPatch, steps: int, each: float, timed: int, evaluations: float
) -> None:
    clock, taken = [0.0], [0]

    class Timed(Trainer):
        def train_round(self) -> int:
            clock[0] += 100.0 if taken[0] == 0 else 2 * each  # the first one warms up
            taken[0] += 2
            return 2

    def timed_evaluate(model: object, images: torch.Tensor, labels: torch.Tensor, *_: object) -> None:
        assert len(images) == len(labels)
        clock[0] += 0.001 * len(labels)

    monkeypatch.setattr(cost, "_now", lambda trainer: clock[0])
    monkeypatch.setattr(cost, "Trainer", Timed)
    monkeypatch.setattr(cost, "evaluate", timed_evaluate)
    grid = sweep.cells(dataclasses.replace(SMALL, methods=("fixmatch",), settings={"train.steps": steps}))
    (found,) = cost.measure(grid).values()
    assert taken[0] == 2 + timed, "cells that differ in labels and seed alone are measured once"
    assert found == pytest.approx(each + 2 * 0.001 * (360 + grid[0].labels) * evaluations)


def test_on_a_gpu_captured_steps_are_measured_and_no_other_runs_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Gpu:
        def wait(self) -> None:
            told.append("wait")

    class Timed(Trainer):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.gpu = Gpu()  # type: ignore[assignment]

        def train_round(self) -> int:
            told.append("step")
            return 1

    monkeypatch.setattr(cost, "Trainer", Timed)
    monkeypatch.setattr(cost, "evaluate", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: pytest.fail("a run that is captured meanwhile fails"))
    cost.measure(sweep.cells(dataclasses.replace(SMALL, methods=("fixmatch",)))[:1])
    assert told.index("wait") == EAGER + 1 and told.count("step") == EAGER + 1 + cost.STEPS


def test_command_line_trains_what_is_missing_and_uses_the_rest_again(tmp_path: Path) -> None:
    out, classes, page = (tmp_path / name for name in ("curve.csv", "classes.csv", "curve.html"))
    files = ["--out", str(out), "--per-class", str(classes), "--report", str(page)]
    first = subprocess.run(command(tmp_path, *files), capture_output=True, text=True, timeout=240)
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
    of_class = list(csv.DictReader(classes.open()))
    assert len(of_class) == 8 * 10
    for run in told["runs"]:
        mine = [row for row in of_class if row["run_id"] == run["run_id"]]
        right, images = (sum(int(row[name]) for row in mine) for name in ("right", "test_images"))
        assert right / images == pytest.approx(run["test_accuracy"], abs=1e-6)
    assert all(run["run_id"] in page.read_text() for run in told["runs"])
    assert [plan.labels for plan in sweep_plans.kept(tmp_path)] == [(10, 20)], "the page knows of this sweep"

    began = time.monotonic()
    second = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=240)
    assert json.loads(second.stdout)["runs"] == told["runs"], "finished cells were trained again"
    assert len(Store(tmp_path).runs()) == 8 and time.monotonic() - began < 60


@pytest.mark.parametrize("option", ["--out", "--per-class", "--report"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_trained(tmp_path: Path, option: str) -> None:
    done = subprocess.run(
        command(tmp_path / "runs", option, str(tmp_path / "no" / "file")), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and f"{option} must be a file in a folder that exists" in done.stderr
    assert len(done.stderr.splitlines()) <= 2 and not list((tmp_path / "runs").glob("*-s0-*"))


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


def test_two_tabs_that_start_the_same_sweep_at_once_make_its_runs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    lab = Lab(Store(tmp_path))
    threads = [threading.Thread(target=sweep_run.queue, args=(lab, SMALL)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lab.store.runs()) == 8 and {run.state for run in lab.store.runs()} == {ev.QUEUED}
    lab.close()


def test_cells_that_share_a_device_have_the_numbers_that_each_has_alone(tmp_path: Path) -> None:
    plan = sweep.Plan("smoke", ("supervised", "fixmatch"), (10, 20), settings={"train.steps": 9, "train.threads": 1})
    shas = []
    for at_once in (1, 3):
        store = Store(tmp_path / str(at_once))
        sweep_run.train_cells(store.root, sweep.cells(plan), "smoke", False, at_once)
        found = sweep.assign(sweep.cells(plan), store.runs())
        assert [run.state for run in found.values()] == [ev.FINISHED] * 4, [run.error for run in found.values()]
        shas.append({key: run.summary["weights_sha256"] for key, run in found.items()})
        order = [run.id for run in sorted(found.values(), key=lambda run: run.started or 0)]
        ends = {run.id: run.ended for run in found.values()}
        overlap = store.run(order[1]).started < ends[order[0]]  # type: ignore[operator]
        assert overlap == (at_once > 1), "three of them take their steps in turn"
    assert shas[0] == shas[1] and len(set(shas[0].values())) == 4


def test_a_run_that_is_deleted_while_it_waits_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = sweep.Plan("smoke", ("supervised",), (10, 20, 30), settings={"train.steps": 9, "train.threads": 1})
    store, follow = Store(tmp_path), console.follow

    def deleting(lab: Lab, run_id: str, quiet: bool) -> ev.Run:
        if lab.store.run(run_id).labels == 20:
            until(lambda: lab.store.run(run_id).state == ev.FINISHED)
            lab.store.delete(run_id)
        return follow(lab, run_id, quiet)

    monkeypatch.setattr(console, "follow", deleting)
    sweep_run.train_cells(tmp_path, sweep.cells(plan), "smoke", False, 1)
    assert [(run.labels, run.state) for run in store.runs()] == [(30, ev.FINISHED), (10, ev.FINISHED)]


def test_runs_of_a_folder_s_older_files_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    folder = tmp_path / "pets"
    for number in range(16):
        path = folder / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (10 * number, 90, 40)).save(path)
    settings = {"data.source": f"folder:{folder}", "data.image_size": 16, "train.steps": 2, "train.threads": 1}
    plan = sweep.Plan("smoke", ("supervised",), (4,), (0,), settings)
    store = Store(tmp_path / "runs")

    def sweep_once() -> tuple[str, int]:
        sweep_run.train_cells(store.root, sweep_run.cells_now(plan), "smoke", False, 1)
        grid = sweep_run.cells_now(plan)
        (found,) = sweep.assign(grid, store.runs()).values()
        assert found.state == ev.FINISHED, found.error
        return found.id, sweep.outdated(grid, store.runs())

    first = sweep_once()
    assert sweep_once() == first == (first[0], 0), "the same files: the finished run is used again"
    Image.new("RGB", (16, 16), (1, 2, 3)).save(folder / "cat" / "new.png")
    second, outdated = sweep_once()
    assert second != first[0] and outdated == 1 and len(store.runs()) == 2
    (folder / "cat" / "new.png").unlink()
    assert sweep_once() == (first[0], 1), "the folder holds again what the first run was of"
    shutil.rmtree(folder)
    assert sweep_run.files_now(sweep.cells(plan)[0].config) == "", "gone: what is known stays in sight"


def test_a_run_that_shares_a_gpu_takes_the_steps_that_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = sweep.Plan("smoke", ("supervised", "fixmatch"), (10,), settings={"train.steps": 24, "train.threads": 1})
    looks = itertools.cycle([0, 1])
    taken: list[tuple[str, int | None, int]] = []
    advance = session.Stay.advance

    def watched(stay: session.Stay, leave_now: threading.Event, steps: int | None = None) -> str | None:
        taken.append((stay.trainer.config.method.name, steps, stay.trainer.step))
        return advance(stay, leave_now, steps)

    def room(stay: session.Stay) -> int:
        return 6 if stay.trainer.config.method.name == "supervised" else next(looks)

    monkeypatch.setattr(session.Stay, "room", room)
    monkeypatch.setattr(session.Stay, "advance", watched)
    sweep_run.train_cells(tmp_path, sweep.cells(plan), "smoke", False, 2)
    both = [(name, steps) for name, steps, step in taken if step > 0]
    assert {steps for name, steps in both if name == "supervised"} == {6}
    last = max(k for k, (name, _) in enumerate(both) if name == "supervised")
    slow = [steps for name, steps in both[:last] if name == "fixmatch"]
    assert set(slow) == {1} and len(slow) <= 3, "every other time there was no room, and nobody waited for it"
    assert {run.state for run in Store(tmp_path).runs()} == {ev.FINISHED}


def test_how_many_share_a_gpu_is_what_was_measured_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path))
    monkeypatch.setattr("sslcore.trainer.choose_device", lambda wanted: torch.device("cuda"))
    monkeypatch.setattr("sslcore.trainer.device_name", lambda device: "a card")
    plan = sweep.Plan("smoke", ("supervised", "mixmatch"))
    assert sweep_run.parallel_runs("auto", plan) == 1, "never measured"
    bench_gpu_told.saved({"supervised": 8, "mixmatch": 4, "fixmatch": 1}, "a card")
    assert sweep_run.parallel_runs("auto", plan) == 4
    assert sweep_run.parallel_runs("auto", dataclasses.replace(plan, methods=("fixmatch",))) == 1
    assert sweep_run.parallel_runs("3", plan) == 3
