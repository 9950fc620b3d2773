"""The records that pass between the trainer, the store and the pages, and the states of a run. No torch here.

A run is queued, then running; `pausing` and `stopping` mean that the command is given and the step in hand is being
ended. A paused run has a checkpoint and holds no thread. `interrupted` is a run whose process died.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sslcore import keys

QUEUED, RUNNING, PAUSING, PAUSED, STOPPING = "queued", "running", "pausing", "paused", "stopping"
STOPPED, FINISHED, FAILED, DIVERGED, INTERRUPTED = "stopped", "finished", "failed", "diverged", "interrupted"
STATES = (QUEUED, RUNNING, PAUSING, PAUSED, STOPPING, STOPPED, FINISHED, FAILED, DIVERGED, INTERRUPTED)
ACTIVE = (RUNNING, PAUSING, STOPPING)  # a thread is at work, or was when its process died
RESUMABLE = (PAUSED, STOPPED, FAILED, DIVERGED, INTERRUPTED)

ENGINE = 2  # raised whenever the same config gives other numbers: runs of another engine are no cells of a sweep


class Diverged(ArithmeticError):
    """A run whose loss or weights are no longer finite."""


TRAIN, EVAL = "train", "eval"  # the two series of a run: one point a log window, one an evaluation


@dataclass(frozen=True)
class MetricPoint:
    """Scalars of one moment. `step` = optimizer steps taken; a metric that has no value then is left out."""

    series: str
    step: int
    seconds: float  # training time of the run so far
    values: dict[str, float]


@dataclass(frozen=True)
class ArrayPoint:
    """One vector of one moment, such as the ten class thresholds: float32 (C,)."""

    name: str
    step: int
    seconds: float
    values: np.ndarray


@dataclass(frozen=True)
class Command:
    """What a person asked of a run: pause, stop, or set (value: {setting: new value})."""

    id: int
    name: str
    value: dict[str, Any]


@dataclass(frozen=True)
class Event:
    """Something that happened to a run: a state, a command that took effect, a note, an error."""

    step: int
    time: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One row of the run table. Times are seconds since the epoch; `seconds` is training time with evaluation."""

    id: str
    name: str
    note: str
    state: str
    preset: str
    method: str
    data: str
    labels: int
    seed: int
    step: int
    steps: int
    seconds: float
    created: float
    started: float | None
    ended: float | None
    heartbeat: float | None
    host: str
    pid: int
    process: str  # start of the process that owns the run: a pid alone can be another's later
    until: int | None  # run to this step, then pause (Step)
    changed: bool  # a setting was changed during the run
    error: str  # traceback of a failed run
    config: dict[str, Any]
    summary: dict[str, Any]  # last accuracies, data title, class names, weights_sha256, device, threads, ...

    @cached_property
    def content(self) -> str:
        """Key of all that decides the run's numbers, by which a sweep finds it; made once."""
        return keys.content_key(self.config)

    @cached_property
    def kind(self) -> str:
        """What decides the seconds of a step: its settings but labels and seed; made once."""
        return keys.kind(self.config)

    @property
    def weightless(self) -> bool:
        """Whether it was imported without the weights of its steps: it can be looked at, and never goes on."""
        return self.step > 0 and self.summary.get("imported", {}).get("weights") is False
