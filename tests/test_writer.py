"""Checkpoints and keyframes are written beside the training: in order, whole, of the step they were asked at, or the run says why not."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sslcore import checkpoint, data, keyframes, recorder
from sslcore import events as ev
from sslcore.host_copy import HostCopy
from sslcore.lab import Lab
from sslcore.session import Stay
from sslcore.store import Store, StoreError
from sslcore.trainer import Trainer
from sslcore.writer import MOST, Writer
from tests.test_lab import config, until, wait
from tests.test_trainer import assert_same

STEPS = 30


@pytest.fixture
def writer() -> Iterator[Writer]:
    made = Writer()
    made.start()
    yield made
    made.close()


def test_works_are_done_in_order_in_another_thread(writer: Writer) -> None:
    done: list[tuple[int, int]] = []
    for k in range(3 * MOST):
        writer.put(lambda k=k: done.append((k, threading.get_ident())))  # type: ignore[misc]
    writer.wait()
    assert not writer.busy
    assert [k for k, _ in done] == list(range(3 * MOST))
    assert {thread for _, thread in done} == {writer._thread.ident} != {threading.get_ident()}


def test_a_slow_disk_holds_up_whoever_asks_for_more_than_a_few(writer: Writer) -> None:
    gate = threading.Event()
    done: list[int] = []

    def ask() -> None:
        for k in range(MOST + 3):
            writer.put(lambda: gate.wait(60) and None)
            done.append(k)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    until(lambda: len(done) == MOST + 1)  # one in hand, the others waiting
    time.sleep(0.1)
    assert len(done) == MOST + 1 and writer.busy
    gate.set()
    thread.join(60)
    assert len(done) == MOST + 3


def test_what_a_work_raises_reaches_who_asks_and_the_works_behind_it_are_left_out(writer: Writer) -> None:
    done: list[str] = []
    gate = threading.Event()

    def broken() -> None:
        gate.wait(60)
        raise OSError("the disk is gone")

    writer.put(broken)
    writer.put(lambda: done.append("behind it"))
    gate.set()
    for ask in (writer.wait, writer.check, lambda: writer.put(lambda: None)):
        with pytest.raises(OSError, match="the disk is gone"):
            ask()
    writer.close()
    writer.close()
    assert done == [] and not writer._thread.is_alive()


def test_what_a_work_holds_is_freed_by_the_thread_that_put_it(writer: Writer) -> None:
    """Pinned memory that the writer freed while a step is captured would end the capture."""
    freed: list[int] = []
    ready = threading.Event()

    class State:
        def __del__(self) -> None:
            freed.append(threading.get_ident())

    def work(state: State) -> None:
        assert ready.wait(60) and state

    for _ in range(3):
        writer.put(functools.partial(work, State()))
    ready.set()
    until(lambda: not writer.busy)
    assert freed == []
    writer.check()
    assert freed == [threading.get_ident()] * 3


def test_one_that_was_never_started_can_be_closed() -> None:
    Writer().close()


# -- in a run --------------------------------------------------------------------------------------------------------------


def held_up(monkeypatch: pytest.MonkeyPatch, what: Any, name: str) -> tuple[threading.Event, threading.Event]:
    """Hold up a function that writes: (it has been called, let it go on)."""
    called, go = threading.Event(), threading.Event()
    write = getattr(what, name)

    def slow(*args: Any, **values: Any) -> None:
        called.set()
        assert go.wait(120)
        write(*args, **values)

    monkeypatch.setattr(what, name, slow)
    return called, go


def saves_at(
    monkeypatch: pytest.MonkeyPatch, step: int, first: Callable[[Trainer], None] = lambda trainer: None
) -> None:
    """No checkpoint by the clock but one that is asked for at a step, after `first`."""
    monkeypatch.setattr(recorder, "CHECKPOINT_EVERY", 1e9)
    monkeypatch.setattr(recorder, "CHECKPOINT_SHARE", 1e-9)
    after = recorder.Recorder.after_step

    def patched(self: recorder.Recorder) -> None:
        after(self)
        if self.trainer.step == step:
            first(self.trainer)
            self.save()

    monkeypatch.setattr(recorder.Recorder, "after_step", patched)


@pytest.fixture
def stay(tmp_path: Path) -> Stay:
    store = Store(tmp_path)
    run_id = store.create(config(**{"train.steps": STEPS, "train.evals": 1}))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    return Stay(store, run_id)


@pytest.mark.parametrize(("cost", "due"), [(0.0, 1.0), (0.1, 5.0), (1.0, 10.0)])
def test_checkpoints_take_a_fiftieth_of_the_time_but_come_within_ten_seconds(
    stay: Stay, monkeypatch: pytest.MonkeyPatch, cost: float, due: float
) -> None:
    own, now, saved = stay.recorder, [time.perf_counter()], []
    own.wake()
    monkeypatch.setattr(recorder, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(own, "flush", lambda: None)
    monkeypatch.setattr(own, "save", lambda: saved.append(now[0]))
    own.save_cost, own.saved_at = cost, now[0]
    for seconds in (due - 0.01, due + 0.01):
        now[0] = own.saved_at + seconds
        own.after_step()
        assert len(saved) == int(seconds > due)
    own.close()


def test_of_many_evaluations_a_few_keep_their_checkpoint(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for evals, kept in ((8, range(5, 41, 5)), (9, (4, 13, 22, 31, 40)), (20, range(2, 41, 6))):
        run_id = store.create(config(**{"train.steps": 40, "train.evals": evals}))
        own = Stay(store, run_id).recorder
        own.close()
        assert sorted(own.keep_steps) == list(kept) and own.keep_steps <= own.eval_steps


def test_training_goes_on_while_a_checkpoint_is_written_and_a_pause_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, go = held_up(monkeypatch, checkpoint, "_dump")
    monkeypatch.setattr(recorder, "CHECKPOINT_EVERY", 0.0)
    lab = Lab(Store(tmp_path))
    run_id = lab.start(config(**{"train.steps": 100_000}))
    assert called.wait(60)
    at = lab.store.run(run_id).step
    until(lambda: lab.store.run(run_id).step > at + 20)
    lab.pause(run_id)
    time.sleep(0.3)
    assert lab.store.run(run_id).state == ev.PAUSING, "not paused before its checkpoint is there"
    assert not (lab.store.folder(run_id) / checkpoint.LAST).exists()
    go.set()
    run = wait(lab, run_id, ev.PAUSED)
    assert checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"] == run.step > at + 20
    lab.close()


def test_a_checkpoint_is_of_the_step_it_was_asked_at_however_late_it_is_written(
    stay: Stay, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, go = held_up(monkeypatch, checkpoint, "_dump")
    saves_at(monkeypatch, 10)
    assert stay.advance(threading.Event(), 25) is None
    assert stay.trainer.step == 25 and not (stay.recorder.folder / checkpoint.LAST).exists()
    go.set()
    stay.recorder.writer.wait()
    found = checkpoint.load(stay.recorder.folder / checkpoint.LAST)

    straight = Trainer(stay.trainer.config, data.load(stay.trainer.config.data), torch.device("cpu"))
    for _ in range(10):
        straight.train_step()
    expected = straight.state_dict()
    assert_same({name: found[name] for name in expected}, expected)
    points = stay.recorder.store.points(stay.recorder.run_id, ev.TRAIN, limit=10**6)["step"]
    assert 10 in points, "the points up to a checkpoint are written before it"
    assert stay.advance(threading.Event()) == ev.FINISHED
    assert checkpoint.load(stay.recorder.folder / checkpoint.LAST)["step"] == STEPS


def test_weights_that_are_not_finite_never_reach_the_disk(stay: Stay, monkeypatch: pytest.MonkeyPatch) -> None:
    sound: list[torch.Tensor] = []

    def spoil(trainer: Trainer) -> None:
        weight = next(trainer.model.parameters()).data
        sound.append(weight.clone())
        weight[0, 0, 0, 0] = float("nan")

    def mend(trainer: Trainer) -> None:
        next(trainer.model.parameters()).data.copy_(sound.pop())

    saves_at(monkeypatch, 10, spoil)
    save = recorder.Recorder.save

    def save_and_mend(self: recorder.Recorder, wait: bool = False) -> None:
        save(self, wait)
        if sound:
            mend(self.trainer)  # the run itself goes on soundly: nothing but the copy can tell

    monkeypatch.setattr(recorder.Recorder, "save", save_and_mend)
    with pytest.raises(ev.Diverged, match="the weights stopped being finite by step 10"):
        stay.advance(threading.Event())
    assert not list(stay.recorder.folder.glob("*.pt"))


def test_a_run_that_fails_is_said_to_have_failed_once_its_last_checkpoint_is_there(
    stay: Stay, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, go = held_up(monkeypatch, checkpoint, "_dump")
    saves_at(monkeypatch, 10)
    step = Trainer.one_step

    def broken(self: Trainer) -> Any:
        if self.step == 15:
            assert called.wait(60)
            threading.Timer(0.2, go.set).start()
            raise RuntimeError("a shape that nobody expected")
        return step(self)

    monkeypatch.setattr(Trainer, "one_step", broken)
    with pytest.raises(RuntimeError, match="a shape that nobody expected"):
        stay.advance(threading.Event())
    assert checkpoint.load(stay.recorder.folder / checkpoint.LAST)["step"] == 10
    assert not stay.recorder.writer._thread.is_alive()


@pytest.mark.parametrize("end", ["pause", "finish"])
def test_a_last_checkpoint_that_can_not_be_written_is_no_quiet_end(
    stay: Stay, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    def broken(*args: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(recorder, "CHECKPOINT_EVERY", 1e9)
    monkeypatch.setattr(recorder, "CHECKPOINT_SHARE", 1e-9)
    stay.until = 10 if end == "pause" else None
    assert stay.advance(threading.Event(), 9) is None
    monkeypatch.setattr(checkpoint, "save", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        stay.advance(threading.Event())
    assert not list(stay.recorder.folder.glob("*.pt")) and stay.trainer.step == (10 if end == "pause" else STEPS)


def test_a_keyframe_that_can_not_be_written_ends_the_run_with_its_reason(
    stay: Stay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(keyframes, "write", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        stay.advance(threading.Event())
    assert stay.trainer.step == STEPS, "the only evaluation of this run is its end"


@pytest.mark.parametrize("arrived", [True, False], ids=["cpu", "still-on-the-device"])
def test_what_was_asked_for_right_before_a_failure_is_kept(
    stay: Stay, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    """An evaluation with its keyframe and its kept checkpoint, and `last.pt`, all of the very step before the one that fails."""
    monkeypatch.setattr(HostCopy, "ready", lambda self: arrived)
    monkeypatch.setattr(stay.recorder, "eval_steps", {10})
    monkeypatch.setattr(stay.recorder, "keep_steps", {10})
    saves_at(monkeypatch, 10)
    step = Trainer.one_step

    def broken(self: Trainer) -> Any:
        if self.step == 10:
            raise RuntimeError("a shape that nobody expected")
        return step(self)

    monkeypatch.setattr(Trainer, "one_step", broken)
    with pytest.raises(RuntimeError, match="a shape that nobody expected"):
        stay.advance(threading.Event())
    folder, store, run_id = stay.recorder.folder, stay.recorder.store, stay.recorder.run_id
    assert (
        store.points(run_id, ev.EVAL)["step"].tolist() == [10] == store.points(run_id, ev.TRAIN)["step"].tolist()[-1:]
    )
    assert keyframes.steps(folder) == [0, 10]
    for name in (checkpoint.LAST, "step-000000010.pt"):
        assert checkpoint.load(folder / name)["step"] == 10


def test_a_run_that_is_no_longer_ours_writes_no_checkpoint_behind_the_failure(
    stay: Stay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostCopy, "ready", lambda self: False)
    recorder_ = stay.recorder
    saves_at(monkeypatch, 10, lambda trainer: recorder_.store.update(recorder_.run_id, pid=1))
    with pytest.raises(StoreError, match="no longer this process's"):
        stay.advance(threading.Event())
    assert not list(recorder_.folder.glob("*.pt"))


def test_where_no_thread_can_be_started_a_run_writes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.12 on none can while the process ends: a run that is being made ready then must not fail for it."""
    start, ending, loading, load = threading.Thread.start, threading.Event(), threading.Event(), data.load

    def refused(self: threading.Thread) -> None:
        if ending.is_set():
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(self)

    def slow(*args: Any) -> Any:
        loading.set()
        assert ending.wait(60)
        return load(*args)

    monkeypatch.setattr(threading.Thread, "start", refused)
    monkeypatch.setattr(data, "load", slow)
    lab = Lab(Store(tmp_path))
    run_id = lab.start(config())
    assert loading.wait(60)
    ending.set()
    monkeypatch.setattr("sslcore.lab.EXIT_WAIT", 60.0)
    lab.close()
    run = lab.store.run(run_id)
    assert (run.state, run.error) == (ev.INTERRUPTED, "")
    assert checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"] == run.step


def test_without_its_thread_a_writer_does_the_works_at_once() -> None:
    writer, done = Writer(), []
    writer.put(lambda: done.append(threading.get_ident()))
    writer.start()
    writer.close()
    writer.put(lambda: done.append(threading.get_ident()))
    writer.wait()
    assert done == [threading.get_ident()] * 2 and not writer.busy

    def broken() -> None:
        raise OSError("the disk is gone")

    for ask in (lambda: writer.put(broken), writer.check, writer.wait, lambda: writer.put(lambda: None)):
        with pytest.raises(OSError, match="the disk is gone"):
            ask()
