"""The command line: `python -m sslcore COMMAND`. torch is imported by the commands that need it, not by --help.

Exit status: 0 done, 1 a run failed or diverged, 2 bad usage (at most two lines), 130 stopped or interrupted.
With --json, stdout holds one JSON value and nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sslcore import config as cfg
from sslcore import console, report, sweep, tensorboard, transfer
from sslcore import events as ev
from sslcore.config import ConfigError, RunConfig
from sslcore.files import write_atomically
from sslcore.lab import Lab
from sslcore.naming import clean_name
from sslcore.options import assignment, number, parser, sweep_plan, train_config
from sslcore.store import Store, default_root


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    args.typed = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a class name that the terminal can't write must not end a command
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # also where a shell started us in the background, with Ctrl-C ignored
    try:
        return COMMANDS[args.command](args)
    except ValueError as error:  # ConfigError, StoreError, DataError, ...: told apart without importing torch
        if not type(error).__module__.startswith("sslcore."):
            raise
        return _bad_usage(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _bad_usage(message: str) -> int:
    print("error: " + clean_name(message), file=sys.stderr)
    return 2


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _store(args: argparse.Namespace) -> Store:
    return Store(args.root or default_root())


def _train(args: argparse.Namespace) -> int:
    config = train_config(args)
    _check_data(config, quiet=args.json)
    lab = Lab(_store(args))
    return _follow(lab, lab.start(config, args.preset, args.name), args)


def _check_data(config: RunConfig, quiet: bool) -> None:
    """Load the images and cut the split before the run is made, so that bad settings are bad usage, not a failed run."""
    from sslcore import data
    from sslcore.rng import Generators
    from sslcore.trainer import check_device, choose_device, cut

    tensorboard.require(config)
    device = choose_device(config.train.device)
    check_device(config, device)
    cut(config, data.load(config.data, console.progress(quiet)), Generators(config.train.seed, device)["split"])


def _resume(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    run = lab.store.run(args.run_id)
    lab.resume(run.id)
    return _follow(lab, run.id, args)


def _fork(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    changes: dict[str, Any] = dict(assignment(text) for text in args.set)
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
    from sslcore import curve, sweep_files, sweep_run

    plan = sweep_plan(args)
    grid = sweep_run.cells_now(plan)
    parallel = sweep_run.parallel_runs(args.parallel, plan)
    root = Path(args.root or default_root())
    files = sweep_files.Files(root, plan, args.out, args.per_class, args.report)
    for cell in {cell.method: cell for cell in sorted(grid, key=lambda cell: cell.labels)}.values():
        _check_data(cell.config, quiet=args.json)  # the largest count of each method: bad settings are bad usage
    if old := sweep.outdated(grid, Store(root).runs()):
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
    found = sweep.assign(grid, Store(root).runs())
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
    _print(value, args, "\n\n".join(told))
    if not whole:
        print(f"go on with: python -m sslcore {shlex.join(args.typed)}", file=sys.stderr)
        return 130
    return 0 if all(run.state == ev.FINISHED for run in runs) else 1


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
    ids = [store.run(run_id).id for run_id in args.run_ids]
    if out.suffix.lower() not in (".zip", ".html"):
        raise ConfigError(f"--out must end in .zip (all of a run) or .html (a report), got {args.out[:80]!r}")
    if out.suffix.lower() == ".zip" and len(ids) > 1:
        raise ConfigError(f"--out {args.out[:80]!r} can hold one run, got {len(ids)}; a .html report can hold several")
    if out.exists() and not args.force:
        raise ConfigError(f"--out {args.out[:80]!r} exists already; --force replaces it")
    if out.suffix.lower() == ".zip":
        transfer.export_run(store, ids[0], out)
    else:
        report.write_report(store, ids, out)
    size = out.stat().st_size
    _print(
        {"run_id": ids[0], "run_ids": ids, "out": str(out), "bytes": size},
        args,
        f"{out}: {', '.join(ids)}, {size / 1e6:.1f} MB",
    )
    return 0


def _import(args: argparse.Namespace) -> int:
    store = _store(args)
    return _show_run(store, transfer.import_run(store, Path(args.file)), args)


def _labeller(args: argparse.Namespace) -> tuple[str, Any]:
    """Return the run's id and its last checkpoint, ready to be asked."""
    from sslcore.checkpoint import last
    from sslcore.labelling import Labeller

    store = _store(args)
    run_id = store.run(args.run_id).id
    return run_id, Labeller(last(store.folder(run_id)))


def _predict(args: argparse.Namespace) -> int:
    run_id, labeller = _labeller(args)
    threshold = _threshold(args, labeller.config)
    found = [labeller.predict_file(Path(name), threshold) for name in args.images]
    bad = [each["error"] for each in found if "error" in each]
    value = {"run_id": run_id, "step": labeller.step, "threshold": threshold, "predictions": found}
    if args.json or len(bad) < len(found):
        _print(value, args, "\n".join(console.prediction(each) for each in found if "error" not in each))
    for sentence in bad:
        _bad_usage(sentence)
    return 2 if bad else 0


