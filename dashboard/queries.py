"""Reads of the store for the pages, kept by (folder, run, version) so that ten open tabs cost about one. No charts, no torch.

Runs and keyframes are read through the Lab of `SSLLAB_ROOT`; nothing here changes a run.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.windows import LIMIT, Columns, Thinned, Window
from sslcore import events as ev
from sslcore import fork, keyframes
from sslcore.config import RunConfig
from sslcore.lab import Lab, lab
from sslcore.process import HOST, alive
from sslcore.store import Store, StoreError

NOTHING = np.zeros((0, 0), np.float32)
ARRAYS = ("flex/threshold", "flex/count", "pseudo/count", "eval/test/recall")
AT_ONCE = 4096  # points read in one go: between two goes the training thread gets its turn


def engine() -> Lab:
    """The Lab of this process for the folder in force."""
    return lab()


def store() -> Store:
    return engine().store


def runs() -> list[ev.Run]:
    """Every run, newest first; those whose process died are marked interrupted on the way."""
    store().reconcile()
    return store().runs()


def some(ids: Sequence[str]) -> list[ev.Run]:
    """The runs with these ids, in this order; those that are gone are left out."""
    found = {run.id: run for run in store().runs()} if ids else {}
    return [found[run_id] for run_id in ids if run_id in found]


def choose(found: list[ev.Run], wanted: str = "") -> ev.Run | None:
    """Pick the run to show: the wanted one, else the newest that is at work, else the newest."""
    for run in found:
        if run.id == wanted:
            return run
    return next((run for run in found if run.state in ev.ACTIVE), found[0] if found else None)


def waiting(found: list[ev.Run]) -> list[ev.Run]:
    """Runs that wait for their turn, the next one first."""
    return [run for run in reversed(found) if run.state == ev.QUEUED and not orphaned(run)]


def at_work(found: list[ev.Run]) -> tuple[tuple[str, str], ...]:
    """(id, state) of those at work or waiting among all runs, newest first: what `busy` said when they were read."""
    return tuple((run.id, run.state) for run in found if run.state in (ev.QUEUED, *ev.ACTIVE))


def busy() -> tuple[tuple[str, str], ...]:
    """(id, state) of all runs at work or waiting: when it changes, the page must be drawn anew."""
    store().reconcile()
    return tuple(store().at_work())


def orphaned(run: ev.Run) -> bool:
    """Whether a queued run's process is gone, so that nobody will start it."""
    return run.state == ev.QUEUED and run.host == HOST and not alive(run.pid, run.process)


def possible(run: ev.Run | None) -> frozenset[str]:
    """Which of pause, resume, step, stop, delete make sense for a run now."""
    if run is None:
        return frozenset()
    if orphaned(run):
        return frozenset({"resume", "stop", "delete"})
    if run.weightless:
        return frozenset({"delete"})
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


