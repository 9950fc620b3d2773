"""A race: several runs in one thread, a few steps of each in turn, whose numbers are those that each has alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sslcore import checkpoint, keyframes, presets, recorder
from sslcore import events as ev
from sslcore.config import METHOD_NAMES, RunConfig
from sslcore.lab import TURN, Lab
from sslcore.session import Stay
from sslcore.store import Store, StoreError
from tests.test_trainer import assert_same


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(Store(tmp_path))
    yield made
    made.close()


def config(method: str, **settings: int) -> RunConfig:
    return presets.build("smoke", method, {f"train.{name}": value for name, value in settings.items()})


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


def states(lab: Lab, runs: list[str]) -> list[str]:
    return [lab.store.run(run).state for run in runs]


def test_each_run_of_a_race_equals_the_same_run_alone_bit_for_bit(lab: Lab, tmp_path: Path) -> None:
    configs = [config(method, steps=14, evals=2) for method in METHOD_NAMES]
    runs = lab.race(configs)
    until(lambda: all(state in (ev.FINISHED, ev.FAILED) for state in states(lab, runs)))
    assert states(lab, runs) == [ev.FINISHED] * 4, [lab.store.run(run).error for run in runs]
    alone = Store(tmp_path / "alone")
    for run, each in zip(runs, configs, strict=True):
        twin = alone.create(each)
        Stay(alone, twin).advance(threading.Event())
        assert_same(
            *(checkpoint.load(store.folder(one) / checkpoint.LAST) for store, one in ((lab.store, run), (alone, twin))), but=("/seconds",)
        )  # fmt: skip
        a, b = lab.store.points(run, ev.EVAL), alone.points(twin, ev.EVAL)
        assert a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a if name != "seconds")
        frames = [keyframes.load(store.folder(one), 14) for store, one in ((lab.store, run), (alone, twin))]
        assert all((frames[0][name] == frames[1][name]).all() for name in frames[0])


def test_a_run_at_work_goes_on_although_another_one_can_not_be_taken_up(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a moment: nobody would train the run any more, which the store said was running."""
    going, other = lab.race([config(method, steps=100_000) for method in ("fixmatch", "flexmatch")])
    until(lambda: lab.store.run(other).step > 5)
    lab.pause(other)
    until(lambda: states(lab, [other]) == [ev.PAUSED])
    take, refused = lab._take, threading.Event()

    def full_once(run_id: str) -> bool:
        if not refused.is_set():
            refused.set()
            raise StoreError("lab.db can't be written because the disk is full")
        return take(run_id)

    monkeypatch.setattr(lab, "_take", full_once)
    lab.resume(other)
    assert refused.wait(60)
    at = [lab.store.run(run).step for run in (going, other)]
    until(lambda: all(lab.store.run(run).step > step + 10 for run, step in zip((going, other), at, strict=True)))


def test_they_keep_in_step_and_each_clock_counts_its_own_turns(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from sslcore.trainer import Trainer

    seen: list[tuple[str, int]] = []
    step = Trainer.train_step

    def noted(self: Trainer) -> object:
        seen.append((self.config.method.name, self.step))
        time.sleep(0.01)
        return step(self)

    monkeypatch.setattr(Trainer, "train_step", noted)
    began = time.perf_counter()
    runs = lab.race([config(method, steps=3 * TURN, evals=1) for method in ("supervised", "fixmatch", "flexmatch")])
    until(lambda: states(lab, runs) == [ev.FINISHED] * 3)
    took = time.perf_counter() - began
    at = {"supervised": 0, "fixmatch": 0, "flexmatch": 0}
    for method, number in seen:
        at[method] = number + 1
        if min(at.values()):  # all have begun
            assert max(at.values()) - min(at.values()) <= TURN
    seconds = [lab.store.run(run).seconds for run in runs]
    assert sum(seconds) <= took and all(each > 0.01 * 3 * TURN for each in seconds)


def test_a_run_that_wakes_finds_all_its_clocks_where_they_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    run_id = store.create(config("supervised", steps=8))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    own = Stay(store, run_id).recorder
    own.wake()
    now = [time.perf_counter()]
    monkeypatch.setattr(recorder, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    names = ("began", "window_began", "arrays_at", "saved_at")
    before, seconds = [getattr(own, name) for name in names], own.seconds
    own.rest()
    now[0] += 7.0
    assert own.seconds == seconds
    for _ in range(2):  # who is awake is not set forward again
        own.wake()
        assert [getattr(own, name) for name in names] == [clock + 7.0 for clock in before]
        assert own.seconds == pytest.approx(seconds)
    now[0] += 2.0
    assert own.seconds == pytest.approx(seconds + 2.0)
    own.close()


def test_one_of_a_race_pauses_fails_and_joins_again_by_itself(lab: Lab) -> None:
    good, rests, fails = lab.race(
        [config("supervised", steps=100_000, evals=1), config("flexmatch", steps=100_000, evals=1), config("fixmatch", steps=100_000, evals=1)]
    )  # fmt: skip
    until(lambda: all(lab.store.run(run).step > 3 for run in (good, rests, fails)))
    lab.pause(rests)
    lab.stop(fails)
    until(lambda: states(lab, [rests, fails]) == [ev.PAUSED, ev.STOPPED])
    (lab.store.folder(fails) / checkpoint.LAST).write_bytes(b"not a checkpoint")
    at = lab.store.run(rests).step
    lab.resume(fails)
    lab.resume(rests)
    until(lambda: lab.store.run(fails).state == ev.FAILED and lab.store.run(rests).step > at)
    assert "last.pt" in lab.store.run(fails).error and lab.store.run(good).state == ev.RUNNING
    before = lab.store.run(good).step
    until(lambda: lab.store.run(good).step > before)
    lab.close()
    assert states(lab, [good, rests]) == [ev.INTERRUPTED] * 2
    for run in (good, rests):
        assert checkpoint.load(lab.store.folder(run) / checkpoint.LAST)["step"] == lab.store.run(run).step


def test_a_race_waits_for_the_run_before_it_and_the_next_run_for_the_race(lab: Lab) -> None:
    first = lab.start(config("supervised", steps=100_000, evals=1))
    until(lambda: lab.store.run(first).step > 3)
    runs = lab.race([config(method, steps=8, evals=1) for method in ("supervised", "flexmatch")])
    last = lab.start(config("supervised", steps=8, evals=1))
    assert states(lab, [*runs, last]) == [ev.QUEUED] * 3
    lab.stop(first)
    until(lambda: lab.store.run(last).state == ev.FINISHED)
    ended = [lab.store.run(run).ended or 0.0 for run in runs]
    assert states(lab, runs) == [ev.FINISHED] * 2 and max(ended) <= (lab.store.run(last).started or 0.0)
