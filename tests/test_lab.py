"""A run's life in a background thread: every state and command, from this process and from another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sslcore import checkpoint, commands, data, keyframes, presets, recorder
from sslcore import events as ev
from sslcore.config import METHOD_NAMES, ConfigError
from sslcore.lab import Lab
from sslcore.lab import lab as lab_of
from sslcore.session import Stay, evaluate_run
from sslcore.store import Store, StoreError
from sslcore.trainer import Trainer
from sslcore.writer import Writer
from tests import forge
from tests.fill_store import fill
from tests.test_trainer import assert_same


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(Store(tmp_path))
    yield made
    made.close()


def config(method: str = "flexmatch", **settings: str):  # type: ignore[no-untyped-def]
    return presets.build("smoke", method, {"train.threads": "1", **settings})


def a_checkpoint_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a checkpoint written after each step, and each waited for, however slow the disk is."""
    save = recorder.Recorder.save
    monkeypatch.setattr(recorder, "CHECKPOINT_EVERY", 0.0)
    monkeypatch.setattr(Writer, "busy", False)  # with an evaluation's keyframe, too
    monkeypatch.setattr(recorder.Recorder, "save", lambda self, wait=False: save(self, wait=True))


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def wait(lab: Lab, run_id: str, *states: str) -> ev.Run:
    until(lambda: lab.store.run(run_id).state in states)
    return lab.store.run(run_id)


LONG = {"train.steps": "100000", "train.evals": "1"}


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_run_finishes_and_leaves_what_it_should(lab: Lab, method: str) -> None:
    low = {"method.threshold": "0.2"} if method == "fixmatch" else {}  # so that 30 steps keep something
    run = wait(lab, lab.start(config(method, **low), preset="smoke"), ev.FINISHED, ev.FAILED)
    assert run.state == ev.FINISHED, run.error
    folder = lab.store.folder(run.id)
    assert run.step == run.steps == 30 and run.seconds > 0 and run.ended is not None
    assert 0 <= run.summary["test_accuracy"] <= 1 and 0 <= run.summary["test_accuracy_raw"] <= 1
    assert evaluate_run(lab.store, run.id) == {
        "step": 30, **{key: run.summary[key] for key in ("test_accuracy", "test_accuracy_raw", "weights_sha256")}
    }  # fmt: skip
    evals = lab.store.points(run.id, ev.EVAL)
    assert evals["step"].tolist() == [10, 20, 30]
    assert evals["eval/test/accuracy"][-1] == pytest.approx(run.summary["test_accuracy"], abs=1e-6)
    for name in ("eval/train/accuracy", "eval/test/loss/raw", "eval/test/top5"):
        assert name in evals
    train = lab.store.points(run.id, ev.TRAIN)
    assert train["step"][0] == 1 and train["step"][-1] == 30
    assert ("train/mask_rate" in train) == (method in ("fixmatch", "flexmatch")), "MixMatch keeps all: it has no mask"
    assert ("train/purity" in train) == (method != "supervised")
    assert len(lab.store.arrays(run.id, "flex/threshold")[0]) == (
        0 if method != "flexmatch" else len(lab.store.arrays(run.id, "flex/count")[0])
    )
    assert keyframes.steps(folder) == [0, 10, 20, 30]
    frame, probe = keyframes.load(folder, 30), keyframes.probe(folder)
    assert frame["weak_probs"].shape == (64, 10) and frame["confusion"].sum() == len(probe["test_truth"]) == 360
    right = (frame["test_pred"] == probe["test_truth"]).mean()
    assert right == pytest.approx(run.summary["test_accuracy"]) == pytest.approx(frame["confusion"].trace() / 360)
    assert frame["hist_right"].sum() + frame["hist_wrong"].sum() == 360
    assert json.loads((folder / checkpoint.META).read_text())["step"] == 30
    assert not (folder / checkpoint.BEST).exists()