@dataclass(frozen=True)
class Change:
    """A live setting that was changed during a run. `old` is None where it isn't known."""

    step: int
    name: str  # dotted
    old: Any
    new: Any


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The curves of one run at one moment; arrays are shared by all readers and can't be written to.

    While nothing is new it is the same object, and so are its parts, so that what is drawn from one can be kept by it.
    """

    run_id: str
    version: tuple[int, ...]  # points of either series, step, last event
    arrays: int = 0  # class vectors read
    train: Columns = field(default_factory=dict)
    evals: Columns = field(default_factory=dict)
    low: Columns = field(
        default_factory=dict
    )  # of `train`: the lowest of the points that each drawn one speaks for; empty if all are drawn
    high: Columns = field(default_factory=dict)
    threshold: tuple[np.ndarray, np.ndarray] = (NOTHING[:, 0:0].ravel(), NOTHING)  # steps (n,), values (n, C)
    count: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (C + 1,) the latest
    pseudo: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (C,) kept pseudo-labels by class, the latest
    recall: np.ndarray = field(
        default_factory=lambda: np.zeros(0)
    )  # (C,) recall of the test images by class, the latest
    marks: tuple[tuple[int, str], ...] = ()  # what a person did during the run, at its step
    changes: tuple[Change, ...] = ()

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
    """All curves of a run as they are now; read from the disk only when there is something new, once for all tabs."""
    version = (*store().version(run.id), run.step, store().last_event(run.id))
    with _reading:
        return _snapshot(store().root, run.id, version)


def origin(run: ev.Run) -> tuple[Snapshot, int] | None:
    """The curves of the run that this one was forked from, and the step of the fork; None for no fork, or if it was deleted."""
    made = run.summary.get("fork")
    try:
        return (snapshot(store().run(made["run"])), int(made["step"])) if made else None
    except StoreError:
        return None


_reading = threading.RLock()  # two tabs that ask at once: one reads, the other waits for it


@lru_cache(maxsize=64)  # ten compared runs in a few tabs
def _snapshot(root: Path, run_id: str, version: tuple[int, ...]) -> Snapshot:
    """Read what is new since the last snapshot of the run; of the rest it holds the very same objects."""
    db, last = store(), _last(root, run_id)
    before, arrays = last[0], db.array_version(run_id, ARRAYS)
    train, evals, _, event = version
    new: dict[str, Any] = {}
    same = before is not None and before.version[3] == event  # a run that was resumed may have forgotten points
    if before is None or not same or before.version[0] != train:
        window = _window(root, run_id, ev.TRAIN)
        new = {"train": window.columns, "low": window.low, "high": window.high}
    if before is None or not same or before.version[1] != evals:
        new["evals"] = _window(root, run_id, ev.EVAL).columns
    if before is None or not same or before.arrays != arrays:
        new |= {
            "threshold": db.arrays(run_id, ARRAYS[0], LIMIT // 2),
            "count": _newest(db.arrays(run_id, ARRAYS[1], 2)),
            "pseudo": _newest(db.arrays(run_id, ARRAYS[2], 2)),
            "recall": _newest(db.arrays(run_id, ARRAYS[3], 2)),
        }
    if before is None or not same:
        events = db.events(run_id)
        new |= {"marks": marks(events), "changes": changes(events, _first_config(db.folder(run_id)))}
    found = replace(before or Snapshot(run_id, version), version=version, arrays=arrays, **new)
    parts = (found.train, found.low, found.high, found.evals)
    for array in (
        *(a for part in parts for a in part.values()),
        *found.threshold,
        found.count,
        found.pseudo,
        found.recall,
    ):
        array.flags.writeable = False
    last[0] = found
    return found


@lru_cache(maxsize=64)
def _last(root: Path, run_id: str) -> list[Snapshot | None]:
    """The newest snapshot of a run, in a list of one."""
    return [None]


@lru_cache(maxsize=32)
def _thinned(root: Path, run_id: str, series: str) -> list[Thinned]:
    return [Thinned()]


def _window(root: Path, run_id: str, series: str) -> Window:
    """The window of a series, brought up to date. A resumed run has forgotten its newest points: then all is read anew."""
    kept, db = _thinned(root, run_id, series), store()
    rows = db.points_from(run_id, series, max(kept[0].count - 1, 0), AT_ONCE)
    if kept[0].last is not None and (not rows or rows[0][:2] != kept[0].last[:2]):
        kept[0] = Thinned()
        rows = db.points_from(run_id, series, 0, AT_ONCE)
    kept[0].add(rows[1:] if kept[0].count else rows)
    while len(rows) == AT_ONCE:
        rows = db.points_from(run_id, series, kept[0].count, AT_ONCE)
        kept[0].add(rows)
    return kept[0].window()


def marks(events: Sequence[ev.Event]) -> tuple[tuple[int, str], ...]:
    """What a person did, in words at its step: pause, resume, step, stop, fork, settings that took effect; and damaged checkpoints."""
    found: list[tuple[int, str]] = []
    for number, event in enumerate(events):
        if event.kind == "set":
            found += [(event.step, f"{name.rpartition('.')[2]} = {short(value)}") for name, value in event.data.items()]
        elif event.kind in ("pause", "stop", "fork"):
            found.append((event.step, event.kind))
        elif event.kind == "damaged":
            found.append((event.step, f"{event.data['file']} is damaged: on from here"))
        elif number and events[number - 1].kind == "fork":
            continue  # that it was queued is part of the fork
        elif event.kind == "state" and event.data.get("state") == ev.QUEUED and number and event.step:
            found.append((event.step, "step" if "until" in event.data else "resume"))
    return tuple(found)


def changes(events: Sequence[ev.Event], first: Mapping[str, Mapping[str, Any]]) -> tuple[Change, ...]:
    """The settings that were changed, with what they were before; `first`: the run's config when it was made."""
    known = {f"{section}.{name}": value for section, part in first.items() for name, value in part.items()}
    found = []
    for event in events:
        for name, value in event.data.items() if event.kind == "set" else ():
            found.append(Change(event.step, name, known.get(name), value))
            known[name] = value
    return tuple(found)


