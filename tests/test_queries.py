"""What the pages read: the run to show, what may be done with it, curves that are read once, and notes that are true."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dashboard import notes, queries, text
from dashboard.queries import Snapshot
from sslcore import events as ev
from sslcore import keyframes, presets
from sslcore.lab import Lab
from sslcore.store import Store
from tests.fill_store import add_point, fill


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    yield queries.store()


def test_the_run_to_show(store: Store) -> None:
    assert queries.choose(queries.runs()) is None
    old = fill(store, ev.RUNNING)
    new = fill(store, ev.FINISHED)
    found = queries.runs()
    assert [run.id for run in found] == [new, old]
    chosen = [queries.choose(found, wanted) for wanted in ("", new, "gone")]
    assert [run.id for run in chosen if run] == [old, new, old]


def test_the_newest_run_is_shown_when_none_is_at_work(store: Store) -> None:
    fill(store, ev.FINISHED)
    newest = fill(store, ev.FAILED)
    shown = queries.choose(queries.runs())
    assert shown is not None and shown.id == newest


def test_a_run_of_a_dead_process_is_interrupted_or_an_orphan(store: Store) -> None:
    running, queued, mine = (
        fill(store, ev.RUNNING, owned=False),
        fill(store, ev.QUEUED, owned=False),
        fill(store, ev.QUEUED),
    )
    found = {run.id: run for run in queries.runs()}
    assert found[running].state == ev.INTERRUPTED
    assert queries.orphaned(found[queued]) and not queries.orphaned(found[mine])
    assert [run.id for run in queries.waiting(list(found.values()))] == [mine]
    assert queries.possible(found[queued]) == {"resume", "stop", "delete"}


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        (ev.QUEUED, {"pause", "stop"}), (ev.RUNNING, {"pause", "stop"}), (ev.PAUSING, {"stop"}), (ev.STOPPING, set()),
        (ev.PAUSED, {"resume", "step", "stop", "delete"}), (ev.FINISHED, {"delete"}), (ev.STOPPED, {"resume", "step", "delete"}),
        (ev.FAILED, {"resume", "step", "delete"}), (ev.DIVERGED, {"resume", "step", "delete"}),
        (ev.INTERRUPTED, {"resume", "step", "stop", "delete"}),
    ],
)  # fmt: skip
def test_only_what_makes_sense_is_possible(store: Store, state: str, actions: set[str]) -> None:
    run = store.run(fill(store, ev.RUNNING if state == ev.INTERRUPTED else state, points=1, frames=False))
    assert queries.possible(dataclasses.replace(run, state=state)) == actions


def test_curves_are_read_again_only_when_there_is_something_new(store: Store) -> None:
    run_id = fill(store, ev.RUNNING, points=10)
    first = queries.snapshot(store.run(run_id))
    assert queries.snapshot(store.run(run_id)) is first
    add_point(store, run_id, presets.build("smoke", "flexmatch", {"train.steps": 80}), 22)
    second = queries.snapshot(store.run(run_id))
    assert second is not first and len(second.train["step"]) == len(first.train["step"]) + 1
    with pytest.raises(ValueError):
        second.train["step"][0] = 5


def test_the_newest_value_and_the_course_of_a_metric(store: Store) -> None:
    now = queries.snapshot(store.run(fill(store, ev.RUNNING, points=40)))
    assert now.last("train/mask_rate") == pytest.approx(0.9)
    assert now.last("eval/test/accuracy") == pytest.approx(0.97)
    assert now.last("eval/val/accuracy") is None and now.history("eval/val/accuracy") == []
    assert (
        len(now.history("train/loss", most=15)) <= 15
        and now.history("train/loss", most=15)[0] == now.train["train/loss"][0]
    )
    assert now.threshold[1].shape == (40, 10) and now.count.shape == (11,) and now.pseudo.shape == (10,)


def test_a_metric_that_is_missing_at_the_end_shows_its_last_value() -> None:
    now = Snapshot("", (), train={"train/purity": np.array([0.5, 0.7, np.nan])})
    assert now.last("train/purity") == 0.7 and now.history("train/purity") == [0.5, 0.7]
    assert Snapshot("", (), train={"train/purity": np.array([np.nan])}).last("train/purity") is None


def test_time_left_is_the_rest_at_the_speed_of_the_latest_points(store: Store) -> None:
    run = dataclasses.replace(store.run(fill(store, ev.RUNNING, points=10)), step=20, steps=100)
    steps = np.arange(1, 21)
    slow_start = np.concatenate([[30.0], 30 + np.arange(1, 20) * 0.5])
    assert queries.time_left(run, {"step": steps, "seconds": slow_start}, window=10) == pytest.approx(80 * 0.5)
    assert queries.time_left(run, {"step": steps[:1], "seconds": slow_start[:1]}) is None
    assert queries.time_left(dataclasses.replace(run, step=100), {"step": steps, "seconds": slow_start}) is None


def test_a_step_is_as_long_as_in_the_last_run_of_its_kind(store: Store) -> None:
    config = presets.build("smoke", "flexmatch", {"train.steps": 80})
    assert queries.seconds_per_step(queries.runs(), config) is None
    fill(store, ev.FINISHED, points=40)
    assert queries.seconds_per_step(queries.runs(), config) == pytest.approx(1 / 50)
    for other in ({"model.net": "wrn"}, {"train.batch": 99}):
        assert queries.seconds_per_step(queries.runs(), presets.build("smoke", "flexmatch", other)) is None
    assert queries.seconds_per_step(queries.runs(), presets.build("smoke", "supervised")) is None


def test_the_newest_keyframe_and_one_that_is_gone(store: Store) -> None:
    run_id = fill(store, ev.RUNNING, points=5)
    assert queries.last_keyframe(run_id) == 10
    frame = queries.keyframe(run_id, 10)
    assert frame is not None and {"weak_probs", "unlabeled_truth", "weak_images"} <= set(frame)
    assert queries.keyframe(run_id, 4) is None
    assert queries.last_keyframe(fill(store, ev.QUEUED)) is None
    assert keyframes.steps(store.folder(run_id)) == [0, 10]


def test_a_damaged_keyframe_is_named_and_the_one_before_it_shown(store: Store) -> None:
    run_id = fill(store, ev.RUNNING, points=5)
    path = store.folder(run_id) / keyframes.FOLDER / "000000010.npz"
    path.write_bytes(path.read_bytes()[:200])
    assert queries.last_keyframe(run_id) == 0 and queries.keyframe(run_id, 10) is None
    assert f"keyframe 000000010.npz of run {run_id} can't be read" in queries.keyframe_problem(run_id, 10)
    assert queries.keyframe_problem(run_id, 0) == queries.keyframe_problem(run_id, 4) == ""


# -- notes -------------------------------------------------------------------------------------------------------------


def run_of(store: Store, method: str = "fixmatch", step: int = 60, **values: object) -> ev.Run:
    run = store.run(fill(store, ev.RUNNING, method, points=1, frames=False))
    return dataclasses.replace(run, step=step, steps=80, **values)  # type: ignore[arg-type]


def curves(**values: np.ndarray) -> Snapshot:
    return Snapshot(
        "", (), train={"step": np.arange(60)} | {f"train/{name}": series for name, series in values.items()}
    )


RISING, FALLING = np.linspace(0.1, 0.9, 60), np.linspace(0.9, 0.5, 60)


def test_a_rising_unlabelled_loss_is_explained_while_the_mask_opens(store: Store) -> None:
    kind, sentence = notes.note(run_of(store), curves(mask_rate=RISING, loss_u=RISING, purity=RISING))
    assert kind == "info" and "mask opens (40 % to 81 % kept)" in sentence


def test_purity_that_falls_while_the_mask_opens_is_confirmation_bias(store: Store) -> None:
    kind, sentence = notes.note(run_of(store), curves(mask_rate=RISING, loss_u=RISING, purity=FALLING))
    assert kind == "warning" and "confirmation bias" in sentence


def test_a_shut_mask_is_a_warning_but_not_at_the_start(store: Store) -> None:
    shut = curves(mask_rate=np.zeros(60), loss_u=np.zeros(60))
    kind, sentence = notes.note(run_of(store), shut)
    assert kind == "warning" and "lower threshold" in sentence
    assert notes.note(run_of(store, step=10), shut) == ("info", notes.WATCH["fixmatch"])


def test_flexmatch_keeps_everything_at_first_by_design(store: Store) -> None:
    kind, sentence = notes.note(run_of(store, "flexmatch", step=10), curves(mask_rate=np.ones(60), loss_u=RISING))
    assert kind == "info" and "by design" in sentence
    lowered = dataclasses.replace(run_of(store, "flexmatch", step=10), changed=True)
    assert "by design" not in notes.note(lowered, curves(mask_rate=np.ones(60), loss_u=RISING))[1], (
        "it may be the lower tau"
    )
    risen = dataclasses.replace(
        curves(mask_rate=np.ones(60), loss_u=RISING), threshold=(np.array([9]), np.full((1, 10), 0.9))
    )
    assert "by design" not in notes.note(run_of(store, "flexmatch", step=10), risen)[1], "all guesses are sure by now"


def test_names_that_a_narrow_column_cuts_are_told_apart() -> None:
    assert text.told_apart(["species 01 of the meadow", "species 02 of the meadow", "oak"]) == [
        "0: species 01 of the meadow",
        "1: species 02 of the meadow",
        "oak",
    ]
    assert text.told_apart(["airplane", "airplanes", "cat"], 8) == ["airplane", "airplanes", "cat"]
    ends = ["animal number 041", "animal number 042"]  # their ends are shown
    assert text.told_apart(ends, 6, 4) == ends and text.told_apart(ends)[1] == "1: animal number 042"


def test_falling_validation_is_a_warning(store: Store) -> None:
    evals = {"step": np.arange(8) * 10, "eval/val/accuracy": np.array([0.3, 0.6, 0.8, 0.8, 0.7, 0.7, 0.7, 0.7])}
    now = dataclasses.replace(curves(loss=RISING), evals=evals)
    sentence = notes.note(run_of(store, "supervised"), now)[1]
    assert "Validation accuracy has fallen from 80 % to 70 %" in sentence and "Since step 20." in sentence


def test_a_result_says_all_that_it_rests_on(store: Store) -> None:
    run = store.run(fill(store, ev.FINISHED))
    kind, sentence = notes.note(run, queries.snapshot(run))
    assert kind == "success"
    for part in (
        "**97.1 %** of 360 test images",
        "raw 96.5 %",
        "20 labels",
        "80 steps",
        "seed 0",
        "One seed",
        r"Digits \(made up\)",
    ):
        assert part in sentence, part
    assert "papers" not in sentence and "Settings were changed" not in sentence
    paper = dataclasses.replace(run, data="cifar10", steps=20 * 1024, changed=True)
    assert "2 % of the papers' 2^20" in notes.result(paper) and "Settings were changed" in notes.result(paper)
    unknown = dataclasses.replace(run, summary={})
    assert notes.result(unknown).startswith("**An unknown share** of test images")


# -- words -------------------------------------------------------------------------------------------------------------


def test_what_somebody_typed_is_shown_as_typed() -> None:
    typed = "<img src=x> [a](http://b.c) :red[x] $y$ *z* `w`\n# h :smile: a@b.c |-"
    escaped = text.escape(typed)
    assert "\n" not in escaped
    assert escaped.replace("\\", "").replace("\u2060", "") == typed.replace("\n", " ")
    for i, letter in enumerate(escaped):
        if letter in "<>[]():$*`#|@.":
            assert escaped[i - 1] == "\\", escaped[:i]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3569, "59 min 29 s"),
        (3600 * 5.5, "5 h 30 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words


def test_numbers_and_shares() -> None:
    assert text.number(600) == "600" and text.number(1048576) == "1,048,576" and text.number(9432.1) == "9,430"
    assert text.percent(0.9712) == "97.1 %" and text.percent(None) is None and text.percent(float("nan")) is None
    assert text.data_name("folder:/home/me/my leaves/") == "folder my leaves" and text.data_name("digits") == "Digits"
    assert len(text.shorten("x" * 500)) <= 60
