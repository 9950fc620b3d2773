"""What an imported run says of itself, checked word for word: the run record, and its points, arrays and events.

Every column has a type, a range and a length here; whatever doesn't fit is a TransferError that names it. A summary
keeps only what this table knows, so that pages never meet a value of another type. No torch.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import config as cfg
from sslcore import events as ev
from sslcore.archive import MIB, TransferError, parse_json
from sslcore.naming import clean_name, clean_note
from sslcore.settings import ConfigError

Check = Callable[[Any, str], Any]  # (value, what it is called in the sentence) -> the value

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")  # becomes a folder's name: no dot, no slash, no reserved word, one case
METRIC = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+){1,4}")
LATEST = 32_503_680_000.0  # the year 3000, in seconds since 1970
MOST_CLASSES = 10_000
LINE = 4 * MIB
RESTING = (*ev.RESUMABLE, ev.FINISHED)

# The tables that an import fills, as they are called in the store.
COLUMNS = {
    "points": "series, seq, step, seconds, metrics", "arrays": "name, seq, step, seconds, data", "events": "step, time, kind, data",
    "commands": "name, value, created",
}  # fmt: skip
# Per-class vectors: how many numbers beyond one a class.
ARRAYS = {"flex/threshold": 0, "flex/count": 1, "pseudo/count": 0, "eval/test/recall": 0}


def text(most: int, pattern: re.Pattern[str] | None = None) -> Check:
    """A string of at most `most` characters that fits the pattern and can be stored."""

    def check(value: Any, what: str) -> str:
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            raise TransferError(f"{what} must be text of at most {most:,} characters")
        if any("\ud800" <= sign <= "\udfff" for sign in value) or (pattern and not pattern.fullmatch(value)):
            raise TransferError(f"{what} is not written as SSL Lab writes it")
        return value

    return check


def whole(low: int, high: int) -> Check:
    def check(value: Any, what: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise TransferError(f"{what} must be a whole number from {low:,} to {high:,}")
        return value

    return check


def number(low: float, high: float) -> Check:
    def check(value: Any, what: str) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise TransferError(f"{what} must be a number from {low:,} to {high:,}")
        return float(value)

    return check


def maybe(inner: Check) -> Check:
    return lambda value, what: None if value is None else inner(value, what)


def one_of(*words: str) -> Check:
    def check(value: Any, what: str) -> str:
        if not isinstance(value, str) or value not in words:
            raise TransferError(f"{what} must be one of {', '.join(words)}")
        return value

    return check


def flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise TransferError(f"{what} must be true or false")
    return value


def texts(most: int, each: Check) -> Check:
    def check(value: Any, what: str) -> list[str]:
        if not isinstance(value, list) or len(value) > most:
            raise TransferError(f"{what} must be a list of at most {most:,} texts")
        return [each(item, what) for item in value]

    return check


TIME, COUNT, SHARE, RATE = maybe(number(0, LATEST)), whole(0, 10**12), maybe(number(0, 1)), maybe(number(0, 1e12))
STEP, SECONDS, SHA = whole(0, 100_000_000), number(0, 1e10), text(64, re.compile("[0-9a-f]{64}"))

RECORD: dict[str, Check] = {
    "id": text(80, ID), "name": text(1_000), "note": text(100_000), "state": one_of(*RESTING), "preset": text(100),
    "method": one_of(*cfg.METHOD_NAMES), "data": text(5_000), "labels": COUNT, "seed": COUNT, "step": STEP, "steps": STEP,
    "seconds": SECONDS, "created": number(0, LATEST), "started": TIME, "ended": TIME, "host": text(255), "until": maybe(STEP),
    "changed": flag, "error": text(1_000_000),
}  # fmt: skip
FORK = {"run": text(80, ID), "step": STEP}


def values(value: Any, what: str) -> dict[str, Any]:
    """Names with plain values: text, finite numbers, true, false, null."""
    if not isinstance(value, dict) or len(value) > 200:
        raise TransferError(f"{what} must be an object of at most 200 plain values")
    for name, item in value.items():
        text(200)(name, f"a name in {what}")
        if isinstance(item, str):
            text(100_000)(item, f"{name} in {what}")
        elif item is not None and not isinstance(item, bool):
            number(-1e300, 1e300)(item, f"{name} in {what}")
    return value


def origin(value: Any, what: str) -> dict[str, Any]:
    """Where a fork began: run and step, the settings it changed, and what they were before."""
    if not isinstance(value, dict) or not {*FORK, "changes"} <= set(value) <= {*FORK, "changes", "before"}:
        raise TransferError(f"{what} must state run, step, changes and before")
    named = {name: values(value[name], what) for name in ("changes", "before") if name in value}
    return {name: check(value[name], what) for name, check in FORK.items()} | named


SUMMARY: dict[str, Check] = {
    "title": text(1_000), "notes": texts(100, text(10_000)), "class_names": texts(MOST_CLASSES, text(500)),
    "num_train": COUNT, "num_labeled": COUNT, "num_unlabeled": COUNT, "num_val": COUNT, "num_test": COUNT, "device": text(20),
    "device_name": text(200), "threads": whole(1, 4096), "torch": text(100), "parameters": COUNT, "images_per_step": COUNT,
    "test_accuracy": SHARE, "test_accuracy_raw": SHARE, "test_balanced_accuracy": SHARE, "best_val_accuracy": SHARE, "test_accuracy_at_best": SHARE,
    "best_step": STEP, "weights_sha256": SHA, "seconds_per_step": RATE, "images_per_s": RATE, "engine": whole(0, 10_000), "fork": origin,
    "precision": text(20), "steps_by": text(300), "compile_seconds": SECONDS, "files": text(64),
}  # fmt: skip


def record(raw: Any) -> tuple[dict[str, Any], cfg.RunConfig]:
    """Return the checked columns of a run, `summary` among them, and its config; TransferError names what is wrong."""
    if not isinstance(raw, Mapping) or set(raw) != {*RECORD, "config", "summary"}:
        raise TransferError(f"the run's record must have the columns {', '.join(RECORD)}, config, summary")
    row = {name: check(raw[name], f"the run's {name}") for name, check in RECORD.items()}
    config = run_config(raw["config"], "the run's settings")
    told = (config.method.name, config.data.source, config.data.labels, config.train.seed, config.train.steps)
    if (row["method"], row["data"], row["labels"], row["seed"], row["steps"]) != told:
        raise TransferError("the run's record names another method, data, labels, seed or steps than its settings")
    if row["step"] > row["steps"] or (row["state"] == ev.FINISHED and row["step"] != row["steps"]):
        raise TransferError(f"the run's step {row['step']:,} of {row['steps']:,} doesn't fit the state {row['state']}")
    row |= {"name": clean_name(row["name"]) or row["id"], "note": clean_note(row["note"])}
    row["summary"] = summary(raw["summary"])
    return row, config


def run_config(raw: Any, what: str) -> cfg.RunConfig:
    """Return the config, strictly; TransferError with the config's own sentence on `what`."""
    try:
        return cfg.from_dict(raw)
    except ConfigError as error:
        raise TransferError(f"{what} can't be used: {error}") from error