def short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _first_config(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # imported without it, or deleted by hand: then only the new values are known
        return {}
    return {name: part for name, part in raw.items() if isinstance(part, dict)} if isinstance(raw, dict) else {}


def _newest(series: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    values = series[1]
    return values[-1].copy() if len(values) else np.zeros(0)


def last_keyframe(run_id: str) -> int | None:
    """Step of the newest keyframe of a run that can be read, None before the first."""
    found = keyframes.steps(store().folder(run_id))
    return next((step for step in reversed(found) if keyframe(run_id, step) is not None), None)


def keyframe_problem(run_id: str, step: int) -> str:
    """One sentence that names a damaged keyframe; empty where it was only thinned away, or is whole."""
    try:
        keyframes.probe(store().folder(run_id))
        keyframes.load(store().folder(run_id), step)
    except keyframes.KeyframeError as problem:
        return f"{problem}; the others of this run can be looked at"
    except FileNotFoundError:
        pass
    return ""


@lru_cache(maxsize=16)
def _probe(root: Path, run_id: str) -> Columns:
    return keyframes.probe(root / run_id)


@lru_cache(maxsize=2 * keyframes.MOST)  # a run can be played to and fro; the probe's images are there once
def _keyframe(root: Path, run_id: str, step: int) -> Columns | None:
    try:
        return _probe(root, run_id) | keyframes.load(root / run_id, step)
    except (FileNotFoundError, ValueError):  # thinned away or cut off meanwhile
        return None


def keyframe(run_id: str, step: int) -> Columns | None:
    """One keyframe with the probe's constants beside it; None if it is gone."""
    return _keyframe(store().root, run_id, step)


def keyframe_steps(run_id: str) -> list[int]:
    """Steps of a run that have a keyframe, in order."""
    return keyframes.steps(store().folder(run_id))


def checkpoints(run_id: str) -> dict[int, Path]:
    """Kept checkpoints of a run, the last one among them: step -> file, in order."""
    return fork.checkpoints(store().folder(run_id))


def planned_stride(run: ev.Run) -> int:
    """Return the largest step size that meets every planned evaluation, so that a slider meets every keyframe."""
    return math.gcd(*_planned(run))


def first_evaluation(run: ev.Run) -> int:
    """Return the step after which a run is first evaluated."""
    return next(_planned(run))


def _planned(run: ev.Run) -> Iterator[int]:
    return keyframes.planned(run.steps, int(run.config.get("train", {}).get("evals", 1)))


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


def estimate(found: list[ev.Run], config: RunConfig) -> tuple[float, str] | None:
    """Seconds that a run will take, and the method of another run from which that is reckoned ("" if from one of its kind).

    Without a like run the newest with the same network and data on this machine counts, scaled by the images a step. None if there is none.
    """
    steps = config.train.steps
    if each := seconds_per_step(found, config):
        return each * steps, ""
    for run in found:
        raw, device = run.config, run.summary.get("device")
        same = raw.get("model") == asdict(config.model) and run.data == config.data.source and run.host == HOST
        if same and config.train.device in ("auto", device) and run.step >= 20 and run.seconds > 0:
            theirs = run.summary.get("images_per_step")
            if theirs:
                return run.seconds / run.step * images_per_step(config) / theirs * steps, run.method
    return None


def images_per_step(config: RunConfig) -> int:
    """Views that a step makes, as `Trainer.images_per_step`: known here without torch."""
    method = config.method
    views = {"mixmatch": getattr(method, "views", 0), "fixmatch": 2, "flexmatch": 2}.get(method.name, 0)
    return config.train.batch * (1 + views * getattr(method, "mu", 0))


def time_left(run: ev.Run, points: Columns, window: int = 40) -> float | None:
    """Seconds until the run's end at the speed of its latest points; None before there are two."""
    steps, seconds = points.get("step", np.zeros(0)), points.get("seconds", np.zeros(0))
    if len(steps) < 2 or run.step >= run.steps:
        return None
    first = max(0, len(steps) - window)
    took = (seconds[-1] - seconds[first]) / max(int(steps[-1] - steps[first]), 1)
    return float(took * (run.steps - run.step))
