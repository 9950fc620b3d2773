"""Event files hold the store's numbers, also of a run that went on; without the package one sentence says what to do."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sslcore import __main__ as cli
from sslcore import checkpoint, keys, presets, recorder, tensorboard
from sslcore import events as ev
from sslcore.config import ConfigError
from sslcore.host_copy import HostCopy
from sslcore.session import Stay
from sslcore.store import Store

SETTINGS = {"train.steps": 12, "train.evals": 3, "train.tensorboard": True}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def new_run(store: Store, until: int | None = None, **settings: Any) -> str:
    run_id = store.create(presets.build("smoke", "flexmatch", SETTINGS | settings))
    go_on(store, run_id, ev.QUEUED, until)
    return run_id


def go_on(store: Store, run_id: str, state: str, until: int | None = None) -> None:
    store.move(run_id, ev.RUNNING, only_from=[state], until=until)
    store.move(run_id, Stay(store, run_id).advance(threading.Event()), only_from=ev.ACTIVE, until=None)


def files(store: Store, run_id: str) -> list[Path]:
    return sorted(store.folder(run_id).glob("events.out.tfevents.*"))


def read(store: Store, run_id: str) -> dict[str, dict[int, float]]:
    """{tag: {step: value}} as TensorBoard itself reads the folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(store.folder(run_id)), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


def check(store: Store, run_id: str) -> None:
    curves = read(store, run_id)
    for series in (ev.TRAIN, ev.EVAL):
        points = store.points(run_id, series)
        for name, values in points.items():
            if name in ("step", "seconds"):
                continue
            known = ~np.isnan(values)
            assert list(curves[name]) == points["step"][known].tolist(), name
            assert list(curves[name].values()) == pytest.approx(values[known].tolist(), rel=1e-5, abs=1e-6), name
    at, thresholds = store.arrays(run_id, "flex/threshold")
    assert list(curves["flex/threshold/3"]) == at.tolist()
    assert list(curves["flex/threshold/3"].values()) == pytest.approx(thresholds[:, 3].tolist())
    assert "flex/count/none yet" in curves and "eval/test/recall/9" in curves


def test_a_run_and_one_that_goes_on_after_a_pause(store: Store) -> None:
    pytest.importorskip("tensorboard")
    whole = new_run(store)
    assert store.run(whole).state == ev.FINISHED and len(files(store, whole)) == 1
    check(store, whole)
    parted = new_run(store, until=5)
    assert store.run(parted).state == ev.PAUSED
    # What a killed process logged after its last checkpoint: TensorBoard must forget it with the store.
    board = tensorboard.Board(store.folder(parted), 0, [])
    board.write([ev.MetricPoint(ev.TRAIN, 9, 0.0, {"train/loss": 99.0})], [])
    board.close()
    go_on(store, parted, ev.PAUSED)
    assert store.run(parted).state == ev.FINISHED and len(files(store, parted)) == 3
    check(store, parted)


def test_it_decides_no_numbers(store: Store) -> None:
    pytest.importorskip("tensorboard")
    plain, boarded = new_run(store, **{"train.tensorboard": False}), new_run(store)
    assert not files(store, plain) and files(store, boarded)
    assert store.run(plain).summary["weights_sha256"] == store.run(boarded).summary["weights_sha256"]
    found = {store.run(run_id).content for run_id in (plain, boarded)}
    before = {section: dict(values) for section, values in store.run(plain).config.items()}
    del before["train"]["tensorboard"]  # a run of the time before the setting
    assert found == {keys.content_key(before)}


def test_without_the_package_nothing_starts_and_one_sentence_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        tensorboard.require(presets.build("smoke", "", SETTINGS))
    tensorboard.require(presets.build("smoke"))
    for words in (["train", "--preset", "smoke"], ["sweep", "--preset", "smoke", "--labels", "20"]):
        assert cli.main([*words, "--tensorboard", "--root", str(tmp_path / "runs")]) == 2
        told = capsys.readouterr().err
        assert "train.tensorboard" in told and "pip install tensorboard" in told and told.count("\n") == 1
    assert not (tmp_path / "runs").exists() or not Store(tmp_path / "runs").runs()


def test_a_run_from_elsewhere_goes_on_without_the_package_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    run_id = new_run(store)
    assert store.run(run_id).state == ev.FINISHED and not files(store, run_id)
    told = [event.data for event in store.events(run_id) if event.kind == "tensorboard"]
    assert len(told) == 1 and "tensorboard" in told[0]["error"]


def test_a_file_that_can_not_be_written_costs_the_event_file_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")

    def full(self: tensorboard.Board, points: object, arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensorboard.Board, "write", full)
    run_id = new_run(store)
    assert store.run(run_id).state == ev.FINISHED
    assert [e.data["error"] for e in store.events(run_id) if e.kind == "tensorboard"] == [
        "[Errno 28] No space left on device"
    ]


def test_the_points_up_to_a_checkpoint_are_in_the_file_before_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are still on their way from the device when it is asked for: a killed run goes on from there."""
    pytest.importorskip("tensorboard")
    monkeypatch.setattr(HostCopy, "ready", lambda self: False)
    monkeypatch.setattr(recorder, "WINDOW", 0.0)
    dump, found = checkpoint._dump, {}

    def watched(state: dict[str, Any], path: Path) -> None:
        found[state["step"]] = list(read(store, run_id).get("train/loss", []))
        dump(state, path)

    monkeypatch.setattr(checkpoint, "_dump", watched)
    after = recorder.Recorder.after_step

    def patched(self: recorder.Recorder) -> None:
        after(self)
        if self.trainer.step == 6:
            self.save()

    monkeypatch.setattr(recorder.Recorder, "after_step", patched)
    run_id = store.create(presets.build("smoke", "flexmatch", SETTINGS))
    go_on(store, run_id, ev.QUEUED)
    assert found[6][:6] == [1, 2, 3, 4, 5, 6]
