"""What a run has measured: its metric points and per-class arrays, appended while it trains and read thinned.

`seq` counts the points of one series of a run without gaps, so that a reader can ask for every 2^k-th of them by key,
however many there are.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sslcore import events as ev
from sslcore.database import Database, StoreError, write_run
from sslcore.process import owner


class Points(Database):
    """The part of the store that keeps `points` and `arrays`."""

    def log(
        self, run_id: str, points: Sequence[ev.MetricPoint], arrays: Sequence[ev.ArrayPoint] = (), **values: Any
    ) -> None:
        """Append points and arrays and write columns of the run, with a heartbeat, in one transaction.

        StoreError if the run was deleted or another process has taken it over: nothing is written then.
        """
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
            if not write_run(db, run_id, values | {"heartbeat": time.time()}, only_of=owner()):
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
