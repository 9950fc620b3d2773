"""The run store: one SQLite file (WAL) and one folder per run. Read and written from any thread and process; no torch here.

`lab.db` holds runs, metric points, per-class arrays, commands and events. `seq` counts the points of one series of a
run without gaps, so that a reader can ask for every 2^k-th of them by key, however many there are.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import config as cfg
from sslcore import events as ev
from sslcore.database import Database
from sslcore.database import StoreError as StoreError
from sslcore.files import keep_file
from sslcore.process import HOST, alive, process_mark

COLUMNS = tuple(ev.Run.__dataclass_fields__)
WRITABLE = frozenset(COLUMNS) - {"id", "created", "method", "data", "labels", "seed", "preset"}


class Store(Database):
    """All runs below one root folder."""

    def __init__(self, root: Path | str) -> None:
        super().__init__(root)
        self._seen: dict[str, tuple[tuple[Any, ...], ev.Run]] = {}  # run -> its row when it was last listed

    def folder(self, run_id: str) -> Path:
        return self.root / run_id

    # -- runs ----------------------------------------------------------------------------------------------------------

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
                _add_event(db, run_id, 0, "state", {"state": state})
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
        cells = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
        with self._transaction() as db:
            db.execute(f"UPDATE runs SET {', '.join(f'{key} = ?' for key in values)} WHERE id = ?", (*cells, run_id))

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
        cells = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
        with self._transaction() as db:
            marks, theirs = ", ".join("?" * len(only_from)), only_of or {}
            done = db.execute(
                f"UPDATE runs SET state = ?{''.join(f', {key} = ?' for key in values)} "
                f"WHERE id = ? AND state IN ({marks}){''.join(f' AND {key} = ?' for key in theirs)}",
                (to, *cells, run_id, *only_from, *theirs.values()),
            ).rowcount
            if done:
                step = db.execute("SELECT step FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
                until = {"until": values["until"]} if values.get("until") is not None else {}  # taken up by Step
                _add_event(db, run_id, step, "state", {"state": to, **until})
                if command:
                    _post(db, run_id, command, {})
                if to not in ev.ACTIVE:
                    db.execute("DELETE FROM commands WHERE run = ? AND taken IS NULL AND name != 'set'", (run_id,))
        return bool(done)

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

    # -- metrics -------------------------------------------------------------------------------------------------------

    def log(
        self, run_id: str, points: Sequence[ev.MetricPoint], arrays: Sequence[ev.ArrayPoint] = (), **values: Any
    ) -> None:
        """Append points and arrays and write columns of the run, with a heartbeat, in one transaction.

        StoreError if the run was deleted or another process has taken it over: nothing is written then.
        """
        values["heartbeat"] = time.time()
        cells = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
        with self._transaction() as db:
            for point in points:
                text = json.dumps({name: round(value, 7) for name, value in point.values.items()})
                db.execute(
                    "INSERT INTO points SELECT ?1, ?2, COALESCE(MAX(seq) + 1, 0), ?3, ?4, ?5 FROM points WHERE run = ?1 AND series = ?2",
                    (run_id, point.series, point.step, point.seconds, text),
                )
            for array in arrays:
                blob = np.ascontiguousarray(array.values, dtype="<f4").tobytes()
                db.execute(
                    "INSERT INTO arrays SELECT ?1, ?2, COALESCE(MAX(seq) + 1, 0), ?3, ?4, ?5 FROM arrays WHERE run = ?1 AND name = ?2",
                    (run_id, array.name, array.step, array.seconds, blob),
                )
            mine = owner()
            done = db.execute(
                f"UPDATE runs SET {', '.join(f'{key} = ?' for key in values)} WHERE id = ?{''.join(f' AND {key} = ?' for key in mine)}",
                (*cells, run_id, *mine.values()),
            ).rowcount
            if not done:
                raise StoreError(
                    f"run {run_id} is no longer this process's: it was deleted, or taken over by another one"
                )

    def rewind(self, run_id: str, step: int) -> None:
        """Forget what was logged after `step`: a resumed run logs it again."""
        with self._transaction() as db:
            db.execute("DELETE FROM points WHERE run = ? AND step > ?", (run_id, step))
            db.execute("DELETE FROM arrays WHERE run = ? AND step > ?", (run_id, step))
            db.execute("UPDATE runs SET step = MIN(step, ?) WHERE id = ?", (step, run_id))

    def copy_curves(self, source: str, target: str, step: int) -> None:
        """Give `target`, which has logged nothing yet, the points and arrays of `source` up to `step`."""
        with self._transaction() as db:
            for table, key, cell in (("points", "series", "metrics"), ("arrays", "name", "data")):
                columns = f"{key}, seq, step, seconds, {cell}"
                rows = f"SELECT ?, {columns} FROM {table} WHERE run = ? AND step <= ?"
                db.execute(f"INSERT INTO {table} (run, {columns}) {rows}", (target, source, step))

    def version(self, run_id: str) -> tuple[int, int]:
        """Two counters that grow whenever the run has new points: a cheap "is there anything new?"."""
        last = "SELECT COALESCE(MAX(seq) + 1, 0) FROM points WHERE run = ? AND series = ?"
        with self._reading() as db:
            row = db.execute(f"SELECT ({last}), ({last})", (run_id, ev.TRAIN, run_id, ev.EVAL)).fetchone()
        return (row[0], row[1])

    def array_version(self, run_id: str, names: Sequence[str]) -> int:
        """A counter that grows whenever the run has a new vector of one of these names."""
        last = "COALESCE((SELECT MAX(seq) + 1 FROM arrays WHERE run = ? AND name = ?), 0)"
        asked = "SELECT " + " + ".join([last] * len(names))
        cells = [cell for name in names for cell in (run_id, name)]
        with self._reading() as db:
            return int(db.execute(asked, cells).fetchone()[0])

    def points_from(
        self, run_id: str, series: str, number: int, most: int
    ) -> list[tuple[int, float, dict[str, float]]]:
        """(step, seconds, metrics) of at most `most` points of a series from the `number`-th on, none passed over."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT step, seconds, metrics FROM points WHERE run = ? AND series = ? AND seq >= ? ORDER BY seq LIMIT ?",
                (run_id, series, number, most),
            ).fetchall()
            metrics = json.loads("[" + ",".join(row["metrics"] for row in rows) + "]")  # in one go: a third of the time
        return [(row["step"], row["seconds"], values) for row, values in zip(rows, metrics, strict=True)]

    def points(self, run_id: str, series: str, limit: int = 800) -> dict[str, np.ndarray]:
        """Columns of a series: "step", "seconds" and each metric, NaN where it has no value; every 2^k-th point and the last.

        The stride is the smallest power of two that leaves at most `limit` points, so a growing curve doesn't wobble.
        """
        with self._reading() as db:
            rows = [
                (row["step"], row["seconds"], json.loads(row["cell"]))
                for row in _thinned(db, "points", "series", "metrics", run_id, series, limit)
            ]
        names = list(dict.fromkeys(name for _, _, metrics in rows for name in metrics))
        columns = {
            "step": np.array([row[0] for row in rows], np.int64),
            "seconds": np.array([row[1] for row in rows], np.float64),
        }
        for name in names:
            columns[name] = np.array([row[2].get(name, np.nan) for row in rows], np.float64)
        return columns

    def all_points(self, run_id: str) -> Iterator[tuple[str, int, float, str]]:
        """Yield every point of a run, unthinned: (series, step, seconds, metrics as JSON), series after series."""
        query = "SELECT series, step, seconds, metrics FROM points WHERE run = ? ORDER BY series DESC, seq"
        with self._reading() as db:
            yield from map(tuple, db.execute(query, (run_id,)))

    def arrays(self, run_id: str, name: str, limit: int = 800) -> tuple[np.ndarray, np.ndarray]:
        """Return (steps (n,), values (n, C)) of a per-class vector, thinned like `points`."""
        with self._reading() as db:
            rows = list(_thinned(db, "arrays", "name", "data", run_id, name, limit))
        values = [np.frombuffer(row["cell"], "<f4") for row in rows]
        return np.array([row["step"] for row in rows], np.int64), np.stack(values) if values else np.zeros(
            (0, 0), np.float32
        )

    # -- commands and events -------------------------------------------------------------------------------------------

    def post(self, run_id: str, name: str, value: dict[str, Any] | None = None) -> None:
        """Leave a command for the thread that trains the run, in whatever process it is."""
        with self._transaction() as db:
            _post(db, run_id, name, value or {})

    def waiting_commands(self, run_id: str) -> list[ev.Command]:
        """Return the commands that nobody has taken yet, oldest first."""
        with self._reading() as db:
            return _waiting_commands(db, run_id)

    def take(self, run_id: str, step: int) -> list[ev.Command]:
        """Return the waiting commands, oldest first, mark them taken and note each as an event of `step`, all at once."""
        if not self.waiting_commands(run_id):
            return []
        with self._transaction() as db:
            found = _waiting_commands(db, run_id)
            db.execute("UPDATE commands SET taken = ? WHERE run = ? AND taken IS NULL", (time.time(), run_id))
            for command in found:
                _add_event(db, run_id, step, command.name, command.value)
        return found

    def add_event(self, run_id: str, step: int, kind: str, data: dict[str, Any]) -> None:
        with self._transaction() as db:
            _add_event(db, run_id, step, kind, data)

    def last_event(self, run_id: str) -> int:
        """A number that grows with every event of a run; 0 before the first."""
        with self._reading() as db:
            row = db.execute("SELECT COALESCE(MAX(id), 0) FROM events WHERE run = ?", (run_id,)).fetchone()
        return int(row[0])

    def events(self, run_id: str) -> list[ev.Event]:
        with self._reading() as db:
            rows = db.execute("SELECT step, time, kind, data FROM events WHERE run = ? ORDER BY id", (run_id,))
            return [ev.Event(row["step"], row["time"], row["kind"], json.loads(row["data"])) for row in rows]


