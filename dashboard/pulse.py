"""One look at a run for all tabs that watch it: what a tick draws, read and built once for those that look at about the same time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dashboard import queries
from dashboard.queries import Snapshot
from sslcore import events as ev

SHARED = 0.45  # seconds for which a look at a run counts; a tab that presses a button looks anew
YOUNG = 1.0  # seconds of training
MOST = 64  # looks that are kept


@dataclass(frozen=True, eq=False)
class Pulse:
    """A run, its curves, those of its original if it is a fork, the step of its newest keyframe, and (id, state) of all runs at work."""

    run: ev.Run
    now: Snapshot
    origin: tuple[Snapshot, int] | None
    frame: int | None
    busy: tuple[tuple[str, str], ...]

    @property
    def state(self) -> tuple[object, ...]:
        """What the page around the curves depends on: when it changes, the page is drawn anew."""
        return self.run.state, self.run.name, is_young(self.run), self.busy, len(self.now.changes)


def pulse(run_id: str, *, fresh: bool = False) -> Pulse:
    """Return a look at a run that is at most SHARED old, `fresh` or of a young run a new one; StoreError if there is no such run."""
    key = (queries.store().root, run_id)
    with _looking:
        at, kept = _kept.get(key, (0.0, None))
        if kept is not None and not fresh and not is_young(kept.run) and time.monotonic() - at < SHARED:
            return kept
        run = queries.store().run(run_id)
        found = Pulse(
            run, queries.snapshot(run), queries.origin(run), queries.last_keyframe(run.id), queries.busy()
        )  # fmt: skip
        if len(_kept) >= MOST:
            _kept.clear()
        _kept[key] = time.monotonic(), found
        return found


def is_young(run: ev.Run) -> bool:
    """Whether a run has yet to show its first line: two points, which a slow page would wait for two ticks long."""
    return run.state in (ev.QUEUED, *ev.ACTIVE) and run.seconds < YOUNG


_kept: dict[tuple[Path, str], tuple[float, Pulse]] = {}
_looking = threading.RLock()
