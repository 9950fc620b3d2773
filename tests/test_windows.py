"""The window of a growing series equals what a full reading of the store would give, and its band holds every point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dashboard import queries
from dashboard.windows import Row, Thinned
from sslcore import events as ev
from sslcore import presets
from sslcore.lab import Lab
from sslcore.store import Store


def rows(count: int, first: int = 0) -> list[Row]:
    """Noisy points; `purity` has gaps and begins late."""
    generator = np.random.default_rng(first)
    found = []
    for i in range(first, first + count):
        values = {"loss": float(generator.random())}
        if i > 40 and i % 3:
            values["purity"] = float(generator.random())
        found.append((i + 1, i / 20, values))
    return found


def slow_band(points: list[Row], name: str, stride: int) -> tuple[list[float], list[float]]:
    """Lowest and highest value of each block of `stride` points, by the definition."""
    low, high = [], []
    for start in range(0, len(points), stride):
        known = [point[2][name] for point in points[start : start + stride] if name in point[2]]
        low.append(min(known) if known else np.nan)
        high.append(max(known) if known else np.nan)
    return low, high


@pytest.mark.parametrize("count", [1, 9, 10, 11, 63, 64, 65, 300])
@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_the_window_equals_a_slow_reading_of_everything(count: int, at_once: int) -> None:
    points, thinned = rows(count), Thinned(limit=10)
    for start in range(0, count, at_once):
        thinned.add(points[start : start + at_once])
    window, stride = thinned.window(), thinned.stride
    drawn = sorted({*range(0, count, stride), count - 1})
    assert len(drawn) <= 10 and window.columns["step"].tolist() == [points[i][0] for i in drawn]
    assert np.allclose(window.columns["seconds"], [points[i][1] for i in drawn])
    for name in thinned._names:
        expected = [points[i][2].get(name, np.nan) for i in drawn]
        assert np.array_equal(window.columns[name], expected, equal_nan=True)
        if stride > 1:
            low, high = slow_band(points, name, stride)
            blocks = [i // stride for i in drawn]
            assert np.array_equal(window.low[name], [low[b] for b in blocks], equal_nan=True)
            assert np.array_equal(window.high[name], [high[b] for b in blocks], equal_nan=True)
    assert (not window.low) == (stride == 1)


def test_a_growing_curve_does_not_wobble() -> None:
    """What was drawn stays drawn until the stride doubles, and then every second of it stays."""
    thinned, before, stride = Thinned(limit=10), [], 1
    for point in rows(200):
        thinned.add([point])
        drawn = thinned.window().columns["step"].tolist()
        if thinned.stride == stride:
            assert set(before[:-1]) <= set(drawn)
        else:
            assert set(drawn[:-1]) <= set(before) | {drawn[-1]}
        before, stride = drawn, thinned.stride


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    yield queries.store()


def log(store: Store, run_id: str, points: list[Row]) -> None:
    store.log(run_id, [ev.MetricPoint(ev.TRAIN, step, seconds, dict(values)) for step, seconds, values in points])


def test_a_snapshot_reads_only_what_is_new_and_equals_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = store.create(presets.build("smoke"))
    monkeypatch.setattr(queries, "AT_ONCE", 300)
    log(store, run_id, rows(1000))
    queries.snapshot(store.run(run_id))
    read: list[int] = []
    points_from = Store.points_from

    def counted(self: Store, *args: int) -> list[Row]:
        found = points_from(self, *args)  # type: ignore[arg-type]
        read.append(len(found))
        return found  # type: ignore[return-value]

    monkeypatch.setattr(Store, "points_from", counted)
    log(store, run_id, rows(5, first=1000))
    now = queries.snapshot(store.run(run_id))
    assert sum(read) <= 5 + 1 + 1  # the new ones, and the one before them of each series
    whole = store.points(run_id, ev.TRAIN)
    assert all(np.allclose(now.train[name], whole[name], equal_nan=True) for name in whole) and len(now.low) == 2


def test_a_rewound_run_is_read_anew(store: Store) -> None:
    run_id = store.create(presets.build("smoke"))
    log(store, run_id, rows(100))
    queries.snapshot(store.run(run_id))
    store.rewind(run_id, 60)
    again = [(step, seconds + 9.0, {"loss": 5.0}) for step, seconds, _ in rows(50, first=60)]
    log(store, run_id, again)  # more points than before, so that only their content tells
    now = queries.snapshot(store.run(run_id))
    assert now.train["step"].tolist() == list(range(1, 111)) and now.train["loss"][60:].tolist() == [5.0] * 50


# -- what a person did -------------------------------------------------------------------------------------------------


def test_every_command_is_marked_at_its_step(store: Store) -> None:
    run_id = store.create(presets.build("smoke", "fixmatch"))
    engine = queries.engine()
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    store.log(run_id, [], step=10)
    engine.pause(run_id)
    store.add_event(run_id, 10, "pause", {})  # as the recorder does when it obeys
    store.move(run_id, ev.PAUSED, only_from=[ev.PAUSING])
    engine.step(run_id)
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    store.log(run_id, [], step=11)
    store.move(run_id, ev.PAUSED, only_from=[ev.RUNNING])
    engine.resume(run_id)
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    store.add_event(run_id, 12, "set", {"method.threshold": 0.8})
    store.add_event(run_id, 14, "set", {"method.threshold": 0.7, "optim.lr": 0.5})
    store.add_event(run_id, 20, "stop", {})
    now = queries.snapshot(store.run(run_id))
    assert now.marks == (
        (10, "pause"), (10, "step"), (11, "resume"), (12, "threshold = 0.8"), (14, "threshold = 0.7"), (14, "lr = 0.5"), (20, "stop"),
    )  # fmt: skip
    first = presets.build("smoke", "fixmatch")
    assert [(c.step, c.name, c.old, c.new) for c in now.changes] == [
        (12, "method.threshold", 0.95, 0.8), (14, "method.threshold", 0.8, 0.7), (14, "optim.lr", first.optim.lr, 0.5),
    ]  # fmt: skip