def alike(config: cfg.RunConfig, other: cfg.RunConfig) -> bool:
    """Whether two configs are equal but for what can change during a run."""
    if config.method.name != other.method.name:
        return False
    return (
        cfg.replace(other, {path: value for path, spec, value in cfg.walk(config) if spec.metadata["live"]}) == config
    )


def summary(raw: Any) -> dict[str, Any]:
    """Return what is known of a summary; what isn't known here is left out."""
    if not isinstance(raw, Mapping):
        raise TransferError("the run's summary must be an object")
    found = {name: check(raw[name], f"the run's {name}") for name, check in SUMMARY.items() if name in raw}
    names = found.get("class_names")
    if names is not None and (len(names) < 2 or "num_train" not in found):
        raise TransferError("the run's class_names must name at least two classes, with num_train beside them")
    return found


def pending(raw: Any, config: cfg.RunConfig) -> list[dict[str, Any]]:
    """Return changes of settings that nobody took yet: they act when the run goes on."""
    if not isinstance(raw, list) or len(raw) > 1000:
        raise TransferError("the waiting changes must be a list")
    for changes in raw:
        if not isinstance(changes, dict) or not changes:
            raise TransferError("a waiting change must be an object of settings")
        try:
            for path in changes:
                if not cfg.find(config, path).metadata["live"]:
                    raise TransferError("a waiting change is of a setting that can't change during a run")
            cfg.replace(config, changes)
        except ConfigError as error:
            raise TransferError(f"a waiting change can't be used: {error}") from error
    return raw


