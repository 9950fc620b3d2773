"""Reads of the store for the pages, kept by (folder, run, version) so that ten open tabs cost about one. No charts, no torch.

Runs and keyframes are read through the Lab of `SSLLAB_ROOT`; nothing here changes a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import events as ev
from sslcore import keyframes
from sslcore.config import RunConfig
from sslcore.lab import Lab, lab
from sslcore.process import HOST, alive
from sslcore.store import Store

Columns = dict[str, np.ndarray]
NOTHING = np.zeros((0, 0), np.float32)


def engine() -> Lab:
    """The Lab of this process for the folder in force."""
    return lab()


def store() -> Store:
    return engine().store


def runs() -> list[ev.Run]:
    """Every run, newest first; those whose process died are marked interrupted on the way."""
    store().reconcile()
    return store().runs()


def choose(found: list[ev.Run], wanted: str = "") -> ev.Run | None:
    """Pick the run to show: the wanted one, else the newest that is at work, else the newest."""
    for run in found:
        if run.id == wanted:
            return run
    return next((run for run in found if run.state in ev.ACTIVE), found[0] if found else None)


def waiting(found: list[ev.Run]) -> list[ev.Run]:
    """Runs that wait for their turn, the next one first."""
    return [run for run in reversed(found) if run.state == ev.QUEUED and not orphaned(run)]


def busy(found: list[ev.Run]) -> tuple[tuple[str, str], ...]:
    """(id, state) of all runs at work or waiting: when it changes, the page must be drawn anew."""
    return tuple((run.id, run.state) for run in found if run.state in ev.ACTIVE or run.state == ev.QUEUED)


def orphaned(run: ev.Run) -> bool:
    """Whether a queued run's process is gone, so that nobody will start it."""
    return run.state == ev.QUEUED and run.host == HOST and not alive(run.pid, run.process)


def possible(run: ev.Run | None) -> frozenset[str]:
    """Which of pause, resume, step, stop, delete make sense for a run now."""
    if run is None:
        return frozenset()
    if orphaned(run):
        return frozenset({"resume", "stop", "delete"})
    actions: dict[str, set[str]] = {
        ev.QUEUED: {"pause", "stop"},
        ev.RUNNING: {"pause", "stop"},
        ev.PAUSING: {"stop"},
        ev.STOPPING: set(),
        ev.PAUSED: {"resume", "step", "stop", "delete"},
        ev.INTERRUPTED: {"resume", "step", "stop", "delete"},
        ev.FINISHED: {"delete"},
    }
    return frozenset(actions.get(run.state, {"resume", "step", "delete"}))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The curves of one run at one moment; arrays are shared by all readers and can't be written to.

    While nothing is new it is the same object, so that what is drawn from it can be kept by it.
    """

    run_id: str
    version: tuple[int, ...]
    train: Columns = field(default_factory=dict)
    evals: Columns = field(default_factory=dict)
    threshold: tuple[np.ndarray, np.ndarray] = (NOTHING[:, 0:0].ravel(), NOTHING)  # steps (n,), values (n, C)
    count: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (C + 1,) the latest
    pseudo: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (C,) kept pseudo-labels by class, the latest
    marks: tuple[tuple[int, str], ...] = ()  # settings changed during the run

    def last(self, name: str) -> float | None:
        """The newest value of a metric of either series."""
        values = self.train.get(name, self.evals.get(name))
        if values is None:
            return None
        known = values[~np.isnan(values)]
        return float(known[-1]) if len(known) else None

    def history(self, name: str, most: int = 60) -> list[float]:
        """The course of a metric in at most `most` numbers, for a sparkline."""
        values = self.train.get(name, self.evals.get(name, np.zeros(0)))
        known = values[~np.isnan(values)]
        return [float(value) for value in known[:: max(1, -(-len(known) // most))]]


def snapshot(run: ev.Run) -> Snapshot:
    """All curves of a run as they are now; read from the disk only when there is something new."""
    version = (*store().version(run.id), run.step, len(store().events(run.id)) if run.changed else 0)
    return _snapshot(store().root, run.id, version)


@lru_cache(maxsize=16)
def _snapshot(root: Path, run_id: str, version: tuple[int, ...]) -> Snapshot:
    db = store()
    found = Snapshot(
        run_id,
        version,
        train=db.points(run_id, ev.TRAIN),
        evals=db.points(run_id, ev.EVAL),
        threshold=db.arrays(run_id, "flex/threshold"),
        count=_newest(db.arrays(run_id, "flex/count", 2)),
        pseudo=_newest(db.arrays(run_id, "pseudo/count", 2)),
        marks=tuple(
            (event.step, f"{name} = {value}")
            for event in db.events(run_id)
            if event.kind == "set"
            for name, value in event.data.items()
        ),
    )
    for array in (*found.train.values(), *found.evals.values(), *found.threshold, found.count, found.pseudo):
        array.flags.writeable = False
    return found


def _newest(series: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    values = series[1]
    return values[-1].copy() if len(values) else np.zeros(0)


def last_keyframe(run_id: str) -> int | None:
    """Step of the newest keyframe of a run, None before the first."""
    found = keyframes.steps(store().folder(run_id))
    return found[-1] if found else None


@lru_cache(maxsize=16)
def _keyframe(root: Path, run_id: str, step: int) -> Columns | None:
    folder = root / run_id
    try:
        return keyframes.probe(folder) | keyframes.load(folder, step)
    except (FileNotFoundError, ValueError):  # thinned away or cut off meanwhile
        return None


def keyframe(run_id: str, step: int) -> Columns | None:
    """One keyframe with the probe's constants beside it; None if it is gone."""
    return _keyframe(store().root, run_id, step)


def class_names(run: ev.Run, count: int) -> list[str]:
    """Names of the classes, numbers where they are not known yet."""
    names: list[Any] = list(run.summary.get("class_names", []))
    return [str(names[c]) if c < len(names) else str(c) for c in range(count)]


def seconds_per_step(found: list[ev.Run], config: RunConfig) -> float | None:
    """How long a step took in the newest run like this one on this machine; None if there is none."""
    for run in found:
        raw = run.config
        alike = (
            run.host == HOST
            and run.method == config.method.name
            and run.data == config.data.source
            and run.step >= 20
            and run.seconds > 0
        )
        if (
            alike
            and raw.get("model", {}).get("net") == config.model.net
            and raw.get("train", {}).get("batch") == config.train.batch
        ):
            return run.seconds / run.step
    return None


def time_left(run: ev.Run, points: Columns, window: int = 40) -> float | None:
    """Seconds until the run's end at the speed of its latest points; None before there are two."""
    steps, seconds = points.get("step", np.zeros(0)), points.get("seconds", np.zeros(0))
    if len(steps) < 2 or run.step >= run.steps:
        return None
    first = max(0, len(steps) - window)
    took = (seconds[-1] - seconds[first]) / max(int(steps[-1] - steps[first]), 1)
    return float(took * (run.steps - run.step))
