"""The command line: `python -m sslcore COMMAND`. torch is imported by the commands that need it, not by --help.

Exit status: 0 done, 1 a run failed or diverged, 2 bad usage (at most two lines), 130 stopped or interrupted.
With --json, stdout holds one JSON value and nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sslcore import config as cfg
from sslcore import console, presets, sweep, transfer
from sslcore import events as ev
from sslcore.config import ConfigError, RunConfig
from sslcore.lab import Lab
from sslcore.store import Store, StoreError, default_root


class Parser(argparse.ArgumentParser):
    """argparse whose complaint is one line, not the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists what is allowed\n")


def parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="python -m sslcore", description="Semi-supervised image classification: train, steer and read runs."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, help: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        made.add_argument(
            "--root", default=None, help="folder of the runs (default: checkpoints/ of the repository, or SSLLAB_ROOT)"
        )
        made.add_argument("--json", action="store_true", help="print one JSON value on stdout and nothing else")
        made.set_defaults(run=run)
        return made

    train = command("train", "train one run and print its result", _train)
    train.add_argument("--preset", default=presets.DEFAULT, help=", ".join(presets.PRESETS))
    train.add_argument("--method", default="", help=", ".join(cfg.METHOD_NAMES))
    train.add_argument("--data", help="digits, shapes, cifar10, or folder:PATH")
    for name, path in (
        ("labels", "data.labels"),
        ("seed", "train.seed"),
        ("steps", "train.steps"),
        ("device", "train.device"),
    ):
        spec = cfg.find(RunConfig(), path)
        train.add_argument(f"--{name}", help=f"{spec.metadata['help']} ({cfg.allowed(spec)})")
    train.add_argument("--name", default="", help="a name for the run")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting, such as optim.lr=0.05; repeatable",
    )

    for name, help, run in (
        ("resume", "go on with a run that rests, in this process", _resume),
        ("evaluate", "evaluate a run's last checkpoint on the test set", _evaluate),
        ("show", "show one run: settings, result, events", _show),
        ("delete", "delete a run that isn't active", _delete),
        ("pause", "ask a run to save a checkpoint and free its thread", _pause),
        ("stop", "ask a run to save a checkpoint and end", _stop),
    ):
        command(name, help, run).add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    change = command("set", "change a setting of a run while it trains", _set)
    change.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    change.add_argument("assignment", metavar="NAME=VALUE", help="such as method.threshold=0.8")
    branch = command("fork", "go on from a checkpoint of a run with changed settings, as a new run", _fork)
    branch.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    branch.add_argument(
        "--at", type=int, metavar="STEP", help="a step that has a checkpoint (default: the last before the end)"
    )
    branch.add_argument("--steps", help="steps of the fork (default: those of the run)")
    branch.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting to change, such as method.threshold=0.8; repeatable"
    )  # fmt: skip
    export = command("export", "write a run as one file, to import elsewhere", _export)
    export.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    export.add_argument("--out", required=True, metavar="FILE", help="FILE.zip: settings, metrics, keyframes, weights")
    export.add_argument("--force", action="store_true", help="replace FILE if it is there")
    take = command("import", "take in a run that was exported elsewhere", _import)
    take.add_argument("file", metavar="FILE", help="a .zip that `export` wrote")
    command("runs", "list all runs, newest first", _runs)

    swept = command("sweep", "methods x label counts x seeds: train what is missing and print the curve", _sweep)
    swept.add_argument("--preset", default="digits-curve", help=f"{', '.join(sweep.NAMED)}, or a preset of train")
    swept.add_argument("--methods", help="such as supervised,flexmatch (default: all four)")
    swept.add_argument("--labels", help="label counts, such as 10,20,40")
    swept.add_argument("--seeds", help="such as 0,1,2 or 0-9 (default: 0)")
    for name in ("data", "steps", "device"):
        swept.add_argument(f"--{name}", help="as for train")
    swept.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting, in every cell; repeatable"
    )
    swept.add_argument("--parallel", default="auto", help="runs at a time (default auto: what the cores allow)")
    swept.add_argument("--again", action="store_true", help="try failed cells once more")
    swept.add_argument("--out", metavar="FILE.csv", help="write one row a run")

    bench = command("bench", "time every method, each net and the augmentation on the device at hand", _bench)
    bench.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    bench.add_argument("--net", default="all", choices=("all", "lesson", "wrn"), help="which net")
    bench.add_argument("--method", default="all", choices=("all", *cfg.METHOD_NAMES), help="which method")
    bench.add_argument("--steps", type=int, default=30, help="timed steps of each, at most (default 30)")
    bench.add_argument(
        "--seconds", type=float, default=15.0, help="seconds for each, at most, but never under 3 steps (default 15)"
    )
    bench.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")

    data = command("data", "list the data sources, or load one and describe it", _data)
    data.add_argument("source", nargs="?", metavar="NAME", help="digits, shapes, cifar10, or folder:PATH")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    args.typed = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # also where a shell started us in the background, with Ctrl-C ignored
    try:
        return int(args.run(args))
    except (ConfigError, StoreError) as error:
        return _bad_usage(str(error))
    except ValueError as error:
        if type(error).__module__.startswith(
            "sslcore."
        ):  # DataError, CheckpointError: told apart without importing torch
            return _bad_usage(str(error))
        raise
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _bad_usage(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _store(args: argparse.Namespace) -> Store:
    return Store(args.root or default_root())


def _assignment(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"a setting must be written NAME=VALUE, got {text[:80]!r}")
    return name.strip(), value


def train_config(args: argparse.Namespace) -> RunConfig:
    """Return the config that the options of `train` ask for; ConfigError says what is wrong."""
    settings: dict[str, Any] = dict(_assignment(text) for text in args.set)
    typed = {
        "data.source": args.data,
        "data.labels": args.labels,
        "train.seed": args.seed,
        "train.steps": args.steps,
        "train.device": args.device,
    }
    return presets.build(
        args.preset, args.method, settings | {path: value for path, value in typed.items() if value is not None}
    )


def _train(args: argparse.Namespace) -> int:
    config = train_config(args)
    _check_data(config, quiet=args.json)
    lab = Lab(_store(args))
    return _follow(lab, lab.start(config, args.preset, args.name), args)


def _check_data(config: RunConfig, quiet: bool) -> None:
    """Load the images and cut the split before the run is made, so that bad settings are bad usage, not a failed run."""
    from sslcore import data
    from sslcore.rng import Generators
    from sslcore.trainer import choose_device, cut

    device = choose_device(config.train.device)
    cut(config, data.load(config.data, console.progress(quiet)), Generators(config.train.seed, device)["split"])


def _resume(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    run = lab.store.run(args.run_id)
    lab.resume(run.id)
    return _follow(lab, run.id, args)


def _fork(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    changes: dict[str, Any] = dict(_assignment(text) for text in args.set)
    if args.steps is not None:
        changes["train.steps"] = args.steps
    return _follow(lab, lab.fork(args.run_id, args.at, changes), args)


def _follow(lab: Lab, run_id: str, args: argparse.Namespace) -> int:
    """Wait for the run with a progress bar, stop it on Ctrl-C, print its result; return the exit status."""
    run = console.follow(lab, run_id, quiet=args.json)
    _print(console.result(run), args, console.sentence(run))
    if run.state in (ev.FAILED, ev.DIVERGED):
        print(run.error.rstrip(), file=sys.stderr)
        return 1
    if run.state != ev.FINISHED:
        print(f"go on with: python -m sslcore resume {run.id}", file=sys.stderr)
        return 130
    return 0


def _sweep(args: argparse.Namespace) -> int:
    from sslcore import curve, sweep_run

    plan = _plan(args)
    grid = sweep.cells(plan)
    parallel = sweep_run.parallel_runs(args.parallel, plan)
    for cell in {cell.method: cell for cell in sorted(grid, key=lambda cell: cell.labels)}.values():
        _check_data(cell.config, quiet=args.json)  # the largest count of each method: bad settings are bad usage
    root = Path(args.root or default_root())
    bar = console.SweepLine(grid, parallel, quiet=args.json)
    whole = sweep_run.carry_out(root, plan, parallel, args.again, bar.show)
    bar.close()
    found = sweep.assign(grid, Store(root).runs())
    if args.out:
        Path(args.out).write_text(sweep.to_csv(grid, found, plan.preset), encoding="utf-8")
    seen = curve.points(grid, found)
    runs = [found[cell.key] for cell in grid if cell.key in found]
    value = {
        "whole": whole,
        "cells": len(grid),
        "runs": [console.result(run) for run in runs],
        "curve": [curve.summary(each) for each in seen],
    }
    _print(value, args, console.sweep_sentence(grid, found) + ("\n\n" + curve.table(seen) if seen else ""))
    if not whole:
        print(f"go on with: python -m sslcore {shlex.join(args.typed)}", file=sys.stderr)
        return 130
    return 0 if all(run.state == ev.FINISHED for run in runs) else 1


def _plan(args: argparse.Namespace) -> sweep.Plan:
    """Return the named plan, or that of a preset, with what was typed in its place."""
    base = sweep.NAMED[args.preset].plan if args.preset in sweep.NAMED else sweep.Plan(args.preset)
    typed = {"data.source": args.data, "train.steps": args.steps, "train.device": args.device}
    settings = dict(_assignment(text) for text in args.set) | {
        path: value for path, value in typed.items() if value is not None
    }
    return dataclasses.replace(
        base,
        methods=tuple(args.methods.split(",")) if args.methods else base.methods,
        labels=sweep.counts("labels", args.labels) if args.labels else base.labels,
        seeds=sweep.counts("seeds", args.seeds) if args.seeds else base.seeds,
        settings=settings,
    )


def _evaluate(args: argparse.Namespace) -> int:
    from sslcore.session import evaluate_run

    store = _store(args)
    run = store.run(args.run_id)
    found = evaluate_run(store, run.id)
    _print(
        console.result(run) | found,
        args,
        f"{run.id}: test accuracy {found['test_accuracy']:.2%} (averaged weights), {found['test_accuracy_raw']:.2%} (raw)",
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    store = _store(args)
    store.reconcile()
    return _show_run(store, args.run_id, args)


def _show_run(store: Store, run_id: str, args: argparse.Namespace) -> int:
    run = store.run(run_id)
    shown = console.result(run) | {
        "name": run.name,
        "note": run.note,
        "error": run.error,
        "config": run.config,
        "summary": run.summary,
    }
    events = [{"step": e.step, "time": e.time, "kind": e.kind, **e.data} for e in store.events(run.id)]
    _print(shown | {"events": events}, args, console.describe(run, store.events(run.id)))
    return 0


def _runs(args: argparse.Namespace) -> int:
    store = _store(args)
    store.reconcile()
    runs = store.runs()
    _print([console.result(run) for run in runs], args, console.table(runs))
    return 0


def _export(args: argparse.Namespace) -> int:
    store, out = _store(args), Path(args.out)
    store.reconcile()
    run = store.run(args.run_id)
    if out.suffix.lower() != ".zip":
        raise ConfigError(f"--out must end in .zip (all of a run), got {args.out[:80]!r}")
    if out.exists() and not args.force:
        raise ConfigError(f"--out {args.out[:80]!r} is there already; --force replaces it")
    transfer.export_run(store, run.id, out)
    size = out.stat().st_size
    _print({"run_id": run.id, "out": str(out), "bytes": size}, args, f"{run.id} exported to {out}, {size / 1e6:.1f} MB")
    return 0


def _import(args: argparse.Namespace) -> int:
    store = _store(args)
    return _show_run(store, transfer.import_run(store, Path(args.file)), args)


def _delete(args: argparse.Namespace) -> int:
    store = _store(args)
    store.reconcile()
    run = store.run(args.run_id)
    store.delete(run.id)
    _print({"run_id": run.id, "deleted": True}, args, f"{run.id} deleted")
    return 0


def _pause(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    lab.pause(args.run_id)
    return _state(lab, args)


def _stop(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    lab.stop(args.run_id)
    return _state(lab, args)


def _set(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    name, value = _assignment(args.assignment)
    lab.set(args.run_id, {name: value})
    return _state(lab, args)


def _state(lab: Lab, args: argparse.Namespace) -> int:
    run = lab.store.run(args.run_id)
    _print(console.result(run), args, f"{run.id}: {run.state}")
    return 0


def _bench(args: argparse.Namespace) -> int:
    from sslcore import bench

    found = bench.run(
        args.device, args.net, args.method, args.steps, args.seconds, args.threads, console.progress(args.json)
    )
    _print(found, args, bench.table(found))
    return 0


def _data(args: argparse.Namespace) -> int:
    if args.source is None:
        _print(list(cfg.DATA_SOURCES), args, console.sources())
        return 0
    from sslcore import data

    config = cfg.replace(RunConfig(), {"data.source": args.source}).data
    images = data.load(config, console.progress(args.json))
    found = console.describe_images(images)
    _print(found, args, "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0


def _print(value: Any, args: argparse.Namespace, text: str) -> None:
    print(json.dumps(value) if args.json else text)


if __name__ == "__main__":
    sys.exit(main())
