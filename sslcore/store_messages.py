"""What a run is asked and what has happened to it: its commands, until its thread takes them, and its events."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from sslcore import events as ev
from sslcore.database import Database


class Messages(Database):
    """The part of the store that keeps `commands` and `events`."""

    def post(self, run_id: str, name: str, value: dict[str, Any] | None = None) -> None:
        """Leave a command for the thread that trains the run, in whatever process it is."""
        with self._transaction() as db:
            insert_command(db, run_id, name, value or {})

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
                insert_event(db, run_id, step, command.name, command.value)
        return found

    def add_event(self, run_id: str, step: int, kind: str, data: dict[str, Any]) -> None:
        with self._transaction() as db:
            insert_event(db, run_id, step, kind, data)

    def last_event(self, run_id: str) -> int:
        """A number that grows with every event of a run; 0 before the first."""
        with self._reading() as db:
            row = db.execute("SELECT COALESCE(MAX(id), 0) FROM events WHERE run = ?", (run_id,)).fetchone()
        return int(row[0])

    def events(self, run_id: str) -> list[ev.Event]:
        with self._reading() as db:
            rows = db.execute("SELECT step, time, kind, data FROM events WHERE run = ? ORDER BY id", (run_id,))
            return [ev.Event(row["step"], row["time"], row["kind"], json.loads(row["data"])) for row in rows]


def insert_event(db: sqlite3.Connection, run_id: str, step: int, kind: str, data: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO events (run, step, time, kind, data) VALUES (?, ?, ?, ?, ?)",
        (run_id, step, time.time(), kind, json.dumps(data)),
    )


def insert_command(db: sqlite3.Connection, run_id: str, name: str, value: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO commands (run, name, value, created) VALUES (?, ?, ?, ?)",
        (run_id, name, json.dumps(value), time.time()),
    )


def _waiting_commands(db: sqlite3.Connection, run_id: str) -> list[ev.Command]:
    asked = "SELECT id, name, value FROM commands WHERE run = ? AND taken IS NULL ORDER BY id"
    return [ev.Command(row["id"], row["name"], json.loads(row["value"])) for row in db.execute(asked, (run_id,))]
