"""Kill training processes at random moments and show that nothing is lost: `python -m tests.kill_runs --kills 100`.

A run is trained by one process after another; each is ended by SIGKILL after a random time, in the middle of a step, a
metric, a keyframe or a checkpoint. After each kill the folder is looked at: the store whole and the run found interrupted,
`last.pt` readable and never older than before, every point up to it still there. At its end, each run is compared with one
of the same config that was never killed: weights, checkpoints, metrics, per-class arrays, keyframes, all bit for bit.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import checkpoint, keyframes, presets
from sslcore import events as ev
from sslcore.config import METHOD_NAMES
from sslcore.lab import Lab
from sslcore.store import Store

CLOCK = ("seconds", "perf/images_per_s")  # what may differ between two equal runs
SETTINGS = {"train.steps": 160, "train.evals": 12, "train.threads": 1, "data.val": 40}


@dataclass
class Table:
    """What came of all the kills."""

    kills: int = 0
    runs: int = 0
    at: Counter[str] = field(default_factory=Counter)  # how far the killed process was
    lost: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"kills {self.kills}, runs {self.runs}, lost {len(self.lost)}, unequal {len(self.unequal)}"]
        lines += [f"  killed {where}: {count}" for where, count in sorted(self.at.items())]
        return "\n".join(
            [*lines, *(f"LOST {text}" for text in self.lost), *(f"UNEQUAL {text}" for text in self.unequal)]
        )


def train(root: Path, run_id: str, hurried: float) -> None:
    """A process that goes on with a run. Every step is a point and a checkpoint is due all the time, so that kills meet one."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from sslcore import recorder

    recorder.WINDOW = recorder.ARRAYS_EVERY = 0.0
    recorder.CHECKPOINT_EVERY = hurried
    lab = Lab(Store(root))
    lab.resume(run_id)
    while lab.store.run(run_id).state in (ev.QUEUED, *ev.ACTIVE):
        time.sleep(0.02)
    lab.close()


def begin(context: Any, root: Path, run_id: str) -> Any:
    child = context.Process(target=train, args=(root, run_id, 0.05), daemon=True)
    child.start()
    return child


def kill_once(context: Any, root: Path, run_id: str, chance: random.Random, table: Table) -> None:
    """Let a process train for a random time, kill it, and look at what it leaves."""
    store = Store(root)
    before = _last(store, run_id)
    child = begin(context, root, run_id)
    if chance.random() < 0.85:  # most of them in the middle of training; the others while the process begins
        _wait_for_a_step(store, run_id, store.run(run_id).step, child)
    time.sleep(chance.uniform(0.0, 0.6))
    if not child.is_alive():
        return  # it came to the end of the run first
    half = [path.name for path in store.folder(run_id).rglob(".*.tmp")]
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    table.kills += 1
    where = "before its first step" if store.run(run_id).step == before else "while it trained"
    table.at["while it wrote a file" if half or list(store.folder(run_id).rglob(".*.tmp")) else where] += 1
    table.lost += [f"{run_id}: {text}" for text in losses(root, run_id, before)]


