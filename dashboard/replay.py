"""Reads for the time machine: all keyframes of a run as one history, what a setting was at a step, what it costs on the disk.

Each keyframe is read once and kept by (folder, run, step), so a history of 64 is quick and grows by one while a run
trains. No charts, no torch.
"""

from __future__ import annotations

import json
import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from dashboard import biography, queries
from dashboard.biography import History
from dashboard.queries import Columns
from dashboard.text import number
from sslcore import events as ev
from sslcore import keyframes

OF_A_LIFE = ("weak_probs", "mask", "threshold")
DISK_EVERY = 10.0  # seconds for which the sizes on the disk are kept


def steps(run_id: str) -> tuple[int, ...]:
    """Steps of the run's keyframes, in order; none before the first one is whole."""
    folder = queries.store().folder(run_id)
    return tuple(keyframes.steps(folder)) if (folder / keyframes.FOLDER / keyframes.PROBE).exists() else ()


def history(run_id: str, at: tuple[int, ...]) -> History | None:
    """The keyframes of the steps `at` as one history; None if none can be read."""
    return _history(queries.store().root, run_id, at)


@lru_cache(maxsize=8)
def _history(root: Path, run_id: str, at: tuple[int, ...]) -> History | None:
    found = [(step, frame) for step in at if (frame := _of_a_life(root, run_id, step))]
    if not found:
        return None
    try:
        truth = keyframes.probe(root / run_id)["unlabeled_truth"]
    except (FileNotFoundError, ValueError):
        return None
    return biography.history([step for step, _ in found], [frame for _, frame in found], truth)


@lru_cache(maxsize=4 * keyframes.MOST)
def _of_a_life(root: Path, run_id: str, step: int) -> Columns | None:
    try:
        return keyframes.load(root / run_id, step, OF_A_LIFE)
    except (FileNotFoundError, ValueError):  # thinned away or cut off meanwhile
        return None


def marks(run: ev.Run) -> dict[int, tuple[str, str]]:
    """Steps that the slider marks: step -> (words, "checkpoint" or "fork")."""
    kept = queries.checkpoints(run.id)
    found = {step: (f"keyframe and checkpoint at step {number(step)}", "checkpoint") for step in kept}
    if made := run.summary.get("fork"):
        found[made["step"]] = (f"forked here, at step {number(made['step'])}", "fork")
    return found


def nearest(at: int, wanted: tuple[int, ...]) -> int | None:
    """The step of `wanted` that is nearest to `at`, the earlier of two; None if there is none."""
    return min(wanted, key=lambda step: (abs(step - at), step), default=None)


def setting(run: ev.Run, name: str, step: int) -> Any:
    """What a setting of the run was when it had taken `step` steps: changed settings and forks are in its events."""
    section, field = name.split(".", 1)
    changes = [
        event for event in queries.store().events(run.id) if event.kind in ("set", "fork") and name in event.data
    ]
    before = [event.data[name] for event in changes if event.step < step]
    if before:
        return before[-1]
    if changes:  # changed later on: what it began with
        fork = run.summary.get("fork", {})
        if name in fork.get("before", {}) and changes[0].kind == "fork":
            return fork["before"][name]
        try:
            raw = json.loads((queries.store().folder(run.id) / "config.json").read_text(encoding="utf-8"))
            return raw[section][field]
        except (OSError, ValueError, KeyError):
            pass
    return run.config.get(section, {}).get(field)


def disk(run_id: str) -> dict[str, int]:
    """Bytes on the disk: "keyframes" and "checkpoints" of this run, "all" of both of all runs."""
    return _disk(queries.store().root, run_id, int(time.monotonic() / DISK_EVERY))


@lru_cache(maxsize=4)
def _disk(root: Path, run_id: str, moment: int) -> dict[str, int]:
    seen: set[tuple[int, int]] = set()  # a fork shares files with its parent: they lie on the disk once
    found = {"keyframes": 0, "checkpoints": 0, "all": 0}
    for folder in os.scandir(root):
        if not folder.is_dir():
            continue
        for kind, size, inode in _files(Path(folder.path)):
            found["all"] += size if inode not in seen else 0
            seen.add(inode)
            if folder.name == run_id:
                found[kind] += size
    return found


def _files(folder: Path) -> list[tuple[str, int, tuple[int, int]]]:
    """(kind, bytes, identity) of a run's keyframes and checkpoints."""
    found = []
    for pattern, kind in ((f"{keyframes.FOLDER}/*.npz", "keyframes"), ("*.pt", "checkpoints")):
        for path in folder.glob(pattern):
            try:
                stat = path.stat()
            except FileNotFoundError:  # thinned away meanwhile
                continue
            found.append((kind, stat.st_size, (stat.st_dev, stat.st_ino)))
    return found
