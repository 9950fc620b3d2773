"""A run as one file: written whole, and taken in from strangers without trust.

`export_run` writes a zip with everything that a run is: settings, split, metrics, events, keyframes, weights, versions and
a checksum for each. `import_run` unpacks one beside the runs, checks all of it (`archive`, `incoming*`) and then takes it in
with one rename and one transaction; a bad file changes nothing. No torch is imported before it is needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sslcore import archive, incoming, incoming_keyframes, outgoing
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.archive import GIB, MIB, Limits, TransferError, remove_stale
from sslcore.files import write_atomically
from sslcore.store import Store, new_id

TEMP = ".import-"

# What may be in an export, and how long each may be.
MEMBERS = {
    archive.MANIFEST: 64 * MIB, "config.json": MIB, "meta.json": MIB, "split.json": 512 * MIB, "points.jsonl": 4 * GIB,
    "arrays.jsonl": 4 * GIB, "events.jsonl": 256 * MIB, "metrics.csv": 4 * GIB, "last.pt": 4 * GIB, "best.pt": 4 * GIB,
    "keyframes/probe.npz": 512 * MIB,
}  # fmt: skip
NUMBERED = {re.compile(r"step-[0-9]{9}\.pt"): 4 * GIB, re.compile(r"keyframes/[0-9]{9}\.npz"): 512 * MIB}
REQUIRED = ("config.json", "points.jsonl", "arrays.jsonl", "events.jsonl")


# -- export ------------------------------------------------------------------------------------------------------------


def export_run(store: Store, run_id: str, target: Path) -> None:
    """Write a run as one zip; an existing file is replaced once the new one is whole. TransferError where it can't be.

    A run that is at work is exported with its last whole checkpoint and arrives as interrupted; its manifest says at which
    step. One without any checkpoint is exported without weights.
    """
    run = store.run(run_id)
    try:
        write_atomically(target, lambda path: outgoing.write(store, run.id, path))
    except OSError as error:
        raise TransferError(f"{target} can't be written: {error.strerror or error}") from error


# -- import ------------------------------------------------------------------------------------------------------------


def import_run(store: Store, source: Path | BinaryIO, limits: Limits | None = None) -> str:
    """Take in a run that `export_run` wrote, here or elsewhere, and return its id: its own, or a new one if that is in use.

    `source` is a path or an open, seekable binary file. Nothing in it is trusted; whatever is wrong is a TransferError, one
    sentence, and then nothing has changed: no row, no folder.
    """
    remove_stale(store.root, TEMP)
    temp = store.root / f"{TEMP}{secrets.token_hex(6)}"
    try:
        temp.mkdir()
        (temp / "in").mkdir()
        with _opened(source) as file:
            manifest = archive.unpack(file, temp / "in", _most, limits or Limits())
        row = _check(manifest, temp)
        row["summary"]["imported"] = {
            "id": row["id"], "host": str(manifest["host"])[:255], "exported": manifest["exported"], "time": time.time(),
            "versions": manifest["versions"], "weights": any((temp / "in").glob("*.pt")),
        }  # fmt: skip
        return _adopt(store, row, temp / "rows.db", _run_folder(temp))
    except MemoryError as error:
        raise TransferError("the file needs more memory than there is") from error
    except (OSError, sqlite3.Error) as error:
        raise TransferError(f"the file can't be imported into {store.root}: {error}") from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _most(name: str) -> int | None:
    """Return how long a member of that name may be, None if there is no such member."""
    return MEMBERS.get(name) or next((most for pattern, most in NUMBERED.items() if pattern.fullmatch(name)), None)


@contextlib.contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, (str, os.PathLike)):
        yield source
        return
    if not Path(source).is_file():
        raise TransferError(f"{source} is not a file")
    with open(source, "rb") as file:
        yield file


def _check(manifest: dict[str, Any], temp: Path) -> dict[str, Any]:
    """Check everything that was unpacked into `temp`/in, write its rows into `temp`/rows.db, and return the run's row."""
    keys = {
        "format",
        "program",
        "exported",
        "host",
        "versions",
        "state",
        "checkpoint_step",
        "waiting",
        "run",
        "members",
    }
    if manifest.get("format") != outgoing.FORMAT or set(manifest) != keys:
        raise TransferError(
            f"the file is not an export of format {outgoing.FORMAT}; a newer version of SSL Lab may have written it"
        )
    incoming.number(0, incoming.LATEST)(manifest["exported"], "the time of the export")
    incoming.text(255)(manifest["host"], "the host of the export")
    told = manifest["versions"]
    if not isinstance(told, dict) or not told.keys() <= outgoing.versions().keys():
        raise TransferError("the versions in the file are not written as SSL Lab writes them")
    for name, version in told.items():
        incoming.text(200)(version, f"the version of {name}")
    missing = [name for name in REQUIRED if name not in manifest["members"]]
    if missing:
        raise TransferError(f"the file lacks {missing[0]}")

    folder = temp / "in"
    row, config = incoming.record(manifest["run"])
    began = incoming.run_config(
        archive.parse_json((folder / "config.json").read_bytes(), "config.json"), "config.json in the file"
    )
    if not incoming.alike(began, config):
        raise TransferError("config.json in the file holds other settings than the run's record")
    waiting = incoming.pending(manifest["waiting"], config)
    classes, num_train = len(row["summary"].get("class_names", ())), row["summary"].get("num_train", 0)
    incoming.rows(folder, temp / "rows.db", classes, row, waiting)
    incoming_keyframes.check(folder, classes, num_train)
    _check_checkpoints(folder, row, config, classes, num_train, manifest["checkpoint_step"])
    return row | {"config": cfg.to_dict(config), "pid": 0, "process": ""}