def test_a_point_holds_the_means_of_its_window_and_the_rate_of_its_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "WINDOW", 1e9)  # points at the first step and at the evaluations alone
    some = {"method.threshold": "0.3", "data.foreign_classes": "4"}  # keeps some, and some of what is foreign
    settings = config("fixmatch", **{"train.steps": "12", "train.evals": "2", **some})
    store = Store(tmp_path)
    run_id = store.create(settings)
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    Stay(store, run_id).advance(threading.Event())

    trainer = Trainer(settings, data.load(settings.data), torch.device("cpu"))
    expected: dict[str, list[float]] = {
        name: [] for name in ("train/loss", "train/purity", "train/foreign_kept", "optim/lr")
    }
    for first, last in ((1, 1), (2, 6), (7, 12)):
        losses = [trainer.train_step()[0].loss.item() for _ in range(first, last + 1)]
        sums = dict(zip(trainer.meter.names, trainer.meter.sums.tolist(), strict=True))
        trainer.meter.clear(arrays=True)
        expected["train/loss"].append(sum(losses) / len(losses))
        expected["train/purity"].append(sums["kept/right"] / sums["kept/known"])
        expected["train/foreign_kept"].append(sums["kept/foreign"] / sums["seen/foreign"])
        expected["optim/lr"].append(trainer.optimizer.param_groups[0]["lr"])
    points = store.points(run_id, ev.TRAIN)
    assert points["step"].tolist() == [1, 6, 12]
    assert all(0 < share < 1 for share in expected["train/foreign_kept"])
    for name, values in expected.items():
        assert points[name] == pytest.approx(values, rel=1e-5), name


def test_best_is_kept_where_there_is_a_validation_part(lab: Lab) -> None:
    run = wait(lab, lab.start(config("fixmatch", **{"data.val": "40"})), ev.FINISHED)
    points = lab.store.points(run.id, ev.EVAL)
    best = points["eval/val/accuracy"].argmax()
    state = checkpoint.load(lab.store.folder(run.id) / checkpoint.BEST)
    assert state["step"] == points["step"][best] == run.summary["best_step"]
    assert run.summary["test_accuracy_at_best"] == pytest.approx(points["eval/test/accuracy"][best], abs=1e-6)


def test_pause_step_set_resume_stop(lab: Lab) -> None:
    run_id = lab.start(config(**LONG))
    until(lambda: lab.store.run(run_id).step > 5)
    lab.pause(run_id)
    lab.pause(run_id)
    paused = wait(lab, run_id, ev.PAUSED)
    assert checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"] == paused.step
    time.sleep(0.1)
    assert lab.store.run(run_id).step == paused.step

    lab.step(run_id)
    until(lambda: lab.store.run(run_id).step == paused.step + 1)
    assert wait(lab, run_id, ev.PAUSED).step == paused.step + 1

    lab.set(run_id, {"method.threshold": "0.0"})
    lab.resume(run_id)
    lab.resume(run_id)
    until(lambda: lab.store.run(run_id).step > paused.step + 5)
    assert lab.store.run(run_id).changed
    changed = [e for e in lab.store.events(run_id) if e.kind == "set"]
    assert [(e.step, e.data) for e in changed] == [(paused.step + 1, {"method.threshold": 0.0})]
    with pytest.raises(ConfigError, match=r"train\.batch can't change during a run; these can: method\.threshold"):
        lab.set(run_id, {"train.batch": 5})
    with pytest.raises(ConfigError, match=r"method\.threshold must be a number from 0\.0 to 1\.0, got 7"):
        lab.set(run_id, {"method.threshold": "7"})

    lab.stop(run_id)
    stopped = wait(lab, run_id, ev.STOPPED)
    lab.resume(run_id)
    until(lambda: lab.store.run(run_id).step > stopped.step)
    assert lab.store.run(run_id).config["method"]["threshold"] == 0.0
    lab.stop(run_id)
    wait(lab, run_id, ev.STOPPED)
    points = lab.store.points(run_id, ev.TRAIN, limit=10**6)
    assert (torch.tensor(points["step"]).diff() > 0).all(), "no step is logged twice"