def losses(root: Path, run_id: str, before: int) -> list[str]:
    """Say what is no longer there of a killed run that had a checkpoint of step `before`."""
    store = Store(root)
    store.reconcile()
    found = []
    with store.snapshot() as db:
        if (answer := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            found.append(f"lab.db: {answer}")
    state = store.run(run_id).state
    if state not in (ev.INTERRUPTED, ev.QUEUED, ev.FINISHED):  # queued: killed before it had claimed the run
        found.append(f"the run is {state}")
    last = _last(store, run_id)
    if last < before:
        found.append(f"last.pt is of step {last}, it was of {before}")
    steps = store.points(run_id, ev.TRAIN, limit=10**9)["step"].tolist()
    if steps[:last] != list(range(1, last + 1)):
        found.append(f"points up to the checkpoint of step {last} are missing")
    for path in store.folder(run_id).glob("*.pt"):
        checkpoint.load(path)
    for step in keyframes.steps(store.folder(run_id)):
        keyframes.load(store.folder(run_id), step)
    return found


def differences(store: Store, run_id: str, other: str) -> list[str]:
    """Name what two finished runs of one config don't share bit for bit."""
    found = []
    one, two = store.run(run_id), store.run(other)
    if one.state != ev.FINISHED:
        return [f"{run_id} is {one.state}: {one.error.strip().splitlines()[-1:]}"]
    for key in ("weights_sha256", "test_accuracy", "test_accuracy_raw", "best_val_accuracy", "best_step"):
        if one.summary.get(key) != two.summary.get(key):
            found.append(f"{key}: {one.summary.get(key)} and {two.summary.get(key)}")
    for series in (ev.TRAIN, ev.EVAL):
        a, b = (store.points(each, series, limit=10**9) for each in (run_id, other))
        if a.keys() != b.keys():
            found.append(f"{series}: other metrics")
        found += [
            f"{series} {name}"
            for name in a.keys() & b.keys() - set(CLOCK)
            if not np.array_equal(a[name], b[name], equal_nan=True)
        ]
    for name in ("flex/threshold", "flex/count", "pseudo/count"):
        pairs = zip(store.arrays(run_id, name, 10**9), store.arrays(other, name, 10**9), strict=True)
        found += [name for a, b in pairs if not np.array_equal(a, b)]
    names = [
        sorted(str(path.relative_to(store.folder(each))) for path in store.folder(each).rglob("*"))
        for each in (run_id, other)
    ]
    if names[0] != names[1]:
        found.append(f"files: {sorted(set(names[0]) ^ set(names[1]))}")
    for step in keyframes.steps(store.folder(other)):
        a, b = (keyframes.load(store.folder(each), step) for each in (run_id, other))
        found += [f"keyframe {step} {name}" for name in b if not np.array_equal(a[name], b[name])]
    for path in store.folder(other).glob("*.pt"):
        a, b = (checkpoint.load(store.folder(each) / path.name) for each in (run_id, other))
        sums = [checkpoint.states_sha256(state["model"], state["ema"], state["generators"]) for state in (a, b)]
        if a["step"] != b["step"] or sums[0] != sums[1]:
            found.append(path.name)
    return found


def kill(kills: int, a_run: int, seed: int, root: Path, methods: tuple[str, ...] = METHOD_NAMES) -> Table:
    """Kill `kills` times, `a_run` times each run, the methods in turn; return the table."""
    chance, table, store = random.Random(seed), Table(), Store(root)
    context = multiprocessing.get_context("forkserver")  # torch is imported once, not at each of a hundred starts
    context.set_forkserver_preload(["sslcore.session"])
    straight: dict[str, str] = {}
    while table.kills < kills:
        method = methods[table.runs % len(methods)]
        config = presets.build("smoke", method, SETTINGS)
        if method not in straight:
            straight[method] = store.create(config, state=ev.PAUSED)
            _finish(context, root, straight[method])
        run_id = store.create(config, state=ev.PAUSED)
        for _ in range(min(a_run, kills - table.kills)):
            if store.run(run_id).state != ev.FINISHED:
                kill_once(context, root, run_id, chance, table)
        _finish(context, root, run_id)
        table.runs += 1
        table.unequal += [f"{run_id}: {text}" for text in differences(store, run_id, straight[method])]
        store.delete(run_id)
        print(f"\r{table.kills} of {kills}", end="", file=sys.stderr, flush=True)
    return table


def _finish(context: Any, root: Path, run_id: str) -> None:
    child = begin(context, root, run_id)
    child.join()


def _last(store: Store, run_id: str) -> int:
    path = store.folder(run_id) / checkpoint.LAST
    return checkpoint.load(path)["step"] if path.exists() else 0


def _wait_for_a_step(store: Store, run_id: str, step: int, child: Any) -> None:
    while child.is_alive() and store.run(run_id).step <= step:
        time.sleep(0.005)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill training processes at random moments; nothing may be lost.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--a-run", type=int, default=5, help="kills of each run")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as root:
        table = kill(args.kills, args.a_run, args.seed, Path(root))
    print(f"\n{table}\nin {time.perf_counter() - began:.0f} s")
    return 1 if table.lost or table.unequal else 0


if __name__ == "__main__":
    sys.exit(main())
