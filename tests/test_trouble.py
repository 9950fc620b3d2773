"""Whatever else may happen to a run: two processes, a clock that is set back, no memory, lost images, a hostile name."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sslcore import checkpoint, naming, presets, recorder, report, tables
from sslcore import events as ev
from sslcore.__main__ import main
from sslcore.console import sentence
from sslcore.lab import Lab
from sslcore.methods.flexmatch import FlexMatch
from sslcore.process import HOST, process_mark
from sslcore.session import OutOfMemory, _enough_memory
from sslcore.store import Store, StoreError
from tests.test_lab import a_checkpoint_each_step, config, until, wait
from tests.test_store import new_run

# -- two processes ---------------------------------------------------------------------------------------------------------

# Each process starts, resumes, pauses and steps the same run as fast as it can. Who trains holds a file that only one can make.
RIVAL = """
import os, random, sys, threading, time
from sslcore import events as ev, lab as lab_module, session
from sslcore.lab import Lab
from sslcore.store import Store
root, run_id, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Stay:  # in the place of the trainer: what is asked is who may train, not what
    def __init__(self, store, run_id):
        self.store, self.run_id = store, run_id
    def advance(self, leave_now, steps):
        try:
            held = os.open(os.path.join(root, "held"), os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            open(os.path.join(root, "two at once"), "w").close()
            raise
        try:
            for step in range(10_000):
                time.sleep(0.001)
                self.store.log(self.run_id, [ev.MetricPoint(ev.TRAIN, step, 0.0, {"train/loss": 1.0})])
                if leave_now.is_set():
                    return ev.INTERRUPTED
                for command in self.store.take(self.run_id, step):
                    return {"pause": ev.PAUSED, "stop": ev.STOPPED}[command.name]
        finally:
            os.close(held)
            os.unlink(os.path.join(root, "held"))
session.Stay = Stay
lab, chance = Lab(Store(root)), random.Random(seed)
for _ in range(150):
    getattr(lab, chance.choice(["resume", "resume", "resume", "pause", "stop", "step"]))(run_id)
    lab.store.reconcile()
    time.sleep(chance.uniform(0, 0.01))
lab.close()
"""


def test_two_processes_ask_for_one_run_and_one_trains(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = store.create(config(), state=ev.PAUSED)
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, str(tmp_path), run_id, str(seed)], stderr=subprocess.PIPE, text=True
        )
        for seed in (0, 1)
    ]
    for rival in rivals:
        err = rival.communicate(timeout=120)[1]
        assert rival.returncode == 0, err
    store.reconcile()
    run = store.run(run_id)
    assert run.state not in (ev.FAILED, *ev.ACTIVE) and run.error == "", run.error
    taken = [event for event in store.events(run_id) if event.data == {"state": ev.RUNNING}]
    assert taken, "they did train"
    assert not (tmp_path / "held").exists() and not (tmp_path / "two at once").exists()


def test_who_has_lost_a_run_writes_no_more_into_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = new_run(store)
    store.update(run_id, **RIVAL_OWNER)
    with pytest.raises(StoreError, match=f"run {run_id} is no longer this process's"):
        store.log(run_id, [ev.MetricPoint(ev.TRAIN, 1, 0.1, {"train/loss": 1.0})])
    assert len(store.points(run_id, ev.TRAIN)["step"]) == 0, "all or nothing"


RIVAL_OWNER = {
    "host": HOST,
    "pid": os.getppid(),
    "process": process_mark(os.getppid()),
}  # another process, and it lives


def test_a_run_that_another_process_takes_at_the_same_moment_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    run_id = new_run(store)
    store.update(run_id, pid=2**22 + 1, process="dead:1")
    read, lab = store.run, Lab(store)

    def raced(asked: str) -> ev.Run:  # between the look and the deed, the other one does the same
        run = read(asked)
        store.move(run_id, ev.QUEUED, only_from=[ev.QUEUED], **RIVAL_OWNER)
        return run

    monkeypatch.setattr(store, "run", raced)
    lab.resume(run_id)
    monkeypatch.setattr(store, "waiting", lambda *_: [run_id])  # as read just before it was lost
    assert not lab._take(run_id)
    run = read(run_id)
    assert (run.state, run.pid, run.process) == (ev.QUEUED, RIVAL_OWNER["pid"], RIVAL_OWNER["process"])
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    lab._rest(run_id, ev.FAILED, "what went wrong here")
    assert read(run_id).state == ev.RUNNING and read(run_id).error == "", "the other one's run has not failed"
    lab.close()


# -- the clock -------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_changes_no_order_and_no_duration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, lock = [2_000_000_000.0], threading.Lock()

    def back() -> float:  # every look at the clock finds it a quarter of an hour earlier
        with lock:
            now[0] -= 900.0
            return now[0]

    monkeypatch.setattr(time, "time", back)
    monkeypatch.setattr(recorder, "WINDOW", 0.0)
    lab = Lab(Store(tmp_path))
    long = lab.start(config(**{"train.steps": "100000", "train.evals": "1"}))
    until(lambda: lab.store.run(long).step > 2)
    waiting = [lab.start(config("supervised", **{"train.steps": "3"})) for _ in range(3)]
    assert lab.store.waiting() == waiting, "the first that asked is the first in the queue"
    assert lab.store.reconcile() == [] and lab.store.run(long).state == ev.RUNNING
    lab.pause(long)
    for run_id in waiting:
        wait(lab, run_id, ev.FINISHED)
    begun = [min(e.time for e in lab.store.events(each) if e.data == {"state": ev.RUNNING}) for each in waiting]
    assert begun == sorted(begun, reverse=True), "in this order, by a clock that runs backwards"
    lab.step(long, 3)
    until(lambda: lab.store.run(long).state == ev.PAUSED and lab.store.run(long).until is None)
    run = lab.store.run(long)
    seconds = lab.store.points(long, ev.TRAIN, limit=10**6)["seconds"]
    assert (np.diff(seconds) > 0).all() and 0 < seconds[0] < seconds[-1] <= run.seconds < 300
    assert run.ended is not None and run.started is not None and run.ended < run.started, "as the clock had it"
    assert "-" not in sentence(run).partition(" after ")[2].partition(" s of")[0]
    lab.close()


# -- no memory, an exception -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ..."), True),
        (RuntimeError("a shape that nobody expected"), False),
    ],
    ids=["cuda", "another"],
)
def test_what_goes_wrong_in_a_step_is_said_and_the_last_good_checkpoint_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, told: bool
) -> None:
    a_checkpoint_each_step(monkeypatch)
    step, failing = FlexMatch.step, [True]

    def broken(self: Any, model: Any, batch: Any, number: int) -> Any:
        if number == 17 and failing:
            raise problem
        return step(self, model, batch, number)

    monkeypatch.setattr(FlexMatch, "step", broken)
    lab = Lab(Store(tmp_path))
    run_id, after = lab.start(config()), lab.start(config("supervised"))
    run = wait(lab, run_id, ev.FAILED)
    if told:
        assert run.error == (
            "the memory for training ran out; start again with a lower method.mu (2) or train.batch (10)"
        )
    else:
        assert run.error.startswith("Traceback") and "a shape that nobody expected" in run.error
    assert checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"] == 17
    assert wait(lab, after, ev.FINISHED).state == ev.FINISHED, "the next run starts"
    failing.clear()
    lab.resume(run_id)
    assert wait(lab, run_id, ev.FINISHED, ev.FAILED).state == ev.FINISHED
    lab.close()


def test_every_kind_of_no_memory_is_told_and_what_is_lowest_already_is_not_named() -> None:
    config = presets.build("smoke", "mixmatch", {"train.batch": "1", "model.net": "wrn"})
    cpu = RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory")
    for problem in (cpu, MemoryError(), torch.OutOfMemoryError("CUDA out of memory")):
        with (
            pytest.raises(OutOfMemory, match=r"with a lower model\.widen_factor \(2\) or method\.views \(2\)$"),
            _enough_memory(config),
        ):
            raise problem


# -- a setting, then a kill ------------------------------------------------------------------------------------------------


def test_what_was_set_after_the_last_checkpoint_acts_again_at_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = recorder.Recorder.save  # none by the clock: it would depend on the machine's load
    monkeypatch.setattr(
        recorder.Recorder, "save", lambda self, wait=False: save(self, wait) if self.trainer.step == 30 else None
    )
    seen: list[tuple[int, float]] = []
    step, stop_at = FlexMatch.step, [19]

    def watched(self: Any, model: Any, batch: Any, number: int) -> Any:
        if number == 12 and stop_at:
            lab.store.post(run_id, "set", {"method.threshold": 0.4})  # acts at step 13
        if number in stop_at:
            stop_at.clear()
            raise SystemError("as good as a kill")
        seen.append((number, self.config.threshold))
        return step(self, model, batch, number)

    monkeypatch.setattr(FlexMatch, "step", watched)
    lab = Lab(Store(tmp_path))
    run_id = lab.store.create(config())  # of this process: the Lab takes it up
    lab._work()
    wait(lab, run_id, ev.FAILED)
    kept = checkpoint.newest(lab.store.folder(run_id))[0]
    assert kept is not None and kept["step"] == 10 and kept["config"]["method"]["threshold"] != 0.4
    before = [pair for pair in seen if pair[0] >= 10]
    seen.clear()
    lab.resume(run_id)
    run = wait(lab, run_id, ev.FINISHED)
    assert seen[: len(before)] == before and before[-1] == (18, 0.4) and before[2] == (12, before[0][1])
    assert run.changed and run.config["method"]["threshold"] == 0.4
    assert len([event for event in lab.store.events(run_id) if event.kind == "set"]) == 1
    lab.close()


# -- images that are others now --------------------------------------------------------------------------------------------


def test_images_that_changed_or_went_are_said_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    pictures, chance = tmp_path / "pictures", np.random.default_rng(0)
    for kind, number in itertools.product(("ash", "oak"), range(24)):
        (pictures / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (12, 12, 3), np.uint8)).save(pictures / kind / f"{number}.png")
    lab = Lab(Store(tmp_path / "runs"))
    settings = {
        "data.source": f"folder:{pictures}",
        "data.labels": "4",
        "data.image_size": "16",
        "train.steps": "100000",
    }
    run_id = lab.start(config("supervised", **settings))
    until(lambda: lab.store.run(run_id).step > 3 or lab.store.run(run_id).state == ev.FAILED)
    lab.pause(run_id)
    paused = wait(lab, run_id, ev.PAUSED)
    last = lab.store.folder(run_id) / checkpoint.LAST
    content, points = last.read_bytes(), lab.store.points(run_id, ev.TRAIN)["step"].tolist()

    def refused(*words: str) -> None:
        lab.resume(run_id)
        run = wait(lab, run_id, ev.FAILED)
        assert all(word in run.error for word in words) and "\n" not in run.error, run.error
        assert last.read_bytes() == content and run.step == paused.step
        assert lab.store.points(run_id, ev.TRAIN)["step"].tolist() == points

    one = pictures / "ash" / "3.png"
    was = one.read_bytes()
    Image.new("RGB", (12, 12), "red").save(one)
    refused("data.source", str(pictures), "no longer holds the images that this run began with")
    one.unlink()
    refused("data.source", "no longer holds the images")
    shutil.move(pictures, tmp_path / "elsewhere")
    refused("there is no folder", str(pictures))
    shutil.move(tmp_path / "elsewhere", pictures)
    one.write_bytes(was)
    lab.resume(run_id)
    until(lambda: lab.store.run(run_id).step > paused.step)
    lab.close()


# -- names -----------------------------------------------------------------------------------------------------------------

NAMES = (
    "../../x", "/etc/passwd", "a\0b", "<script>alert(1)</script>", "=HYPERLINK(\"http://x\")", "\u202eevil\u2066", "🦊 \U0001f1e9\U0001f1ea é",
    "two\nlines\tand\x1b[31m red", "CON", ".", "..", "' OR 1=1; --", "{run_id}", "%s%n", "[b](javascript:alert(1))", "\ud800", " " * 50,
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_hostile_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    root = tmp_path / "runs"
    lab = Lab(Store(root))
    lab._work = lambda: None  # type: ignore[method-assign]
    run = lab.store.run(lab.start(config(), name=name))
    assert run.name == (naming.clean_name(name) or run.id) and run.name.isprintable() and len(run.name) <= 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == [run.id]
    report.write_report(lab.store, [run.id], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "javascript:alert(1)'" not in page
    assert not tables.safe_cell(run.name).startswith(("=", "+", "-", "@"))
    with pytest.raises(StoreError, match=r"no run is called|runs begin with"):
        lab.store.delete(name)
    assert lab.store.run(run.id).state == ev.QUEUED
    lab.close()


def test_a_name_of_ten_thousand_signs_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["train", "--preset", "smoke", "--name", "x" * 10_000, "--root", str(tmp_path)])
    out, err = capsys.readouterr()
    assert status == 2 and out == ""
    assert err == "error: the name of a run may have up to 80 characters, got 10,000\n"
    assert Store(tmp_path).runs() == []