def rows(folder: Path, path: Path, classes: int, row: Mapping[str, Any], waiting: Sequence[dict[str, Any]]) -> None:
    """Check points.jsonl, arrays.jsonl and events.jsonl of `folder` and write them into `path`, a new SQLite file.

    Its tables are those of COLUMNS, with one more event that says in which state the run arrived.
    """
    steps, now = row["steps"], time.time()
    arrived = (row["step"], now, "imported", json.dumps({"state": row["state"]}))
    filled: dict[str, Iterable[tuple[Any, ...]]] = {
        "points": _points(folder / "points.jsonl", steps),
        "arrays": _arrays(folder / "arrays.jsonl", classes, steps),
        "events": chain(_events(folder / "events.jsonl", steps), [arrived]),
        "commands": (("set", json.dumps(changes), now) for changes in waiting),
    }
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for table, columns in COLUMNS.items():
            db.execute(f"CREATE TABLE {table} ({columns})")
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns.split()))})", filled[table])
        db.execute("COMMIT")


def _lines(path: Path, keys: frozenset[str]) -> Iterator[dict[str, Any]]:
    with open(path, "rb") as file:
        while line := file.readline(LINE):
            if not line.endswith(b"\n"):
                raise TransferError(f"{path.name} in the file has a line that is too long or not whole")
            found = parse_json(line, path.name)
            if not isinstance(found, dict) or set(found) != keys:
                raise TransferError(f"{path.name} in the file has a line without {', '.join(sorted(keys))}")
            yield found


class _Order:
    """Counts the lines of each series and demands that their steps never go back."""

    def __init__(self, steps: int) -> None:
        self.step, self.last = whole(0, steps), {}  # type: tuple[Check, dict[str, tuple[int, int]]]

    def next(self, series: str, step: Any, what: str) -> tuple[int, int]:
        step = self.step(step, f"a step in {what}")
        seq, before = self.last.get(series, (-1, 0))
        if step < before:
            raise TransferError(f"the steps in {what} go back from {before:,} to {step:,}")
        self.last[series] = (seq + 1, step)
        return seq + 1, step


def _points(path: Path, steps: int) -> Iterator[tuple[Any, ...]]:
    order, series_of = _Order(steps), one_of(ev.TRAIN, ev.EVAL)
    names: set[str] = set()
    for line in _lines(path, frozenset(("series", "step", "seconds", "metrics"))):
        series = series_of(line["series"], "a series in points.jsonl")
        seq, step = order.next(series, line["step"], f"the series {series}")
        seconds, metrics = SECONDS(line["seconds"], "the seconds of a point"), line["metrics"]
        if not isinstance(metrics, dict):
            raise TransferError("the metrics of a point must be an object")
        for name in metrics.keys() - names:
            names.add(text(80, METRIC)(name, "the name of a metric"))
        if len(names) > 500:
            raise TransferError("the points have more than 500 metrics")
        values = {name: _finite(value, name) for name, value in metrics.items() if value is not None}
        yield series, seq, step, seconds, json.dumps(values)


def _finite(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1e300:
        raise TransferError(f"the metric {name} must be a finite number or null")
    return float(value)


def _arrays(path: Path, classes: int, steps: int) -> Iterator[tuple[Any, ...]]:
    order, name_of = _Order(steps), one_of(*ARRAYS)
    for line in _lines(path, frozenset(("name", "step", "seconds", "values"))):
        name = name_of(line["name"], "the name of an array")
        seq, step = order.next(name, line["step"], f"the array {name}")
        seconds, values = SECONDS(line["seconds"], "the seconds of an array"), line["values"]
        if not classes or not isinstance(values, list) or len(values) != classes + ARRAYS[name]:
            raise TransferError(f"the array {name} must hold {classes + ARRAYS[name]:,} numbers, as many as classes")
        found = [math.nan if value is None else _float32(value, name) for value in values]
        yield name, seq, step, seconds, np.array(found, "<f4").tobytes()


def _float32(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 3e38:
        raise TransferError(f"the array {name} must hold finite numbers or null")
    return float(value)


def _events(path: Path, steps: int) -> Iterator[tuple[Any, ...]]:
    step_of, time_of, kind_of = whole(0, steps), number(0, LATEST), text(40, re.compile("[a-z_]+"))
    for count, line in enumerate(_lines(path, frozenset(("step", "time", "kind", "data")))):
        if count >= 100_000:
            raise TransferError("the file holds more than 100,000 events")
        kind, data = kind_of(line["kind"], "the kind of an event"), line["data"]
        values(data, "the data of an event")
        if kind == "state":
            one_of(*ev.STATES)(data.get("state"), "the state of an event")
        yield (
            step_of(line["step"], "the step of an event"),
            time_of(line["time"], "the time of an event"),
            kind,
            json.dumps(data),
        )
