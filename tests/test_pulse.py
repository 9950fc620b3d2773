"""One look at a run is shared by the tabs that ask at about the same time, and never by one that asks for a new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard import panel_curves, pulse, queries
from sslcore import events as ev
from sslcore import presets
from sslcore.lab import Lab
from sslcore.store import Store
from tests.fill_store import add_keyframe, add_point, fill

LONG = presets.build("smoke", "flexmatch", {"train.steps": 1000})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    yield queries.store()


def test_tabs_that_look_at_once_share_a_look(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: clock[0])
    run = fill(store, ev.RUNNING, config=LONG, points=50)
    first = pulse.pulse(run)
    add_point(store, run, LONG, 102)
    assert pulse.pulse(run) is first
    clock[0] += pulse.SHARED + 0.01
    second = pulse.pulse(run)
    assert second.run.step == 102 and len(second.now.train["step"]) == 51
    add_point(store, run, LONG, 104)
    assert pulse.pulse(run, fresh=True).run.step == 104


def test_a_young_run_is_looked_at_anew_each_time(store: Store) -> None:
    run = fill(store, ev.RUNNING, config=LONG, points=2)
    assert pulse.pulse(run).run.step == 4
    add_point(store, run, LONG, 6)
    assert pulse.pulse(run).run.step == 6


def test_the_state_tells_when_the_page_must_be_drawn_anew(store: Store) -> None:
    run = fill(store, ev.RUNNING, config=LONG, points=50)
    before = pulse.pulse(run, fresh=True)
    add_point(store, run, LONG, 102)
    add_keyframe(store.folder(run), 102, "flexmatch", constants=False)
    after = pulse.pulse(run, fresh=True)
    assert after.state == before.state and after.frame == 102 != before.frame  # the feed alone tells of these
    store.add_event(run, 102, "set", {"method.threshold": 0.8})
    changed = pulse.pulse(run, fresh=True)
    store.move(run, ev.PAUSED, only_from=[ev.RUNNING])
    paused = pulse.pulse(run, fresh=True)
    assert len({before.state, changed.state, paused.state}) == 3


def test_what_runs_said_is_what_busy_says(store: Store) -> None:
    for state in (ev.RUNNING, ev.QUEUED, ev.FINISHED, ev.PAUSED, ev.QUEUED):
        fill(store, state, frames=False)
    assert queries.at_work(queries.runs()) == queries.busy() and len(queries.busy()) == 3


def test_charts_whose_part_of_the_run_is_the_same_are_not_built_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    whole = panel_curves.split
    monkeypatch.setattr(panel_curves, "split", lambda figure: built.append(str(figure)) or whole(figure))  # type: ignore[func-returns-value]
    run = fill(store, ev.RUNNING, config=LONG, points=50)
    seen = pulse.pulse(run, fresh=True)
    first = panel_curves.tell(seen.run, seen.now, None)
    count = len(built)
    assert count == 9
    panel_curves.tell(seen.run, seen.now, None)
    assert len(built) == count  # another tab
    store.log(run, [ev.MetricPoint(ev.TRAIN, 101, 2.2, {"train/loss": 1.0, "train/loss_x": 1.0})], step=101)
    seen = pulse.pulse(run, fresh=True)
    second = panel_curves.tell(seen.run, seen.now, None)
    assert len(built) == count + 3  # losses, mask and coverage; no evaluation and no class vector is new
    assert first["chart_loss"] != second["chart_loss"] and first["chart_accuracy"] is second["chart_accuracy"]
