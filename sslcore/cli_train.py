"""The commands that train: one run to its end, or a sweep of them. torch is imported where it is needed."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from sslcore import console, curve, sweep_files, sweep_run, tensorboard
from sslcore import events as ev
from sslcore.config import RunConfig
from sslcore.lab import Lab
from sslcore.options import asked_store, assignment, sweep_plan, train_config
from sslcore.store import Store, default_root
from sslcore.sweep import assign, outdated


def train(args: argparse.Namespace) -> int:
    config = train_config(args)
    _check_data(config, quiet=args.json)
    lab = Lab(asked_store(args))
    return _follow(lab, lab.start(config, args.preset, args.name), args)


def resume(args: argparse.Namespace) -> int:
    lab = Lab(asked_store(args))
    run = lab.store.run(args.run_id)
    lab.resume(run.id)
    return _follow(lab, run.id, args)


def fork(args: argparse.Namespace) -> int:
    lab = Lab(asked_store(args))
    changes: dict[str, Any] = dict(assignment(text) for text in args.set)
    if args.steps is not None:
        changes["train.steps"] = args.steps
    return _follow(lab, lab.fork(args.run_id, args.at, changes), args)


def _follow(lab: Lab, run_id: str, args: argparse.Namespace) -> int:
    """Wait for the run with a progress bar, stop it on Ctrl-C, print its result; return the exit status."""
    run = console.follow(lab, run_id, quiet=args.json)
    console.put(console.result(run), args, console.sentence(run))
    if run.state in (ev.FAILED, ev.DIVERGED):
        print(run.error.rstrip(), file=sys.stderr)
        return 1
    if run.state != ev.FINISHED:
        print(f"go on with: python -m sslcore resume {run.id}", file=sys.stderr)
        return 130
    return 0


def sweep(args: argparse.Namespace) -> int:
    plan = sweep_plan(args)
    grid = sweep_run.cells_now(plan)
    parallel = sweep_run.parallel_runs(args.parallel, plan)
    root = Path(args.root or default_root())
    files = sweep_files.Files(root, plan, args.out, args.per_class, args.report)
    for cell in {cell.method: cell for cell in sorted(grid, key=lambda cell: cell.labels)}.values():
        _check_data(cell.config, quiet=args.json)  # the largest count of each method: bad settings are bad usage
    if old := outdated(grid, Store(root).runs()):
        print(
            f"{old:,} finished run{'s' * (old > 1)} not used: the files in this folder have changed since then",
            file=sys.stderr,
        )
    bar = console.SweepLine(grid, parallel, quiet=args.json)

    def show(found: dict[str, ev.Run]) -> None:
        bar.show(found)
        files.write(found)

    whole = sweep_run.carry_out(root, plan, parallel, args.again, show)
    bar.close()
    found = assign(grid, Store(root).runs())
    files.write(found, last=True)
    seen = curve.points(grid, found)
    runs = [found[cell.key] for cell in grid if cell.key in found]
    value = {
        "whole": whole,
        "cells": len(grid),
        "runs": [console.result(run) for run in runs],
        "curve": [curve.summary(each) for each in seen],
    }
    told = [console.sweep_sentence(grid, found), *((curve.table(seen), curve.costs(seen)) if seen else ())]
    console.put(value, args, "\n\n".join(told))
    if not whole:
        print(f"go on with: python -m sslcore {shlex.join(args.typed)}", file=sys.stderr)
        return 130
    return 0 if all(run.state == ev.FINISHED for run in runs) else 1


def _check_data(config: RunConfig, quiet: bool) -> None:
    """Load the images and cut the split before the run is made, so that bad settings are bad usage, not a failed run."""
    from sslcore import data
    from sslcore.rng import Generators
    from sslcore.trainer import check_device, choose_device, cut

    tensorboard.require(config)
    device = choose_device(config.train.device)
    check_device(config, device)
    cut(config, data.load(config.data, console.progress(quiet)), Generators(config.train.seed, device)["split"])