def _check_checkpoints(
    folder: Path, row: dict[str, Any], config: cfg.RunConfig, classes: int, num_train: int, told: int | None
) -> None:
    names = sorted(path.name for path in folder.glob("*.pt"))
    whole = [(folder / name).exists() for name in ("last.pt", "meta.json", "split.json")]
    if any(whole) != all(whole) or (names and not classes):
        raise TransferError("the file holds only a part of what belongs to a checkpoint")
    if not names:
        return
    from sslcore import checkpoint, incoming_checkpoint  # torch: only where there are weights

    for name in names:
        state = incoming_checkpoint.check(folder / name, config, classes, num_train)
        if name != "last.pt":
            continue
        finished = row["state"] == ev.FINISHED
        sha = row["summary"].get("weights_sha256")
        if state["step"] != told or (finished and state["step"] != row["steps"]):
            raise TransferError("last.pt in the file is of another step than its manifest says")
        if finished and sha and checkpoint.states_sha256(state["model"], state["ema"]) != sha:
            raise TransferError("last.pt in the file does not hold the weights whose hash the run's record names")
        split = archive.parse_json((folder / "split.json").read_bytes(), "split.json")
        if split != {part: index.tolist() for part, index in state["split"].items()}:
            raise TransferError("split.json in the file is not the split of its checkpoint")
        meta = {
            "run_id": row["id"],
            **{key: state[key] for key in ("step", "seconds", "config")},
            "torch": row["summary"].get("torch"),
        }
        if archive.parse_json((folder / "meta.json").read_bytes(), "meta.json") != meta:
            raise TransferError("meta.json in the file is not that of its checkpoint")


def _run_folder(temp: Path) -> Path:
    """Leave in `temp`/in what belongs into a run's folder, and return it."""
    for name in (archive.MANIFEST, "split.json", "points.jsonl", "arrays.jsonl", "events.jsonl", "metrics.csv"):
        (temp / "in" / name).unlink(missing_ok=True)
    return temp / "in"


def _adopt(store: Store, row: dict[str, Any], rows: Path, folder: Path) -> str:
    """Write the row, copy the rows and rename the folder, all or nothing; return the id: the row's, or a new one where that is in use."""
    with store.attached(rows) as db:
        run_id = row["id"]
        while store.folder(run_id).exists() or db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone():
            run_id = new_id(row["method"], row["labels"], row["seed"])
        cells = [json.dumps(value) if isinstance(value, dict) else value for value in (row | {"id": run_id}).values()]
        db.execute(f"INSERT INTO runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", cells)
        for table, columns in incoming.COLUMNS.items():
            chosen = f"SELECT ?, {columns} FROM incoming.{table} ORDER BY rowid"
            db.execute(f"INSERT INTO {table} (run, {columns}) {chosen}", (run_id,))
        os.rename(folder, store.folder(run_id))  # last: after it only the commit can fail
    return run_id
