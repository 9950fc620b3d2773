"""A run's curves once more as TensorBoard event files, in the run's folder: `tensorboard --logdir checkpoints`.

Only where `train.tensorboard` is on; the package is an extra, imported with the first run that wants it. No torch, no
thread: what is written has reached the file at every checkpoint, and a run that goes on tells TensorBoard to forget the
points after its checkpoint, as the store does.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sslcore import events as ev
from sslcore.config import ConfigError, RunConfig
from sslcore.process import HOST

MOST_CLASSES = 20  # up to which each class's number is a curve of its own
INSTALL = (
    "train.tensorboard needs the package tensorboard, which isn't installed: `pip install tensorboard` (in the project's folder "
    '`pip install -e ".[tensorboard]"`), or turn it off'
)


def require(config: RunConfig) -> None:
    """Raise ConfigError if a run wants event files and the package isn't there."""
    if config.train.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(INSTALL)


class Board:
    """The event file of one stay of a run, in `folder`. `step`: where it begins; later points of earlier stays are void."""

    def __init__(self, folder: Path, step: int, class_names: Sequence[str]) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.Event, self.class_names = event_pb2.Event, class_names
        moment = time.time()
        self.file = open(folder / f"events.out.tfevents.{moment:.6f}.{HOST}.{os.getpid()}", "xb")  # noqa: SIM115  # closed by its owner
        self.records = RecordWriter(self.file)
        self._add(file_version="brain.Event:2")
        if step:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._add(step=step + 1, session_log=start)
        self.file.flush()

    def write(self, points: Sequence[ev.MetricPoint], arrays: Sequence[ev.ArrayPoint]) -> None:
        """Append every scalar under its name in the store, and the vectors as one curve a class, where there are few."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        for point in points:
            values = [Summary.Value(tag=name, simple_value=value) for name, value in point.values.items()]
            self._add(step=point.step, summary=Summary(value=values))
        for array in arrays:
            if len(array.values) > MOST_CLASSES + 1:
                continue
            names = [*self.class_names, "none yet"]
            values = [
                Summary.Value(tag=f"{array.name}/{names[k] if k < len(names) else k}", simple_value=float(value))
                for k, value in enumerate(array.values)
            ]
            self._add(step=array.step, summary=Summary(value=values))

    def _add(self, **content: Any) -> None:
        self.records.write(self.Event(wall_time=time.time(), **content).SerializeToString())

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()
