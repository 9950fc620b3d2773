"""A sweep: methods x label counts x seeds -> runs in the store, and what has come out of them so far. No torch here.

A cell of the grid is a config; the run that belongs to it is found by content (the config's key and the
engine's version), so finished runs are used again whoever started them, interrupted ones go on, and a sweep can be widened by more
seeds, counts or methods at any time. A run whose settings were changed on the way, or that is a fork, is never a cell, nor
is one whose folder held other files than it does now.
The same seed gives the same split to every method, and fewer labels lie inside more.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from sslcore import config as cfg
from sslcore import events as ev
from sslcore import keys, presets
from sslcore.config import ConfigError, RunConfig
from sslcore.process import HOST
from sslcore.tables import safe_cell

MOST_CELLS = 2000
MISSING = "missing"  # of a cell without a run
AHEAD = {ev.RUNNING: 1, ev.PAUSING: 1, ev.STOPPING: 1, ev.QUEUED: 2, ev.PAUSED: 3, ev.INTERRUPTED: 3, ev.STOPPED: 3}


@dataclass(frozen=True)
class Plan:
    """What is swept. `settings`: dotted settings on top of the preset, the same in every cell."""

    preset: str = presets.DEFAULT
    methods: tuple[str, ...] = cfg.METHOD_NAMES
    labels: tuple[int, ...] = (10, 20, 40, 100, 400)
    seeds: tuple[int, ...] = (0,)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    method: str
    labels: int
    seed: int
    config: RunConfig
    key: str
    files: str = ""  # what the folder of images holds now, see `data.files_key`; empty: not known, or no folder

    @cached_property
    def kind(self) -> str:
        """What decides the seconds of a step, as a run's."""
        return keys.kind(cfg.to_dict(self.config))


@dataclass(frozen=True)
class Named:
    """A plan that ships with the project."""

    title: str
    note: str
    plan: Plan


NAMED: dict[str, Named] = {
    "digits-curve": Named(
        "Digits curve", "Four methods with 10 to 400 labelled digits: 20 runs a seed, some three minutes one after the other on one CPU core.",
        Plan("digits-lesson", labels=(10, 20, 40, 100, 400)),
    ),
    "shapes-curve": Named(
        "Shapes curve", "Four methods with 40 to 1,000 labelled drawings in colour: 16 runs a seed.",
        Plan("shapes-lesson", labels=(40, 100, 250, 1000)),
    ),
    "photos-curve": Named(
        "CIFAR-10 curve", "The tutorial's four methods and five counts with a small net, for a CPU: 20 runs a seed, 20 minutes two at a time.",
        Plan("photos-lesson", labels=(500, 2000, 10_000, 15_000, 20_000)),
    ),
    "cifar10-tutorial-curve": Named(
        "CIFAR-10, the tutorial's table", "The tutorial's twenty cells: four methods, five counts, 20 x 1024 steps. Made for a GPU.",
        Plan("cifar10-tutorial", labels=(500, 2000, 10_000, 15_000, 20_000)),
    ),
}  # fmt: skip
DEFAULT = "digits-curve"


def cells(plan: Plan, files: str = "") -> list[Cell]:
    """Return the grid in the order in which it is run: a whole curve with the first seed, then the next seed.

    `files`: what the plan's folder of images holds now, so that runs of what it held before don't count.
    ConfigError if a list is empty or repeats itself, or if a setting is one that the grid itself varies.
    """
    for name, values in (("methods", plan.methods), ("labels", plan.labels), ("seeds", plan.seeds)):
        if not values:
            raise ConfigError(f"{name} must name at least one, got none")
        if len(set(values)) != len(values):
            twice = next(value for k, value in enumerate(values) if value in values[:k])
            raise ConfigError(f"{name} must not repeat itself, got {str(twice)[:80]} twice")
    if unknown := [method for method in plan.methods if method not in cfg.METHOD_NAMES]:
        raise ConfigError(f"methods must be some of {', '.join(cfg.METHOD_NAMES)}, got {unknown[0][:80]!r}")
    count = len(plan.methods) * len(plan.labels) * len(plan.seeds)
    if count > MOST_CELLS:
        raise ConfigError(f"a sweep must have at most {MOST_CELLS:,} runs, got {count:,}; use fewer labels or seeds")
    if varied := {"method.name", "data.labels", "train.seed"} & set(plan.settings):
        raise ConfigError(f"{min(varied)} can't be set for a whole sweep, which varies it")
    mine: dict[str, dict[str, Any]] = {}
    for method in plan.methods:
        known = {path for path, _, _ in cfg.walk(presets.build(plan.preset, method))}
        mine[method] = {path: value for path, value in plan.settings.items() if _concerns(path, known)}
    found = []
    for seed in plan.seeds:
        for labels in plan.labels:
            for method in plan.methods:
                config = presets.build(plan.preset, method, {**mine[method], "data.labels": labels, "train.seed": seed})
                found.append(Cell(method, labels, seed, config, keys.content_key(cfg.to_dict(config)), files))
    return found


def _concerns(path: str, known: set[str]) -> bool:
    """A setting of one method is ignored for a method of the sweep that lacks it: `method.threshold` for MixMatch."""
    if path in known or not path.startswith("method."):
        return True
    others = {name for each in cfg.METHOD_NAMES for name, _, _ in cfg.walk(cfg.with_method(RunConfig(), each))}
    return path not in others  # unknown to all: let the config complain


