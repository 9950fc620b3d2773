"""The SQLite file behind the store: one connection a thread, all-or-nothing changes, one sentence for whatever goes wrong.

A full disk, a read-only folder or a damaged file are `StoreError`s that say what to do. A damaged file is never written to.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sslcore.schema import SCHEMA, SCHEMA_VERSION

FILE = "lab.db"


class StoreError(ValueError):
    """A run that isn't there, or a store that can't be used; one sentence."""


class Database:
    """`lab.db` of one folder, made if it isn't there."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser().resolve()
        self._local = threading.local()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._refuse_emptied()
            with self._transaction() as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version > SCHEMA_VERSION:
                    raise StoreError(f"{self.root / FILE} was written by a newer version of SSL Lab (schema {version})")
                for statement in SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except BaseException as error:
            self._let_go()
            if isinstance(error, OSError):
                raise StoreError(f"the run folder {self.root} can't be used: {error}") from error
            raise

    def _refuse_emptied(self) -> None:
        """SQLite takes a file of no bytes for a new one: beside runs it is what is left of theirs, and none would be shown."""
        file = self.root / FILE
        emptied = file.exists() and not file.stat().st_size and not file.with_name(FILE + "-wal").exists()
        if emptied and any(self.root.glob("*/config.json")):
            raise StoreError(
                f"{file} is empty although folders of runs lie beside it; restore a copy of it, or remove it to start with no runs"
            )

    def _connection(self) -> sqlite3.Connection:
        """One connection per thread: SQLite's own locks do the rest."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self.root / FILE, timeout=20.0, isolation_level=None)
            self._local.db = db
            db.row_factory = sqlite3.Row
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
            except sqlite3.Error:
                self._let_go()
                raise
        return db

    def _let_go(self) -> None:
        """Close this thread's connection after a failure, with the locks that it may hold."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        self._local.db = None
        if db is not None:
            db.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Read; the rows must be used up inside, so that a damaged page or cell is told like anything else."""
        try:
            yield self._connection()
        except (sqlite3.Error, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise self._told(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Change all or nothing."""
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")  # take the write lock now: a read that turns into a write can fail at once
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite has ended it itself where the disk is full
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read as of one moment, while others go on writing: for an export."""
        with self._reading() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("COMMIT")

    @contextmanager
    def attached(self, path: Path) -> Iterator[sqlite3.Connection]:
        """A transaction, all or nothing, in which the SQLite file `path` can be read as `incoming`: a whole run at once."""
        self._connection().execute("ATTACH ? AS incoming", (str(path),))
        try:
            with self._transaction() as db:
                yield db
        finally:
            self._connection().execute("DETACH incoming")

    def _told(self, error: Exception) -> StoreError:
        """One sentence for what SQLite, or the reading of a cell, complains of."""
        file, code = self.root / FILE, getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: the rest is detail
        if code == sqlite3.SQLITE_FULL:
            return StoreError(f"{file} can't be written because the disk is full; make room, then go on")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or not isinstance(error, sqlite3.Error):
            return StoreError(
                f"{file} is damaged ({error}); nothing was changed: restore a copy of it, or move it away to start with no runs"
            )
        return StoreError(f"the run folder {self.root} can't be used: {error}")


def write_run(
    db: sqlite3.Connection,
    run_id: str,
    values: Mapping[str, Any],
    only_from: Sequence[str] = (),
    only_of: Mapping[str, Any] | None = None,
) -> bool:
    """Write columns of a run, dicts as JSON, if it is in one of these states and these other columns hold; return whether it was."""
    cells = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
    theirs = only_of or {}
    where = ["id = ?", *(f"{key} = ?" for key in theirs)]
    if only_from:
        where.append(f"state IN ({', '.join('?' * len(only_from))})")
    changed = f"UPDATE runs SET {', '.join(f'{key} = ?' for key in values)} WHERE {' AND '.join(where)}"
    return bool(db.execute(changed, (*cells, run_id, *theirs.values(), *only_from)).rowcount)
