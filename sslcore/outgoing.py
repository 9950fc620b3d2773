"""The members of an exported run, written one after the other while the run may be at work. No torch before a checkpoint is read."""

from __future__ import annotations

import contextlib
import json
import math
import platform
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import archive, incoming, keyframes
from sslcore import events as ev
from sslcore.process import HOST
from sslcore.store import Store
from sslcore.tables import metrics_csv_pieces

FORMAT = 1


def versions() -> dict[str, str]:
    """Versions of what decides a run's numbers, as installed here; torch isn't imported for it."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name, package in (("sslcore", "ssl-lab"), ("torch", "torch"), ("numpy", "numpy")):
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def write(store: Store, run_id: str, path: Path) -> None:
    folder = store.folder(run_id)
    with zipfile.ZipFile(path, "w") as file:
        packer = archive.Packer(file)
        last = _add_checkpoints(packer, folder)  # before the metrics: these reach at least as far
        with store.snapshot() as db:
            run = store.run(run_id)
            packer.add("points.jsonl", _point_lines(store, run_id))
            packer.add("arrays.jsonl", _array_lines(db, run_id))
            packer.add(
                "events.jsonl",
                (_line({"step": e.step, "time": e.time, "kind": e.kind, "data": e.data}) for e in store.events(run_id)),
            )
            packer.add("metrics.csv", (piece.encode() for piece in metrics_csv_pieces(store, run_id)))
            waiting = db.execute(
                "SELECT value FROM commands WHERE run = ? AND taken IS NULL AND name = 'set' ORDER BY id", (run_id,)
            )
            pending = [json.loads(row["value"]) for row in waiting]
        packer.add("config.json", [(folder / "config.json").read_bytes()])
        for name in [keyframes.PROBE, *(f"{step:09d}.npz" for step in keyframes.steps(folder))]:
            _add_file(packer, f"{keyframes.FOLDER}/{name}", folder / keyframes.FOLDER / name)
        if last:
            told = {
                "run_id": run_id,
                **{key: last[key] for key in ("step", "seconds", "config")},
                "torch": run.summary.get("torch"),
            }
            packer.add_json("meta.json", told)
            packer.add_json("split.json", {part: index.tolist() for part, index in last["split"].items()})
        packer.finish({
            "format": FORMAT, "program": "SSL Lab", "exported": time.time(), "host": HOST, "versions": versions(), "state": run.state,
            "checkpoint_step": last["step"] if last else None, "waiting": pending, "run": _record(run),
        })  # fmt: skip


def _record(run: ev.Run) -> dict[str, Any]:
    """Return the run's columns as they are to arrive: at rest."""
    state = run.state
    if state in ev.ACTIVE:
        state = ev.INTERRUPTED
    elif state == ev.QUEUED:
        state = ev.STOPPED
    return {name: getattr(run, name) for name in (*incoming.RECORD, "config", "summary")} | {"state": state}


def _add_checkpoints(packer: archive.Packer, folder: Path) -> dict[str, Any] | None:
    """Add every checkpoint and return the state in last.pt; one that is being replaced is read whole, old or new."""
    state = None
    names = sorted(path.name for path in folder.glob("*.pt"))
    for name in ("last.pt", *(name for name in names if name != "last.pt")):
        with contextlib.suppress(FileNotFoundError), open(folder / name, "rb") as file:
            if name == "last.pt":
                from sslcore import checkpoint

                state = checkpoint.read(file, f"checkpoint {name} of run {folder.name}")
                file.seek(0)
            packer.add(name, archive.chunks(file), packed=False)
    return state


def _add_file(packer: archive.Packer, name: str, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:  # thinned away meanwhile
        packer.add(name, archive.chunks(file), packed=False)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False).encode() + b"\n"


def _point_lines(store: Store, run_id: str) -> Iterator[bytes]:
    for series, step, seconds, text in store.all_points(run_id):
        metrics = {name: _number(value) for name, value in json.loads(text).items()}
        yield _line({"series": series, "step": step, "seconds": seconds, "metrics": metrics})


def _array_lines(db: sqlite3.Connection, run_id: str) -> Iterator[bytes]:
    for row in db.execute("SELECT name, step, seconds, data FROM arrays WHERE run = ? ORDER BY name, seq", (run_id,)):
        values = [_number(value) for value in np.frombuffer(row["data"], "<f4").tolist()]
        yield _line({"name": row["name"], "step": row["step"], "seconds": row["seconds"], "values": values})


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