def new_id(method: str, labels: int, seed: int) -> str:
    """Return an id that no run has; it is the name of the run's folder, too."""
    return f"{method}-{labels}-s{seed}-{secrets.token_hex(3)}"


def owner() -> dict[str, Any]:
    """Return the columns that make this process a run's owner."""
    return {"host": HOST, "pid": os.getpid(), "process": process_mark(os.getpid())}


def _add_event(db: sqlite3.Connection, run_id: str, step: int, kind: str, data: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO events (run, step, time, kind, data) VALUES (?, ?, ?, ?, ?)",
        (run_id, step, time.time(), kind, json.dumps(data)),
    )


def _post(db: sqlite3.Connection, run_id: str, name: str, value: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO commands (run, name, value, created) VALUES (?, ?, ?, ?)",
        (run_id, name, json.dumps(value), time.time()),
    )


def _waiting_commands(db: sqlite3.Connection, run_id: str) -> list[ev.Command]:
    asked = "SELECT id, name, value FROM commands WHERE run = ? AND taken IS NULL ORDER BY id"
    return [ev.Command(row["id"], row["name"], json.loads(row["value"])) for row in db.execute(asked, (run_id,))]


def _run(row: sqlite3.Row) -> ev.Run:
    values = dict(row)
    try:
        values["config"] = {section: dict(settings) for section, settings in json.loads(values["config"]).items()}
        values["summary"] = dict(json.loads(values["summary"]))
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"the row of run {values['id']} in the store is damaged; restore a copy of lab.db") from error
    values["changed"] = bool(values["changed"])
    return ev.Run(**values)


def _thinned(
    db: sqlite3.Connection, table: str, key: str, cell: str, run_id: str, name: str, limit: int
) -> Iterator[sqlite3.Row]:
    last = db.execute(f"SELECT MAX(seq) FROM {table} WHERE run = ? AND {key} = ?", (run_id, name)).fetchone()[0]
    if last is None:
        return iter(())
    stride = 1
    while last // stride + 2 > limit:
        stride *= 2
    # The wanted seqs are generated and looked up by key: the cost is that of what is read, however long the run.
    rows = f"""
        WITH RECURSIVE wanted(seq) AS (
            SELECT 0 UNION ALL SELECT MIN(seq + {stride}, {last}) FROM wanted WHERE seq < {last})
        SELECT t.step, t.seconds, t.{cell} AS cell FROM wanted
        JOIN {table} t ON t.run = ? AND t.{key} = ? AND t.seq = wanted.seq ORDER BY t.seq"""
    return db.execute(rows, (run_id, name))


def default_root() -> Path:
    """SSLLAB_ROOT, or checkpoints/ of this repository whatever the working directory."""
    return Path(os.environ.get("SSLLAB_ROOT") or Path(__file__).resolve().parent.parent / "checkpoints")
