"""A growing series in at most 800 points with what was passed over as a band, fed only with what is new. numpy only.

The points are those of `Store.points`: every 2^k-th one and the last. Beside each stands the lowest and the highest
value of the 2^k points that it speaks for, so that a spike between two drawn points is still seen. The cost of a look is that
of the new points, however long the run; when the window is full, neighbours are merged and the stride doubles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Columns = dict[str, np.ndarray]
Row = tuple[int, float, Mapping[str, float]]  # step, seconds, metrics
LIMIT = 800


@dataclass(frozen=True, eq=False)
class Window:
    """`columns`: step, seconds and each metric (n,), NaN where it has no value. `low`, `high`: the band; empty while nothing is passed over."""

    columns: Columns
    low: Columns = field(default_factory=dict)
    high: Columns = field(default_factory=dict)


class Thinned:
    """The window of one series. `count` points were taken in, `last` is the newest."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self.count, self.stride = limit, 0, 1
        self.last: Row | None = None
        self._names: list[str] = []
        self._place = np.zeros((0, 2))  # of every stride-th point: step, seconds
        self._value = self._low = self._high = np.zeros((0, 0))  # (blocks, metrics)

    def add(self, rows: Sequence[Row]) -> None:
        """Take in the points that follow, oldest first."""
        if not rows:
            return
        new = [name for name in dict.fromkeys(name for row in rows for name in row[2]) if name not in self._names]
        self._names += new
        self._value, self._low, self._high = (
            np.pad(table, ((0, 0), (0, len(new))), constant_values=np.nan)
            for table in (self._value, self._low, self._high)
        )
        last = self.count + len(rows) - 1
        while last // self.stride + 2 > self.limit:
            self._merge()
        nothing = float("nan")
        values = np.array([[row[2].get(name, nothing) for name in self._names] for row in rows], np.float64)
        values = values.reshape(len(rows), len(self._names))
        number = np.arange(self.count, last + 1)
        block = number // self.stride
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        low, high = np.fmin.reduceat(values, starts, axis=0), np.fmax.reduceat(values, starts, axis=0)
        if block[0] < len(self._low):  # the first of them end the block that was left open
            self._low[-1], self._high[-1] = np.fmin(self._low[-1], low[0]), np.fmax(self._high[-1], high[0])
            low, high = low[1:], high[1:]
        drawn = number % self.stride == 0
        place = np.array([row[:2] for row in rows], np.float64)
        self._place, self._value = (
            np.concatenate([self._place, place[drawn]]),
            np.concatenate([self._value, values[drawn]]),
        )
        self._low, self._high = np.concatenate([self._low, low]), np.concatenate([self._high, high])
        self.count, self.last = last + 1, rows[-1]

    def _merge(self) -> None:
        """Double the stride: of two neighbours the first is drawn, and the band is that of both."""
        self.stride *= 2
        odd = ((0, len(self._low) % 2), (0, 0))
        low, high = (np.pad(table, odd, constant_values=np.nan) for table in (self._low, self._high))
        self._low, self._high = np.fmin(low[::2], low[1::2]), np.fmax(high[::2], high[1::2])
        self._place, self._value = self._place[::2], self._value[::2]

    def window(self) -> Window:
        """Return what there is now, in arrays of its own."""
        if self.last is None:
            return Window({"step": np.zeros(0, np.int64), "seconds": np.zeros(0)})
        place, value, low, high = self._place, self._value, self._low, self._high
        if (self.count - 1) % self.stride:  # the newest point is always drawn; it shares the band of its block
            place = np.concatenate([place, [self.last[:2]]])
            newest = [self.last[2].get(name, float("nan")) for name in self._names]
            value = np.concatenate([value, [newest]])
            low, high = np.concatenate([low, low[-1:]]), np.concatenate([high, high[-1:]])
        columns = {"step": place[:, 0].astype(np.int64), "seconds": place[:, 1].copy()}
        columns |= self._columns(value)
        return Window(columns) if self.stride == 1 else Window(columns, self._columns(low), self._columns(high))

    def _columns(self, table: np.ndarray) -> Columns:
        return {name: table[:, i].copy() for i, name in enumerate(self._names)}
