"""Carry a sweep out from the command line: the cells that are missing, in one or several worker processes at a time.

Each worker has a Lab of its own, so its runs show live on the page and obey it. Nothing that matters is kept in memory:
whatever ends this process, the next call finds in the store what is done. Workers leave when this process is gone.
"""

from __future__ import annotations

import concurrent.futures as futures
import multiprocessing
import multiprocessing.synchronize
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sslcore import config as cfg
from sslcore import console, sweep, sweep_plans
from sslcore import events as ev
from sslcore.lab import Lab
from sslcore.store import Store, StoreError
from sslcore.sweep import Cell, Plan

POLL = 0.5  # seconds between two looks at the store
STOP_WAIT = 30.0  # seconds for the runs to save a checkpoint after Ctrl-C
_queueing = threading.Lock()
DONE = (ev.FINISHED, ev.FAILED, ev.DIVERGED)


def carry_out(root: Path, plan: Plan, parallel: int, again: bool, show: Callable[[dict[str, ev.Run]], None]) -> bool:
    """Train what is missing, resume what rests; return False if Ctrl-C ended it early, with a checkpoint of every run.

    `again`: failed cells are tried once more, from their start. `show` is called with {cell key: run} twice a second.
    """
    store = Store(root)
    store.reconcile()
    grid = cells_now(plan)
    sweep_plans.keep(store.root, plan)
    found = sweep.assign(grid, store.runs())
    todo = [cell for cell in grid if _wanted(found.get(cell.key), again)]
    context = multiprocessing.get_context("spawn")
    leave = context.Event()
    whole = True
    gpu = parallel > 1 and bool(todo) and _on_gpu(plan)  # processes would only take turns on it
    workers = 1 if gpu else max(1, min(parallel, len(todo)))
    with futures.ProcessPoolExecutor(workers, context, _begin, (leave,)) as pool:
        shares = [todo] if gpu else [[cell] for cell in todo]
        at_once = parallel if gpu else 1
        waiting = {pool.submit(train_cells, root, share, plan.preset, again, at_once) for share in shares}
        try:
            while waiting:
                ended, waiting = futures.wait(waiting, timeout=POLL, return_when=futures.FIRST_COMPLETED)
                for each in ended:
                    each.result()  # raises what is not a run's own failure
                show(sweep.assign(grid, store.runs()))
        except KeyboardInterrupt:
            whole = False
            leave.set()
            pool.shutdown(wait=False, cancel_futures=True)
            _stop(store, grid)
    show(sweep.assign(grid, store.runs()))
    return whole


def cells_now(plan: Plan) -> list[Cell]:
    """Return the grid as `sweep.cells`, bound to what the plan's folder of images holds now."""
    return sweep.cells(plan, files_now(sweep.cells(plan)[0].config))


def files_now(config: cfg.RunConfig) -> str:
    """Return what a run's folder of images holds now; empty where there is none or it can't be read: training says why."""
    from sslcore import data

    try:
        return data.files_key(config.data)
    except data.DataError:
        return ""


def _wanted(run: ev.Run | None, again: bool) -> bool:
    return run is None or run.state not in DONE or (again and run.state != ev.FINISHED)


def _stop(store: Store, grid: list[Cell]) -> None:
    """Ask every run of the sweep that is at work to save a checkpoint and end, and wait until it has."""
    lab, deadline = Lab(store), time.monotonic() + STOP_WAIT
    while time.monotonic() < deadline:
        store.reconcile()
        active = [run for run in sweep.assign(grid, store.runs()).values() if run.state in (*ev.ACTIVE, ev.QUEUED)]
        if not active:
            return
        for run in active:
            lab.stop(run.id)
        time.sleep(0.1)


def bring(lab: Lab, cell: Cell, run: ev.Run | None, preset: str, again: bool) -> str:
    """Queue the run of a cell in this process, whatever it is at, and return its id; one that is finished or at work is left alone."""
    bad = (ev.FAILED, ev.DIVERGED)
    if run is None or (run.state in bad and again):
        return lab.start(cell.config, preset)
    if run.state not in bad:
        lab.resume(run.id)
    return run.id


def queue(lab: Lab, plan: Plan, again: bool = False) -> int:
    """Put all of a sweep that isn't finished into a Lab's queue, in the order of the grid; return how many runs wait or are at work."""
    grid = cells_now(plan)
    with _queueing:  # two tabs that press Start at once must not both make the runs
        lab.store.reconcile()
        sweep_plans.keep(lab.store.root, plan)
        found = sweep.assign(grid, lab.store.runs())
        todo = [cell for cell in grid if _wanted(found.get(cell.key), again)]
        for cell in todo:
            bring(lab, cell, found.get(cell.key), plan.preset, again)
    return len(todo)


def pause(lab: Lab, plan: Plan) -> None:
    """Let every run of a sweep rest with a checkpoint: those that wait first, so that none of them gets the free thread."""
    found = sweep.assign(cells_now(plan), lab.store.runs()).values()
    for run in sorted(found, key=lambda run: run.state != ev.QUEUED):
        lab.pause(run.id)


# -- in a worker -------------------------------------------------------------------------------------------------------

_leave: multiprocessing.synchronize.Event | None = None


def _begin(leave: multiprocessing.synchronize.Event) -> None:
    """Set a worker up: Ctrl-C is the parent's to handle, and a worker whose parent was killed must not live on."""
    global _leave
    _leave = leave
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        while parent.is_alive():
            time.sleep(0.5)
        os._exit(1)  # its run is found interrupted, with its last checkpoint

    threading.Thread(target=watch, daemon=True, name="watch-parent").start()


def train_cells(root: Path, cells: list[Cell], preset: str, again: bool, at_once: int) -> None:
    """Bring cells to their end in this process, `at_once` of them at a time: they share a GPU, each with a stream of its own.

    A run at work in another living process is waited for.
    """
    if _leave is not None and _leave.is_set():
        return
    store = Store(root)
    lab = Lab(store, at_once=at_once)
    found = sweep.assign(cells, store.runs())
    try:
        for run_id in [bring(lab, cell, found.get(cell.key), preset, again) for cell in cells]:
            try:
                console.follow(lab, run_id, quiet=True)
            except StoreError:
                if any(run.id == run_id for run in store.runs()):
                    raise
                # Deleted while it waited: its cell is left out, the others go on.
    finally:
        lab.close()


def _on_gpu(plan: Plan) -> bool:
    from sslcore.trainer import choose_device

    return choose_device(sweep.cells(plan)[0].config.train.device).type == "cuda"


def parallel_runs(wanted: str, plan: Plan) -> int:
    """Return how many runs to train at a time.

    `auto`: as many as have their threads' worth of CPU cores; on a GPU what `bench --gpu` found best there for the method
    that gains least, one where it was never measured.
    """
    if wanted != "auto":
        if not wanted.isdecimal() or not 1 <= int(wanted) <= 64:
            raise cfg.ConfigError(f"--parallel must be auto or a whole number from 1 to 64, got {wanted[:40]!r}")
        return int(wanted)
    from sslcore.trainer import choose_device, cores, device_name

    train = sweep.cells(plan)[0].config.train
    device = choose_device(train.device)
    if device.type == "cuda":
        from sslcore.bench_gpu_told import known_best

        best = known_best(device_name(device))
        return min(best.get(method, 1) for method in plan.methods)
    if device.type != "cpu" or train.threads == 0:
        return 1
    return max(1, cores() // train.threads)
