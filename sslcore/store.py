"""The run store: one SQLite file (WAL) and one folder per run. Read and written from any thread and process; no torch here.

Here a run's own row and its states; what it measured is in `store_points.py`, what it was asked and what happened to it in
`store_messages.py`. All of it is one class, since one transaction may touch all.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sslcore import config as cfg
from sslcore import events as ev
from sslcore.database import StoreError as StoreError
from sslcore.database import write_run
from sslcore.files import keep_file
from sslcore.process import HOST, alive, owner
from sslcore.store_messages import Messages, insert_command, insert_event
from sslcore.store_points import Points

COLUMNS = tuple(ev.Run.__dataclass_fields__)
WRITABLE = frozenset(COLUMNS) - {"id", "created", "method", "data", "labels", "seed", "preset"}


class Store(Points, Messages):
    """All runs below one root folder."""

    def __init__(self, root: Path | str) -> None:
        super().__init__(root)
        self._seen: dict[str, tuple[tuple[Any, ...], ev.Run]] = {}  # run -> its row when it was last listed

    def folder(self, run_id: str) -> Path:
        return self.root / run_id

    def create(
        self,
        config: cfg.RunConfig,
        *,
        preset: str = "",
        name: str = "",
        note: str = "",
        state: str = ev.QUEUED,
        race: str = "",
    ) -> str:
        """Write a new run owned by this process and return its id. Runs of the same `race` are trained side by side."""
        run_id = new_id(config.method.name, config.data.labels, config.train.seed)
        raw = cfg.to_dict(config)
        now = time.time()
        row = {
            "id": run_id, "name": name or run_id, "note": note, "state": state, "preset": preset, "method": config.method.name,
            "data": config.data.source, "labels": config.data.labels, "seed": config.train.seed, "steps": config.train.steps,
            "created": now, "queued": now, "config": json.dumps(raw), "summary": json.dumps({"race": race} if race else {}), **owner(),
        }  # fmt: skip
        try:
            self._make_folder(run_id, raw)
            with self._transaction() as db:
                columns, marks = ", ".join(row), ", ".join("?" * len(row))
                db.execute(f"INSERT INTO runs ({columns}) VALUES ({marks})", tuple(row.values()))
                insert_event(db, run_id, 0, "state", {"state": state})
        except StoreError:
            shutil.rmtree(self.folder(run_id), ignore_errors=True)
            raise
        return run_id

    def _make_folder(self, run_id: str, raw: dict[str, Any]) -> None:
        folder = self.folder(run_id)
        try:
            folder.mkdir()
        except OSError as error:
            raise StoreError(f"{folder} can't be made: {error.strerror or error}") from error
        keep_file(folder / "config.json", lambda path: path.write_text(json.dumps(raw, indent=1)))

    def runs(self) -> list[ev.Run]:
        """Every run, newest first; one whose row is as it was is the same object, since pages list thousands every second."""
        seen: dict[str, tuple[tuple[Any, ...], ev.Run]] = {}
        with self._reading() as db:
            for row in db.execute(f"SELECT {', '.join(COLUMNS)} FROM runs ORDER BY created DESC, id"):
                cells, before = tuple(row), self._seen.get(row["id"])
                seen[row["id"]] = before if before is not None and before[0] == cells else (cells, _run(row))
        self._seen = seen  # whole: other threads list them, too
        return [run for _, run in seen.values()]

    def at_work(self) -> list[tuple[str, str]]:
        """(id, state) of the runs that are queued or active, newest first; cheap enough to be asked every second."""
        states = (ev.QUEUED, *ev.ACTIVE)
        asked = f"SELECT id, state FROM runs WHERE state IN ({', '.join('?' * len(states))}) ORDER BY created DESC, id"
        with self._reading() as db:
            return [(row["id"], row["state"]) for row in db.execute(asked, states)]

    def run(self, run_id: str) -> ev.Run:
        """One run by its id or a unique beginning of it; StoreError if there is none."""
        run_id = run_id.encode(errors="replace").decode()  # typed bytes that are no text name no run
        with self._reading() as db:
            row = db.execute(f"SELECT {', '.join(COLUMNS)} FROM runs WHERE id = ?", (run_id,)).fetchone()
            if row is not None:
                return _run(row)
            found = db.execute("SELECT id FROM runs WHERE substr(id, 1, ?) = ?", (len(run_id), run_id)).fetchall()
        if not run_id or len(found) != 1:
            problem = "no run is called" if not found or not run_id else f"{len(found)} runs begin with"
            raise StoreError(f"{problem} {run_id[:80]!r}; `python -m sslcore runs` lists them")
        return self.run(found[0]["id"])

    def update(self, run_id: str, **values: Any) -> None:
        """Write columns of a run; dicts become JSON."""
        if unknown := set(values) - WRITABLE - {"queued"}:
            raise ValueError(f"not columns of a run: {sorted(unknown)}")
        with self._transaction() as db:
            write_run(db, run_id, values)

    def move(
        self,
        run_id: str,
        to: str,
        *,
        only_from: Sequence[str],
        only_of: Mapping[str, Any] | None = None,
        command: str = "",
        **values: Any,
    ) -> bool:
        """Change the state if it is one of `only_from`, leave a command and note it, in one transaction; return whether it was.

        `only_of`: and only while the run belongs to this owner, as `owner` tells it: of two who ask at once, one is told no.
        A run that comes to rest forgets the pause and stop commands that nobody took: they must not meet its next start.
        """
        with self._transaction() as db:
            done = write_run(db, run_id, {"state": to, **values}, only_from, only_of)
            if done:
                step = db.execute("SELECT step FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
                until = {"until": values["until"]} if values.get("until") is not None else {}  # taken up by Step
                insert_event(db, run_id, step, "state", {"state": to, **until})
                if command:
                    insert_command(db, run_id, command, {})
                if to not in ev.ACTIVE:
                    db.execute("DELETE FROM commands WHERE run = ? AND taken IS NULL AND name != 'set'", (run_id,))
        return done

    def waiting(self, race: str = "") -> list[str]:
        """The queued runs that this process owns, of one race or all, the longest waiting first.

        Runs of a dead process don't start by themselves.
        """
        # By the order of the events, not by the clock: it may have been set back since the first of them waits.
        since = "SELECT MAX(events.id) FROM events WHERE events.run = runs.id AND kind = 'state'"
        asked = f"SELECT id, summary FROM runs WHERE state = 'queued' AND host = ? AND pid = ? AND process = ? ORDER BY ({since})"
        with self._reading() as db:
            rows = db.execute(asked, tuple(owner().values())).fetchall()
            return [row["id"] for row in rows if not race or json.loads(row["summary"]).get("race") == race]

    def reconcile(self) -> list[str]:
        """Mark active runs whose process is dead as interrupted; return their ids. A stale heartbeat counts elsewhere."""
        found = []
        marks = ", ".join("?" * len(ev.ACTIVE))
        with self._reading() as db:
            rows = db.execute(f"SELECT {', '.join(COLUMNS)} FROM runs WHERE state IN ({marks})", ev.ACTIVE)
            active = [_run(row) for row in rows]
        for run in active:
            stale = time.time() - (run.heartbeat or run.created) > 120
            dead = not alive(run.pid, run.process) if run.host == HOST else stale
            of = {"host": run.host, "pid": run.pid, "process": run.process}  # not of one who has resumed it since
            if dead and self.move(run.id, ev.INTERRUPTED, only_from=ev.ACTIVE, only_of=of, ended=time.time()):
                found.append(run.id)
        return found

    def delete(self, run_id: str) -> None:
        """Remove a run that isn't active: its rows, then its folder."""
        run = self.run(run_id)
        if run.state in ev.ACTIVE:
            raise StoreError(f"run {run.id} is {run.state}; stop it before deleting it")
        with self._transaction() as db:
            for table in ("points", "arrays", "commands", "events"):
                db.execute(f"DELETE FROM {table} WHERE run = ?", (run.id,))
            db.execute("DELETE FROM runs WHERE id = ?", (run.id,))
        shutil.rmtree(self.folder(run.id), ignore_errors=True)


def new_id(method: str, labels: int, seed: int) -> str:
    """Return an id that no run has; it is the name of the run's folder, too."""
    return f"{method}-{labels}-s{seed}-{secrets.token_hex(3)}"


def _run(row: sqlite3.Row) -> ev.Run:
    values = dict(row)
    try:
        values["config"] = {section: dict(settings) for section, settings in json.loads(values["config"]).items()}
        values["summary"] = dict(json.loads(values["summary"]))
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"the row of run {values['id']} in the store is damaged; restore a copy of lab.db") from error
    values["changed"] = bool(values["changed"])
    return ev.Run(**values)


def default_root() -> Path:
    """SSLLAB_ROOT, or checkpoints/ of this repository whatever the working directory."""
    return Path(os.environ.get("SSLLAB_ROOT") or Path(__file__).resolve().parent.parent / "checkpoints")