def _pseudo_labels(args: argparse.Namespace) -> int:
    from sslcore.labelling import pseudo_label_lines

    run_id, labeller = _labeller(args)
    threshold = _threshold(args, labeller.config)
    answers = labeller.pseudo_labels(console.progress(args.json))
    kept = int((answers.confidence >= threshold).sum())
    _write_csv(args.out, pseudo_label_lines(answers, threshold))
    _print(
        {"run_id": run_id, "out": args.out, "images": len(answers.paths), "kept": kept, "threshold": threshold},
        args,
        f"{args.out}: {len(answers.paths):,} images, {kept:,} of them with a confidence of {threshold:.0%} or more",
    )
    return 0


def _to_label(args: argparse.Namespace) -> int:
    from sslcore.labelling import to_label_lines

    count = int(number("--count", args.count, 1, 1_000_000, whole=True))
    run_id, labeller = _labeller(args)
    answers = labeller.to_label(count, args.by == "diverse", console.progress(args.json))
    _write_csv(args.out, to_label_lines(answers))
    shown = f"{args.out}: {len(answers.paths):,} images"
    _print({"run_id": run_id, "out": args.out, "images": len(answers.paths)}, args, shown)
    return 0


def _threshold(args: argparse.Namespace, config: RunConfig) -> float:
    from sslcore.labelling import usual_threshold

    return usual_threshold(config) if args.threshold is None else number("--threshold", args.threshold, 0, 1)


def _write_csv(out: str, lines: Iterable[str]) -> None:
    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)

    try:
        write_atomically(Path(out), write)
    except OSError as error:
        raise ConfigError(f"--out {out[:120]!r} can't be written: {error.strerror or error}") from None


def _delete(args: argparse.Namespace) -> int:
    store = _store(args)
    store.reconcile()
    run = store.run(args.run_id)
    store.delete(run.id)
    _print({"run_id": run.id, "deleted": True}, args, f"{run.id} deleted")
    return 0


def _ask(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    (lab.pause if args.command == "pause" else lab.stop)(args.run_id)
    return _state(lab, args)


def _set(args: argparse.Namespace) -> int:
    lab = Lab(_store(args))
    name, value = assignment(args.assignment)
    if not lab.set(args.run_id, {name: value}):
        print(f"{clean_name(args.assignment)} holds already: nothing was changed", file=sys.stderr)
    return _state(lab, args)


def _state(lab: Lab, args: argparse.Namespace) -> int:
    run = lab.store.run(args.run_id)
    _print(console.result(run), args, f"{run.id}: {run.state}")
    return 0


def _bench(args: argparse.Namespace) -> int:
    if args.gpu:
        return _bench_gpu(args)
    for option in ("only", "data"):
        if getattr(args, option) is not None:
            raise ConfigError(f"--{option} is for bench --gpu, got it without --gpu")
    steps = int(number("--steps", args.steps, 1, 1_000_000, whole=True))
    seconds = number("--seconds", args.seconds, 0, 86_400)
    threads = int(number("--threads", args.threads, 0, 1024, whole=True))
    from sslcore import bench

    found = bench.run(args.device, args.net, args.method, steps, seconds, threads, console.progress(args.json))
    _print(found, args, bench.table(found))
    return 0


def _bench_gpu(args: argparse.Namespace) -> int:
    from sslcore import bench_gpu, bench_gpu_told

    found = bench_gpu.asked(args.data, args.only, console.progress(args.json))
    bench_gpu_told.saved(bench_gpu_told.best_at_once(found), found["device_name"])
    _print(found, args, bench_gpu_told.table(found))
    return 1 if found["errors"] else 0


def _data(args: argparse.Namespace) -> int:
    if args.source is None:
        _print(list(cfg.DATA_SOURCES), args, console.sources())
        return 0
    from sslcore import data
    from sslcore.data import health

    zipped = args.source.lower().endswith(".zip")
    source, notes = _unpacked(Path(args.source)) if zipped else (args.source, ())
    config = cfg.replace(RunConfig(), {"data.source": source}).data
    images = data.load(config, console.progress(args.json))
    found = {"source": source} | console.describe_images(images)
    found["notes"] = [*notes, *found["notes"]]
    found["warnings"] = list(health.examine(images).warnings())
    _print(found, args, "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0


def _unpacked(path: Path) -> tuple[str, tuple[str, ...]]:
    """Unpack a zip of images into the data cache; return the data source that it is now, and what was left out."""
    from sslcore.data.zips import unpack_images

    try:
        with open(path, "rb") as file:
            done = unpack_images(file, path.name)
    except OSError as error:
        raise ConfigError(f"{str(path)[:200]} can't be opened: {error.strerror or error}") from None
    return f"folder:{done.folder}", done.notes


def _print(value: Any, args: argparse.Namespace, text: str) -> None:
    print(json.dumps(value) if args.json else text)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "train": _train,
    "resume": _resume,
    "fork": _fork,
    "sweep": _sweep,
    "evaluate": _evaluate,
    "show": _show,
    "runs": _runs,
    "export": _export,
    "import": _import,
    "predict": _predict,
    "pseudo-labels": _pseudo_labels,
    "to-label": _to_label,
    "delete": _delete,
    "pause": _ask,
    "stop": _ask,
    "set": _set,
    "bench": _bench,
    "data": _data,
}


if __name__ == "__main__":
    sys.exit(main())
