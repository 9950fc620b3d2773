"""The run store: round trips, thinning, commands, several writers, dead owners."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sslcore import events as ev
from sslcore import presets
from sslcore.files import write_atomically
from sslcore.process import alive, process_mark
from sslcore.store import Store, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def new_run(store: Store, **changes: str) -> str:
    return store.create(presets.build("smoke", "flexmatch", changes), preset="smoke")


def log(store: Store, run_id: str, steps: range) -> None:
    points = [ev.MetricPoint(ev.TRAIN, step, step / 10, {"train/loss": float(step)}) for step in steps]
    store.log(
        run_id,
        points,
        [ev.ArrayPoint("flex/threshold", step, step / 10, np.full(3, step)) for step in steps],
        step=steps[-1],
    )


def test_a_run_comes_back_as_written(store: Store) -> None:
    run_id = new_run(store, **{"data.labels": "30", "train.seed": "7"})
    run = store.run(run_id)
    assert (run.state, run.method, run.labels, run.seed, run.preset, run.pid) == (
        "queued",
        "flexmatch",
        30,
        7,
        "smoke",
        os.getpid(),
    )
    assert store.run(run_id[:-2]).id == run_id, "a unique beginning is enough"
    assert (store.folder(run_id) / "config.json").exists()
    with pytest.raises(StoreError, match="no run is called 'nobody'"):
        store.run("nobody")
    new_run(store)
    with pytest.raises(StoreError, match="2 runs begin with 'flexmatch'"):
        store.run("flexmatch")


def test_points_and_arrays_come_back_in_columns(store: Store) -> None:
    run_id = new_run(store)
    store.log(run_id, [ev.MetricPoint(ev.TRAIN, 1, 0.1, {"train/loss": 2.5})], step=1)
    store.log(run_id, [ev.MetricPoint(ev.TRAIN, 2, 0.2, {"train/loss": 2.0, "train/purity": 0.5})], step=2)
    store.log(
        run_id,
        [ev.MetricPoint(ev.EVAL, 2, 0.2, {"eval/test/accuracy": 0.4})],
        [ev.ArrayPoint("flex/threshold", 2, 0.2, np.arange(3))],
    )
    columns = store.points(run_id, ev.TRAIN)
    assert columns["step"].tolist() == [1, 2] and columns["train/loss"].tolist() == [2.5, 2.0]
    assert np.isnan(columns["train/purity"][0]) and columns["train/purity"][1] == 0.5
    assert store.points(run_id, ev.EVAL)["eval/test/accuracy"].tolist() == [0.4]
    steps, values = store.arrays(run_id, "flex/threshold")
    assert steps.tolist() == [2] and values.tolist() == [[0, 1, 2]]
    assert store.version(run_id) == (2, 1)
    assert store.points(run_id, "nothing")["step"].size == 0


def test_thinning_is_a_stable_power_of_two_and_keeps_the_last(store: Store) -> None:
    run_id = new_run(store)
    previous: set[int] = set()
    for begin in range(0, 1000, 100):
        log(store, run_id, range(begin, begin + 100))
        steps = store.points(run_id, ev.TRAIN, limit=100)["step"].tolist()
        strides = set(np.diff(steps[:-1]).tolist())
        assert len(steps) <= 100 and len(strides) == 1 and steps[-1] == begin + 99
        assert strides.pop() in (1, 2, 4, 8, 16)
        grid = set(steps[:-1])
        assert grid <= previous | set(range(begin, begin + 100)) or begin == 0, (
            "old points are only dropped, never moved"
        )
        previous = grid | {steps[-1]} | previous
        assert store.arrays(run_id, "flex/threshold", limit=100)[0].tolist() == steps


def test_rewind_forgets_what_came_after(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, range(20))
    store.rewind(run_id, 9)
    assert store.points(run_id, ev.TRAIN)["step"].tolist() == list(range(10))
    assert store.run(run_id).step == 9
    log(store, run_id, range(10, 12))
    assert store.points(run_id, ev.TRAIN)["step"].tolist() == list(range(12))


def test_commands_are_taken_once_and_forgotten_at_rest(store: Store) -> None:
    run_id = new_run(store)
    assert store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    assert not store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED]), "nobody starts it twice"
    store.post(run_id, "set", {"method.threshold": 0.8})
    assert store.move(run_id, ev.PAUSING, only_from=[ev.RUNNING], command="pause")
    assert [(c.name, c.value) for c in store.take(run_id, 44)] == [("set", {"method.threshold": 0.8}), ("pause", {})]
    assert store.take(run_id, 44) == []
    store.post(run_id, "pause")
    store.post(run_id, "set", {"method.threshold": 0.7})
    store.move(run_id, ev.PAUSED, only_from=ev.ACTIVE)
    assert [c.name for c in store.take(run_id, 44)] == ["set"], (
        "an old pause must not meet the next start, a setting must"
    )
    assert [e.data["state"] for e in store.events(run_id) if e.kind == "state"] == [
        "queued",
        "running",
        "pausing",
        "paused",
    ]


def test_many_threads_write_and_read_at_once(store: Store) -> None:
    run_ids = [new_run(store) for _ in range(4)]
    errors: list[BaseException] = []

    def work(run_id: str) -> None:
        try:
            for k in range(50):
                store.log(run_id, [ev.MetricPoint(ev.TRAIN, k, 0.0, {"train/loss": 1.0})], step=k)
                store.points(run_id, ev.TRAIN)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(run_id,)) for run_id in run_ids * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [store.version(run_id)[0] for run_id in run_ids] == [100] * 4


def test_a_killed_writer_leaves_a_readable_store_and_an_interrupted_run(store: Store) -> None:
    code = (
        "import sys, time; from sslcore.store import Store; from sslcore import presets, events as ev\n"
        "s = Store(sys.argv[1]); r = s.create(presets.build('smoke')); s.move(r, 'running', only_from=['queued']); print(r, flush=True)\n"
        "k = 0\n"
        "while True: s.log(r, [ev.MetricPoint('train', k, 0.0, {'train/loss': 1.0})], step=k); k += 1\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    run_id = child.stdout.readline().strip()
    deadline = time.monotonic() + 20
    while store.version(run_id)[0] < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.reconcile() == [], "it lives"
    child.kill()
    child.wait()
    assert store.reconcile() == [run_id]
    assert store.run(run_id).state == ev.INTERRUPTED
    points = store.points(run_id, ev.TRAIN, limit=10**6)["step"].tolist()
    assert points == list(range(len(points))) and len(points) >= 20
    assert store.reconcile() == []


def test_another_process_with_the_same_pid_is_not_the_owner() -> None:
    mark = process_mark(os.getpid())
    assert alive(os.getpid(), mark)
    assert not alive(os.getpid(), mark + "1")
    assert not alive(2**22 + 5, mark)


def test_delete_removes_rows_and_folder_but_never_an_active_run(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, range(3))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    with pytest.raises(StoreError, match="is running; stop it"):
        store.delete(run_id)
    store.move(run_id, ev.FINISHED, only_from=ev.ACTIVE)
    store.delete(run_id)
    assert store.runs() == [] and not store.folder(run_id).exists() and store.version(run_id) == (0, 0)


def test_a_run_whose_row_is_as_it_was_is_listed_as_the_same_object(store: Store) -> None:
    first, second = new_run(store), new_run(store)
    before = {run.id: run for run in store.runs()}
    store.update(second, summary={"test_accuracy": 0.5}, step=3)
    after = {run.id: run for run in store.runs()}
    assert after[first] is before[first], "a page that lists thousands every second must not read each anew"
    assert (after[second].step, after[second].summary) == (3, {"test_accuracy": 0.5}) and before[second].step == 0
    store.delete(first)
    assert [run.id for run in store.runs()] == [second] and list(store._seen) == [second], "the deleted is forgotten"


def test_who_is_at_work_is_found_without_reading_every_run(store: Store) -> None:
    asked: list[str] = []
    store._connection().set_trace_callback(asked.append)
    store.at_work()
    store.waiting()
    store.reconcile()
    store._connection().set_trace_callback(None)
    for query in asked:
        plan = " ".join(row["detail"] for row in store._connection().execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "SCAN runs" not in plan and "USING INDEX states" in plan, f"{query}: {plan}"
    assert len(asked) == 3


def test_a_store_of_a_newer_version_or_an_unusable_folder_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store._connection().execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be used"):
        Store(tmp_path / "file")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, lambda temp: temp.write_text("old"))

    def fail(temp: Path) -> None:
        temp.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