def test_steps_that_two_people_ask_for_add_up(lab: Lab) -> None:
    run_id = lab.start(config(**{"train.steps": "100000"}))
    until(lambda: lab.store.run(run_id).step > 5)
    lab.pause(run_id)
    at = wait(lab, run_id, ev.PAUSED).step
    lab.step(run_id, 1)
    lab.step(run_id, 1)  # while the first waits for its turn: it is no Pause
    until(lambda: lab.store.run(run_id).step == at + 2 and lab.store.run(run_id).state == ev.PAUSED)
    people = [threading.Thread(target=lab.step, args=(run_id, 40)) for _ in range(3)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    until(lambda: lab.store.run(run_id).step == at + 122 and lab.store.run(run_id).state == ev.PAUSED)
    lab.resume(run_id)
    until(lambda: lab.store.run(run_id).step > at + 130)
    lab.step(run_id)  # of one that simply trains: it is paused
    wait(lab, run_id, ev.PAUSED)


def test_a_value_that_a_run_has_already_changes_nothing(lab: Lab) -> None:
    run_id = fill(lab.store, ev.PAUSED, "fixmatch", points=1, frames=False)
    rate = lab.store.run(run_id).config["optim"]["lr"]
    assert lab.set(run_id, {"method.threshold": "0.95", "optim.lr": rate}) == {}
    assert lab.store.waiting_commands(run_id) == [], "nothing is asked of it, so it is not marked as changed"
    assert lab.set(run_id, {"method.threshold": 0.5, "optim.lr": rate}) == {"method.threshold": 0.5}
    assert lab.set(run_id, {"method.threshold": 0.5}) == {}, "it waits already"
    assert lab.settings(run_id).method.threshold == 0.5
    assert lab.set(run_id, {"method.threshold": 0.95}) == {"method.threshold": 0.95}, "what waits can be taken back"
    asked = [command.value for command in lab.store.waiting_commands(run_id)]
    assert asked == [{"method.threshold": 0.5}, {"method.threshold": 0.95}]
    with pytest.raises(ConfigError, match=r"train\.batch can't change during a run"):
        lab.set(run_id, {"train.batch": lab.store.run(run_id).config["train"]["batch"]})


def test_what_is_slow_at_first_is_made_ready_after_the_engine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("sslcore.lab._import_engine", lambda: done.append("engine"))
    lab.warm_up(lambda: done.append("page"))
    until(lambda: len(done) == 2)
    assert done == ["engine", "page"]


def test_the_engine_is_made_ready_once_however_many_tabs_ask(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("sslcore.lab._import_engine", lambda: done.append("engine"))
    for tab in ("first", "second", "third"):
        lab.warm_up(lambda tab=tab: done.append(tab))
    until(lambda: "first" in done and not [t for t in threading.enumerate() if t.name == "ssl-warm-up"])
    assert done == ["engine", "first"]


def test_one_at_a_time_the_others_queue(lab: Lab) -> None:
    first, second = lab.start(config(**LONG)), lab.start(config())
    until(lambda: lab.store.run(first).step > 3)
    assert lab.store.run(second).state == ev.QUEUED
    third = lab.start(config())
    lab.pause(third)
    assert lab.store.run(third).state == ev.PAUSED, "a queued run is paused at once"
    lab.pause(first)
    assert wait(lab, second, ev.FINISHED).state == ev.FINISHED, "a paused run frees its slot"
    assert lab.store.run(first).state == ev.PAUSED
    lab.stop(third)
    assert lab.store.run(third).state == ev.STOPPED


def test_divergence_is_said_and_the_last_good_checkpoint_stays(lab: Lab) -> None:
    run_id = lab.start(config("supervised", **LONG))
    until(lambda: (lab.store.folder(run_id) / checkpoint.LAST).exists())
    lab.set(run_id, {"optim.lr": 10.0})
    run = wait(lab, run_id, ev.DIVERGED, ev.STOPPED)
    assert run.state == ev.DIVERGED and any(word in run.error for word in ("nan", "inf", "finite"))
    state = checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)
    assert all(torch.isfinite(value).all() for value in state["model"].values())
    evaluate_run(lab.store, run_id)


def test_a_failure_shows_its_traceback_and_the_next_run_starts(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from sslcore.methods.flexmatch import FlexMatch

    def broken(*_: object) -> None:
        raise RuntimeError("a shape that nobody expected")

    monkeypatch.setattr(FlexMatch, "step", broken)
    run = wait(lab, lab.start(config()), ev.FAILED)
    assert "Traceback" in run.error and "a shape that nobody expected" in run.error
    assert wait(lab, lab.start(config("supervised")), ev.FINISHED).state == ev.FINISHED


def test_bad_data_fails_with_one_sentence(lab: Lab) -> None:
    run = wait(lab, lab.start(config(**{"data.labels": "9999"})), ev.FAILED)
    assert "data.labels" in run.error and "9,999" in run.error and "Traceback" not in run.error
    run = wait(lab, lab.start(config(**{"data.source": "folder:/nowhere/at/all"})), ev.FAILED)
    assert "/nowhere/at/all" in run.error and "Traceback" not in run.error


def test_a_damaged_checkpoint_is_named_and_not_overwritten(lab: Lab) -> None:
    run_id = lab.start(config(**LONG))
    until(lambda: (lab.store.folder(run_id) / checkpoint.LAST).exists())
    lab.pause(run_id)
    wait(lab, run_id, ev.PAUSED)
    path = lab.store.folder(run_id) / checkpoint.LAST
    path.write_bytes(path.read_bytes()[:1000])
    lab.resume(run_id)
    run = wait(lab, run_id, ev.FAILED)
    assert "last.pt" in run.error and "Traceback" not in run.error and path.stat().st_size == 1000


def test_closing_leaves_a_checkpoint_and_an_interrupted_run(tmp_path: Path) -> None:
    first = Lab(Store(tmp_path))
    run_id, waiting = first.start(config(**LONG)), first.start(config())
    until(lambda: first.store.run(run_id).step > 3)
    began = time.monotonic()
    first.close()
    assert time.monotonic() - began < 3
    run = first.store.run(run_id)
    assert run.state == ev.INTERRUPTED
    assert checkpoint.load(first.store.folder(run_id) / checkpoint.LAST)["step"] == run.step
    assert first.store.run(waiting).state == ev.QUEUED


def test_one_lab_a_folder_even_for_many_threads(tmp_path: Path) -> None:
    found: list[Lab] = []
    threads = [threading.Thread(target=lambda: found.append(lab_of(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    found[0].close()


# The child trains 40 steps, writes a checkpoint at step 23 and is killed at step 37, in the middle of everything.
CHILD = """
import os, signal, sys, threading
from sslcore import presets, recorder
from sslcore.session import Stay
from sslcore.store import Store
after, save = recorder.Recorder.after_step, recorder.Recorder.save
def patched(self):
    after(self)
    if self.trainer.step == 23:
        save(self, wait=True)
    if self.trainer.step == 37:
        os.kill(os.getpid(), signal.SIGKILL)
recorder.Recorder.after_step = patched
recorder.Recorder.save = lambda self, wait=False: None  # no checkpoint by the clock: it would depend on the machine's load
store = Store(sys.argv[1])
config = presets.build("smoke", sys.argv[2], {"train.steps": 41, "train.evals": 4, "train.threads": 2})
run_id = store.create(config)
store.move(run_id, "running", only_from=["queued"])
Stay(store, run_id).advance(threading.Event())
"""


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_killed_and_resumed_equals_never_stopped(tmp_path: Path, method: str) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), method], capture_output=True, timeout=120)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    lab = Lab(Store(tmp_path))
    (killed,) = lab.store.runs()
    assert killed.state == ev.INTERRUPTED
    assert checkpoint.load(lab.store.folder(killed.id) / checkpoint.LAST)["step"] == 23
    lab.resume(killed.id)
    assert wait(lab, killed.id, ev.FINISHED, ev.FAILED).state == ev.FINISHED, lab.store.run(killed.id).error

    settings = {"train.steps": "41", "train.evals": "4", "train.threads": "2"}
    straight = wait(lab, lab.start(presets.build("smoke", method, settings)), ev.FINISHED)
    states = [checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST) for run_id in (killed.id, straight.id)]
    assert_same(*states, but=("/seconds",))
    a, b = (lab.store.points(run_id, ev.EVAL) for run_id in (killed.id, straight.id))
    assert a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a if name != "seconds")
    frames = [keyframes.load(lab.store.folder(run_id), 41) for run_id in (killed.id, straight.id)]
    assert all((frames[0][name] == frames[1][name]).all() for name in frames[0])
    lab.close()


def test_what_a_killed_process_left_beyond_its_checkpoint_is_dropped_before_the_run_goes_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = forge.train(store, "supervised", until=10)
    folder = store.folder(run_id)
    keyframes.write(folder, 20, {"a": torch.zeros(1).numpy()})
    checkpoint.keep(folder, {"step": 20}, 20)
    store.log(run_id, [ev.MetricPoint(ev.TRAIN, 15, 9.0, {"train/loss": 1.0})])
    Stay(store, run_id).recorder.close()
    assert keyframes.steps(folder) == [0, 10]
    assert [path.name for path in folder.glob("step-*.pt")] == ["step-000000010.pt"]
    assert store.points(run_id, ev.TRAIN)["step"][-1] == 10


def test_a_run_that_rests_forgets_where_it_was_to_stop_and_one_that_goes_on_forgets_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    lab = Lab(Store(tmp_path))
    run_id = lab.start(config())
    lab.store.move(run_id, ev.PAUSED, only_from=[ev.QUEUED])
    lab.step(run_id, 3)
    assert lab.store.run(run_id).until == 3 and lab._take(run_id)
    lab._rest(run_id, ev.PAUSED, "")
    run = lab.store.run(run_id)
    assert (run.state, run.until) == (ev.PAUSED, None) and run.ended is not None
    lab.resume(run_id)
    assert lab._take(run_id)
    lab.store.move(run_id, ev.INTERRUPTED, only_from=[ev.RUNNING])  # taken for dead from elsewhere
    lab._rest(run_id, ev.FAILED, "why")
    run = lab.store.run(run_id)
    assert (run.state, run.error) == (ev.FAILED, "why")
    lab.resume(run_id)
    run = lab.store.run(run_id)
    assert (run.state, run.error, run.ended, run.until) == (ev.QUEUED, "", None, None)
    assert lab._take(run_id)
    lab.store.update(run_id, pid=4_000_000)
    lab._rest(run_id, ev.FAILED, "of who trains it no longer")
    assert lab.store.run(run_id).state == ev.RUNNING, "another process has taken it over"
    lab.close()


def test_how_a_run_ended_is_written_as_soon_as_the_disk_is_no_longer_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    lab = Lab(Store(tmp_path))
    run_id = lab.start(config())
    assert lab._take(run_id)
    move, told = lab.store.move, []

    def full_twice(*words: Any, **values: Any) -> bool:
        if len(told) < 2:
            raise StoreError("the disk is full")
        return move(*words, **values)

    def waited(seconds: float) -> bool:
        told.append(lab.trouble)
        return False

    monkeypatch.setattr(lab.store, "move", full_twice)
    monkeypatch.setattr(lab._leave_now, "wait", waited)
    lab._rest(run_id, ev.FINISHED, "")
    assert told == [f"run {run_id} is finished, but that can't be written down: the disk is full"] * 2
    assert lab.store.run(run_id).state == ev.FINISHED and lab.trouble == ""
    lab.close()


def test_commands_reach_a_run_in_another_process(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sslcore",
        "train",
        "--preset",
        "smoke",
        "--steps",
        "100000",
        "--root",
        str(tmp_path),
        "--json",
        "--set",
        "train.threads=1",
        "--set",
        "train.evals=1",
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = Store(tmp_path)
    until(lambda: any(run.step > 3 for run in store.runs()), 60)
    (run,) = store.runs()
    here = Lab(store)
    assert store.run(run.id).state == ev.RUNNING, "a living owner is not interrupted"
    here.set(run.id, {"method.threshold": 0.5})
    until(lambda: store.run(run.id).changed)
    here.pause(run.id)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and json.loads(out)["status"] == "paused", err
    here.resume(run.id)
    until(lambda: store.run(run.id).state == ev.RUNNING and store.run(run.id).pid == os.getpid())
    here.stop(run.id)
    wait(here, run.id, ev.STOPPED)
    here.close()


def test_a_queued_run_of_a_dead_process_waits_for_the_person(tmp_path: Path) -> None:
    code = "import sys; from sslcore.store import Store; from sslcore import presets; print(Store(sys.argv[1]).create(presets.build('smoke')))"
    out = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    lab = Lab(Store(tmp_path))
    waiting = out.stdout.strip()
    wait(lab, lab.start(config("supervised")), ev.FINISHED)
    assert lab.store.run(waiting).state == ev.QUEUED
    lab.resume(waiting)
    assert wait(lab, waiting, ev.FINISHED).state == ev.FINISHED
    lab.close()


def test_a_deleted_run_is_not_an_error_for_its_thread(lab: Lab) -> None:
    run_id = lab.start(config(**LONG))
    until(lambda: lab.store.run(run_id).step > 3)
    lab.stop(run_id)
    wait(lab, run_id, ev.STOPPED)
    lab.store.delete(run_id)
    assert lab.store.runs() == []
    with pytest.raises(ValueError, match="no run is called"):
        Stay(lab.store, run_id).advance(threading.Event())


def test_of_two_pasts_the_later_one_acts_again() -> None:
    """A process that died at step 30 had set a value at 20; the next began at 10, set another there, and died, too."""
    events = [
        ev.Event(step, 0.0, "set", {"optim.lr": value}) for step, value in ((5, 0.4), (20, 0.2), (10, 0.001), (40, 0.3))
    ]
    assert [event.data["optim.lr"] for event in commands._set_since(events, 10)] == [0.001, 0.3]
    assert [event.data["optim.lr"] for event in commands._set_since(events, 15)] == [0.3]
    other = [*events, ev.Event(10, 0.0, "set", {"method.threshold": 0.5})]
    assert [event.step for event in commands._set_since(other, 40)] == [40]


class Taught:
    """In the place of a trainer: notes what is changed at which step."""

    def __init__(self, step: int) -> None:
        self.step, self.config = step, config()
        self.seen: list[tuple[int, dict[str, object]]] = []

    def change(self, changes: dict[str, object]) -> None:
        self.seen.append((self.step, changes))


def obeyed(
    store: Store, run_id: str, taught: Taught, steps: int, **posted: tuple[int, float]
) -> list[tuple[int, dict]]:
    """What a run that goes on at `taught.step` changes in its next steps; `posted`: what a person asks for, at which step."""
    given = commands.Commands(store, run_id, taught)  # type: ignore[arg-type]
    for _ in range(steps):
        for name, (at, value) in posted.items():
            if at == taught.step:
                store.post(run_id, "set", {f"method.{name}": value})
        assert given.obey() is None
        taught.step += 1
    return taught.seen


def test_what_a_killed_process_had_set_acts_once_at_its_step_unless_it_is_set_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = store.create(config())
    for step, values in (
        (11, {"optim.lr": 0.4}), (12, {"optim.lr": 0.1}), (15, {"method.threshold": 0.5}), (18, {"optim.lr": 0.2}),
    ):  # fmt: skip
        store.add_event(run_id, step, "set", values)
        store.add_event(run_id, step, "damaged", {"file": "last.pt"})
    seen = obeyed(store, run_id, Taught(12), 8, threshold=(14, 0.7))
    assert seen == [(12, {"optim.lr": 0.1}), (14, {"method.threshold": 0.7}), (18, {"optim.lr": 0.2})]


def test_what_was_set_before_a_fork_does_not_undo_the_change_of_the_fork(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = store.create(config())
    store.add_event(run_id, 12, "set", {"optim.lr": 0.1})
    store.add_event(run_id, 12, "fork", {"run": "a", "step": 12, "optim.lr": 0.5})
    store.add_event(run_id, 13, "set", {"optim.lr": 0.3})
    assert obeyed(store, run_id, Taught(12), 4) == [(13, {"optim.lr": 0.3})]
