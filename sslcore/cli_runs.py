"""The commands about the runs of a folder: list, show, steer, delete them, take them elsewhere and in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sslcore import console, report, transfer
from sslcore.config import ConfigError
from sslcore.lab import Lab
from sslcore.naming import clean_name
from sslcore.options import asked_store, assignment
from sslcore.store import Store


def runs(args: argparse.Namespace) -> int:
    store = asked_store(args)
    store.reconcile()
    found = store.runs()
    console.put([console.result(run) for run in found], args, console.table(found))
    return 0


def show(args: argparse.Namespace) -> int:
    store = asked_store(args)
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
    console.put(shown | {"events": events}, args, console.describe(run, store.events(run.id)))
    return 0


def ask(args: argparse.Namespace) -> int:
    lab = Lab(asked_store(args))
    (lab.pause if args.command == "pause" else lab.stop)(args.run_id)
    return _state(lab, args)


def change(args: argparse.Namespace) -> int:
    lab = Lab(asked_store(args))
    name, value = assignment(args.assignment)
    if not lab.set(args.run_id, {name: value}):
        print(f"{clean_name(args.assignment)} holds already: nothing was changed", file=sys.stderr)
    return _state(lab, args)


def _state(lab: Lab, args: argparse.Namespace) -> int:
    run = lab.store.run(args.run_id)
    console.put(console.result(run), args, f"{run.id}: {run.state}")
    return 0


def delete(args: argparse.Namespace) -> int:
    store = asked_store(args)
    store.reconcile()
    run = store.run(args.run_id)
    store.delete(run.id)
    console.put({"run_id": run.id, "deleted": True}, args, f"{run.id} deleted")
    return 0


def export(args: argparse.Namespace) -> int:
    store, out = asked_store(args), Path(args.out)
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
    console.put(
        {"run_id": ids[0], "run_ids": ids, "out": str(out), "bytes": size},
        args,
        f"{out}: {', '.join(ids)}, {size / 1e6:.1f} MB",
    )
    return 0


def take_in(args: argparse.Namespace) -> int:
    store = asked_store(args)
    return _show_run(store, transfer.import_run(store, Path(args.file)), args)
