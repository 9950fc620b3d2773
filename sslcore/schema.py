"""The tables of the run store. A change of them raises SCHEMA_VERSION, so that an older program says what is wrong."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', state TEXT NOT NULL, preset TEXT NOT NULL,
    method TEXT NOT NULL, data TEXT NOT NULL, labels INTEGER NOT NULL, seed INTEGER NOT NULL, step INTEGER NOT NULL DEFAULT 0,
    steps INTEGER NOT NULL, seconds REAL NOT NULL DEFAULT 0, created REAL NOT NULL, started REAL, ended REAL, heartbeat REAL,
    host TEXT NOT NULL, pid INTEGER NOT NULL, process TEXT NOT NULL, until INTEGER, changed INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '', config TEXT NOT NULL, summary TEXT NOT NULL DEFAULT '{}', queued REAL);
CREATE INDEX IF NOT EXISTS states ON runs (state);
CREATE TABLE IF NOT EXISTS points (
    run TEXT NOT NULL, series TEXT NOT NULL, seq INTEGER NOT NULL, step INTEGER NOT NULL, seconds REAL NOT NULL,
    metrics TEXT NOT NULL, PRIMARY KEY (run, series, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrays (
    run TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, step INTEGER NOT NULL, seconds REAL NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (run, name, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commands (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, created REAL NOT NULL, taken REAL);
CREATE INDEX IF NOT EXISTS waiting ON commands (run) WHERE taken IS NULL;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, step INTEGER NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_of ON events (run);
"""
SCHEMA_VERSION = 1
