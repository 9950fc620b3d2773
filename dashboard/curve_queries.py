"""What the Label curves page asks of the store: the state of a sweep, its costs, the races. No streamlit, no charts, no torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from dashboard import queries
from dashboard import text_curves as words
from sslcore import config as cfg
from sslcore import curve, sweep, sweep_plans
from sslcore import events as ev
from sslcore.curve import Point
from sslcore.process import HOST, process_mark
from sslcore.sweep import Cell, Plan

BAD = (ev.FAILED, ev.DIVERGED)
FILES_EVERY = 15.0  # seconds for which it is taken that a folder's files are the same


@dataclass(frozen=True)
class Look:
    """A sweep at one moment: its cells, the run of each, and what has come of them."""

    plan: Plan
    grid: list[Cell]
    found: dict[str, ev.Run]
    points: list[Point] = field(default_factory=list)
    outdated: int = 0  # finished runs of what the folder of images held before

    def states(self) -> list[str]:
        return [self.found[cell.key].state if cell.key in self.found else sweep.MISSING for cell in self.grid]

    def count(self, *states: str) -> int:
        return sum(state in states for state in self.states())

    @property
    def finished(self) -> int:
        return self.count(ev.FINISHED)

    @property
    def failed(self) -> int:
        return self.count(*BAD)

    @property
    def working(self) -> int:
        return self.count(*ev.ACTIVE)

    @property
    def waiting(self) -> int:
        """Queued runs of a living process."""
        return sum(run.state == ev.QUEUED and not queries.orphaned(run) for run in self.found.values())

    @property
    def missing(self) -> int:
        return self.count(sweep.MISSING)

    @property
    def to_go(self) -> int:
        """Runs that Start would put into the queue: missing, or at rest before their end."""
        return len(self.grid) - self.finished - self.failed - self.working - self.waiting

    @property
    def elsewhere(self) -> bool:
        """Whether a living process other than this one trains some of it."""
        return any(run.state in ev.ACTIVE and not ours(run) for run in self.found.values())


def ours(run: ev.Run) -> bool:
    import os

    return (run.host, run.pid, run.process) == (HOST, os.getpid(), process_mark(os.getpid()))


@lru_cache(maxsize=32)
def _cells(text: str, files: str) -> list[Cell]:
    return sweep.cells(sweep.from_json(text), files)


def cells(plan: Plan) -> list[Cell]:
    """The grid of a plan; made once for all tabs and ticks. ConfigError as `sweep.cells`."""
    text = sweep.to_json(plan)
    config = _cells(text, "")[0].config
    if not config.data.source.startswith("folder:"):
        return _cells(text, "")
    return _cells(text, _files(config, int(time.monotonic() / FILES_EVERY)))


@lru_cache(maxsize=4)
def _files(config: cfg.RunConfig, moment: int) -> str:
    """What a folder holds; looked up now and then only, since each of its files is asked for its time."""
    from sslcore import sweep_run

    return sweep_run.files_now(config)


def look(plan: Plan, runs: Sequence[ev.Run]) -> Look:
    grid = cells(plan)
    found = sweep.assign(grid, runs)
    return Look(plan, grid, found, curve.points(grid, found), sweep.outdated(grid, runs))


def seconds_left(now: Look, runs: Sequence[ev.Run], measured: Mapping[str, float]) -> tuple[float | None, str]:
    """Seconds of training that are left, None if some isn't known, and what to say of them: what was reckoned, or left out.

    `measured`: what `cost.measure` found; a real run's speed comes before it.
    """
    ran = sweep.speeds(runs)
    known = {**measured, **ran}
    notes: set[str] = set()
    for cell in now.grid:
        if not sweep.steps_left(cell, now.found.get(cell.key)):
            continue
        if cell.kind not in known:
            estimate = queries.estimate(list(runs), cell.config)
            if estimate is None:
                return None, ""
            known[cell.kind] = estimate[0] / cell.config.train.steps
            notes.add(words.RECKONED)
        elif cell.config.train.compile and cell.kind in measured and cell.kind not in ran:
            notes.add(words.UNCOMPILED)
    return sweep.seconds_left(now.grid, now.found, known), ", ".join(sorted(notes))


def kept() -> list[Plan]:
    """The sweeps that were begun in this folder, the one used last first."""
    return sweep_plans.kept(queries.store().root)


def races(runs: Sequence[ev.Run]) -> dict[str, list[ev.Run]]:
    """The races of a folder, the newest first: name -> its runs, in the order of the methods."""
    found: dict[str, list[ev.Run]] = {}
    for run in runs:
        if race := run.summary.get("race"):
            found.setdefault(str(race), []).append(run)
    place = {method: k for k, method in enumerate(cfg.METHOD_NAMES)}
    return {race: sorted(mine, key=lambda run: place.get(run.method, 9)) for race, mine in found.items()}