def counts(name: str, text: str) -> tuple[int, ...]:
    """Read "10,20,40" or "0-9" or both; ConfigError names what can't be read."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 80:
            raise ConfigError(f"{name} must be whole numbers such as 10,20,40 or 0-9, got {text[:80]!r}")
        low, high = int(first), int(last if dash else first)
        if not low <= high < low + MOST_CELLS:
            raise ConfigError(f"{name} must be increasing ranges of at most {MOST_CELLS:,} numbers, got {part[:80]!r}")
        found += range(low, high + 1)
    return tuple(found)


def span(numbers: Sequence[int]) -> str:
    """Write what `counts` reads: (0, 1, 2, 7) -> "0-2,7"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 2 else ",".join(map(str, part)) for part in parts)


def assign(plan_cells: Sequence[Cell], runs: Iterable[ev.Run]) -> dict[str, ev.Run]:
    """Return {cell key: the run that belongs to it}: a finished one first, then one at work, then the farthest, failed last."""
    found: dict[str, ev.Run] = {}
    for cell, run in _alike(plan_cells, runs):
        key = cell.key
        if not _of_other_files(cell, run) and (key not in found or _rank(run) < _rank(found[key])):
            found[key] = run
    return found


def outdated(plan_cells: Sequence[Cell], runs: Iterable[ev.Run]) -> int:
    """Return how many finished runs would be a cell's if the folder of images still held what it held then."""
    if not any(cell.files for cell in plan_cells):
        return 0
    return sum(run.state == ev.FINISHED and _of_other_files(cell, run) for cell, run in _alike(plan_cells, runs))


def _alike(plan_cells: Sequence[Cell], runs: Iterable[ev.Run]) -> Iterator[tuple[Cell, ev.Run]]:
    """Yield the runs that have a cell's settings from beginning to end, each with its cell."""
    wanted = {cell.key: cell for cell in plan_cells}
    for run in runs:
        if run.changed or run.summary.get("fork") or run.summary.get("engine", ev.ENGINE) != ev.ENGINE:
            continue
        if cell := wanted.get(run.content):
            yield cell, run


def _of_other_files(cell: Cell, run: ev.Run) -> bool:
    """Whether a run's folder held other files; one that hasn't begun, or is older than this rule, doesn't say."""
    return run.summary.get("files", cell.files) != cell.files != ""


def _rank(run: ev.Run) -> tuple[int, int, float]:
    return (0 if run.state == ev.FINISHED else AHEAD.get(run.state, 4), -run.step, run.created)


def speeds(runs: Iterable[ev.Run]) -> dict[str, float]:
    """Return {kind: seconds per step, evaluation included}: the median of this machine's runs of each kind."""
    seen: dict[str, list[float]] = {}
    for run in runs:
        if run.step > 0 and run.seconds > 0 and run.host == HOST and not run.summary.get("imported"):
            seen.setdefault(run.kind, []).append(run.seconds / run.step)
    return {each: sorted(found)[len(found) // 2] for each, found in seen.items()}


def steps_left(cell: Cell, run: ev.Run | None) -> int:
    """Return how many steps a cell has to go; none once it has failed: it isn't tried again by itself."""
    if run is None:
        return cell.config.train.steps
    return 0 if run.state in (ev.FINISHED, ev.FAILED, ev.DIVERGED) else max(cell.config.train.steps - run.step, 0)


def seconds_left(plan_cells: Sequence[Cell], found: Mapping[str, ev.Run], known: Mapping[str, float]) -> float | None:
    """Return the seconds of training that are left at the `speeds` known; None where a kind that has steps to go has none yet."""
    total = 0.0
    for cell in plan_cells:
        if steps := steps_left(cell, found.get(cell.key)):
            each = known.get(cell.kind)
            if each is None:
                return None
            total += each * steps
    return total


def to_json(plan: Plan) -> str:
    return json.dumps(asdict(plan))


def from_json(text: str) -> Plan:
    """Read a plan that `to_json` wrote; ConfigError if it is none."""
    try:
        raw = json.loads(text)
        return Plan(
            str(raw["preset"]), tuple(map(str, raw["methods"])), tuple(map(int, raw["labels"])), tuple(map(int, raw["seeds"])), dict(raw["settings"])
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ConfigError(f"a sweep's plan can't be read: {error}") from None


def command(plan: Plan) -> str:
    """Return the command that carries the plan out, or goes on with it."""
    words = ["python", "-m", "sslcore", "sweep", "--preset", plan.preset, "--methods", ",".join(plan.methods)]
    words += ["--labels", span(plan.labels), "--seeds", span(plan.seeds)]
    for path, value in plan.settings.items():
        text = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        words += [presets.OPTIONS[path], text] if path in presets.OPTIONS else ["--set", f"{path}={text}"]
    return shlex.join(words)


COLUMNS = (
    "method", "labels", "seed", "status", "run_id", "test_accuracy", "test_accuracy_raw", "best_val_accuracy", "step", "steps", "seconds",
    "images", "device", "threads", "data", "preset", "weights_sha256",
)  # fmt: skip


def to_csv(plan_cells: Sequence[Cell], found: Mapping[str, ev.Run], preset: str) -> str:
    """Return one row per cell, in the order of the grid; a cell without a run has its status and nothing else."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for cell in plan_cells:
        row: dict[str, Any] = {"method": cell.method, "labels": cell.labels, "seed": cell.seed, "status": MISSING}
        run = found.get(cell.key)
        if run is not None:
            known = {name: run.summary.get(name) for name in COLUMNS if name in run.summary}
            row |= known | {
                "status": run.state, "run_id": run.id, "step": run.step, "steps": run.steps, "seconds": round(run.seconds, 3),
                "images": run.step * run.summary.get("images_per_step", 0), "preset": run.preset,
            }  # fmt: skip
        writer.writerow(row | {"data": safe_cell(cell.config.data.source), "preset": row.get("preset", preset)})
    return out.getvalue()
