"""A fork goes on from a checkpoint of another run: the same numbers with nothing changed, its own with a change, whole without the parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sslcore import checkpoint, data, fork, keyframes, presets
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.config import METHOD_NAMES, ConfigError
from sslcore.lab import Lab
from sslcore.session import Stay
from sslcore.store import Store
from sslcore.trainer import Trainer, choose_device
from tests import forge
from tests.test_cli import call as call
from tests.test_lab import config, until, wait
from tests.test_trainer import assert_same

Original = Callable[[str], ev.Run]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(Store(tmp_path_factory.mktemp("runs")))
    yield made
    made.close()


@pytest.fixture(scope="module")
def original(lab: Lab) -> Original:
    """A finished run of a method, trained once for all tests that don't touch it."""
    return cache(lambda method: finished(lab, method))


def ids(lab: Lab) -> list[str]:
    return [run.id for run in lab.store.runs()]


def finished(lab: Lab, method: str = "flexmatch", **settings: str) -> ev.Run:
    run = wait(lab, lab.start(config(method, **settings), preset="smoke"), ev.FINISHED, ev.FAILED)
    assert run.state == ev.FINISHED, run.error
    return run


def followed(lab: Lab, run_id: str) -> ev.Run:
    run = wait(lab, run_id, ev.FINISHED, ev.FAILED, ev.DIVERGED)
    assert run.state == ev.FINISHED, run.error
    return run


def state_of(lab: Lab, run_id: str, name: str = checkpoint.LAST) -> dict[str, Any]:
    return checkpoint.load(lab.store.folder(run_id) / name)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_with_nothing_changed_it_repeats_the_original_bit_for_bit(lab: Lab, original: Original, method: str) -> None:
    parent = original(method)
    assert list(fork.checkpoints(lab.store.folder(parent.id))) == [10, 20, 30]
    made = followed(lab, lab.fork(parent.id, 10))
    assert made.summary["weights_sha256"] == parent.summary["weights_sha256"]
    assert_same(state_of(lab, parent.id), state_of(lab, made.id), but=("/seconds",))

    curves = [lab.store.points(run.id, ev.EVAL) for run in (parent, made)]
    assert all((curves[0][name] == curves[1][name]).all() for name in curves[0] if name != "seconds")
    folders = [lab.store.folder(run.id) for run in (parent, made)]
    assert keyframes.steps(folders[0]) == keyframes.steps(folders[1]) == [0, 10, 20, 30]
    for step in keyframes.steps(folders[0]):
        frames = [keyframes.load(folder, step) for folder in folders]
        assert all((frames[0][name] == frames[1][name]).all() for name in frames[0])
    assert made.config == parent.config and not made.changed
    assert made.summary["fork"] == {"run": parent.id, "step": 10, "changes": {}, "before": {}}
    assert [(e.step, e.data) for e in lab.store.events(made.id) if e.kind == "fork"] == [
        (10, {"run": parent.id, "step": 10})
    ]


def test_a_change_acts_from_the_fork_on_and_only_there(lab: Lab, original: Original) -> None:
    parent = original("flexmatch")
    made = followed(lab, lab.fork(parent.id, 20, {"method.threshold": "0.1", "method.lambda_u": 3}))
    assert (made.config["method"]["threshold"], made.config["method"]["lambda_u"]) == (0.1, 3.0)
    assert made.changed, "never taken for a run that had these settings from the start"
    assert made.summary["fork"] == {
        "run": parent.id,
        "step": 20,
        "changes": {"method.threshold": 0.1, "method.lambda_u": 3.0},
        "before": {"method.threshold": parent.config["method"]["threshold"], "method.lambda_u": 1.0},
    }
    assert made.summary["weights_sha256"] != parent.summary["weights_sha256"]
    before, after = (lab.store.points(run.id, ev.TRAIN, limit=10**6) for run in (parent, made))
    early = int((before["step"] <= 20).sum())
    assert (after["step"][:early] == before["step"][:early]).all() and after["step"][-1] == 30
    assert (after["train/loss"][:early] == before["train/loss"][:early]).all()
    assert before["train/loss"][-1] != after["train/loss"][-1]
    for name in ("flex/threshold", "flex/count", "pseudo/count"):
        steps, values = lab.store.arrays(parent.id, name)
        copied = lab.store.arrays(made.id, name)
        early = int((steps <= 20).sum())
        assert (copied[0][:early] == steps[:early]).all() and (copied[1][:early] == values[:early]).all()
    assert parent == lab.store.run(parent.id), "the parent is as it was"


# What the optimizer, the average, the batches and the views hold beside their state must be the config's, not the checkpoint's.
CHANGES = {
    "flexmatch": [
        {"optim.weight_decay": 0.5}, {"optim.momentum": 0.0}, {"optim.schedule": "constant"}, {"train.batch": 5}, {"method.mu": 1},
        {"train.ema_decay": 0.0, "train.ema_warmup": False}, {"augment.preset": "off"}, {"model.bn_momentum": 0.9}, {"train.evals": 6},
        {"method.mapping": "linear", "method.threshold_warmup": False},
    ],
    "mixmatch": [{"method.views": 3}, {"method.temperature": 1.0}, {"method.alpha": 5.0, "method.ramp_steps": 0}],
}  # fmt: skip


@pytest.mark.parametrize("method", CHANGES)
def test_every_kind_of_setting_that_may_change_really_does(lab: Lab, original: Original, method: str) -> None:
    parent = original(method)
    unseen = {"train.evals", "method.mapping"}  # nothing that 10 steps would show in the weights
    for changes in CHANGES[method]:
        made = followed(lab, lab.fork(parent.id, 20, changes))
        differs = made.summary["weights_sha256"] != parent.summary["weights_sha256"]
        assert differs or set(changes) & unseen, changes
        values = {name: value for name, _, value in cfg.walk(cfg.from_dict(made.config))}
        assert {name: values[name] for name in changes} == changes
        groups = state_of(lab, made.id)["optimizer"]["param_groups"]
        assert groups[0]["weight_decay"] == made.config["optim"]["weight_decay"] and groups[1]["weight_decay"] == 0
        assert groups[0].get("momentum", 0.0) == (made.config["optim"]["momentum"] if method == "flexmatch" else 0.0)
        frames = keyframes.steps(lab.store.folder(made.id))
        assert frames[:3] == [0, 10, 20] and frames[-1] == 30


def test_the_probe_keeps_the_views_of_the_parent(lab: Lab, original: Original) -> None:
    """From keyframe to keyframe only the model changes, also over a fork that augments in another way, and its resume."""
    parent = original("flexmatch")
    run = followed(lab, lab.fork(parent.id, 20, {"augment.preset": "off", "train.steps": 40}))
    again = followed(lab, lab.fork(run.id, 27, {"augment.preset": "paper"}))
    for made in (run, again):
        state = state_of(lab, made.id)
        assert state["probe"] == parent.config
        folder = lab.store.folder(made.id)
        loaded = Trainer(
            cfg.from_dict(state["config"]), data.load(cfg.from_dict(state["config"]).data, None), choose_device("cpu")
        )
        loaded.load_state_dict(state)
        constants, probe = loaded.probe.constants(), keyframes.probe(folder)
        assert all((constants[name] == probe[name]).all() for name in probe)


def test_longer_steps_go_on_from_the_end(lab: Lab, original: Original) -> None:
    parent = original("flexmatch")
    made = followed(lab, lab.fork(parent.id, None, {"train.steps": 40}))
    assert (made.step, made.steps, made.summary["fork"]["step"]) == (40, 40, 30)
    assert lab.store.points(made.id, ev.EVAL)["step"].tolist()[-1] == 40
    early = followed(lab, lab.fork(parent.id, None, {"method.threshold": 0.0}))
    assert early.summary["fork"]["step"] == 20, "by default the last checkpoint that leaves steps to go"


def test_it_lives_without_its_parent_and_can_be_forked_itself(lab: Lab) -> None:
    parent = finished(lab)
    first = followed(lab, lab.fork(parent.id, 20, {"method.threshold": 0.2}))
    lab.store.delete(parent.id)
    assert list(fork.checkpoints(lab.store.folder(first.id))) == [10, 20, 30]
    again = followed(lab, lab.fork(first.id, 20))
    assert again.summary["weights_sha256"] == first.summary["weights_sha256"]
    assert lab.store.points(again.id, ev.TRAIN)["step"][0] == 1
    older = followed(lab, lab.fork(first.id, 10, {"method.threshold": cfg.from_dict(parent.config).method.threshold}))  # type: ignore[union-attr]
    assert older.summary["weights_sha256"] == parent.summary["weights_sha256"]


def test_a_fork_of_a_changed_run_keeps_the_change_that_was_in_force(lab: Lab) -> None:
    run_id = lab.start(config(**{"train.steps": "100000", "train.evals": "1"}))
    lab.set(run_id, {"method.threshold": 0.3})
    wait_for_step(lab, run_id, 3)
    lab.pause(run_id)
    paused = wait(lab, run_id, ev.PAUSED)
    assert list(fork.checkpoints(lab.store.folder(run_id))) == [paused.step], "the newest checkpoint counts, too"
    made = followed(lab, lab.fork(run_id, paused.step, {"train.steps": paused.step + 5}))
    assert made.config["method"]["threshold"] == 0.3 and made.changed and made.step == paused.step + 5
    kinds = [(event.kind, event.step) for event in lab.store.events(made.id) if event.kind in ("set", "fork")]
    assert [kind for kind, _ in kinds] == ["set", "fork"] and kinds[1][1] == paused.step


def wait_for_step(lab: Lab, run_id: str, step: int) -> None:
    until(lambda: lab.store.run(run_id).step > step)


def test_best_on_validation_is_that_of_the_fork(lab: Lab) -> None:
    parent = finished(lab, "supervised", **{"data.val": "40"})
    best = parent.summary["best_step"]
    for at in (10, 20):
        made = followed(lab, lab.fork(parent.id, at))
        kept = state_of(lab, made.id, checkpoint.BEST)
        assert kept["step"] == made.summary["best_step"]
        points = lab.store.points(made.id, ev.EVAL)
        among = points["step"] >= (best if best <= at else at + 1)
        assert made.summary["best_val_accuracy"] == pytest.approx(points["eval/val/accuracy"][among].max(), abs=1e-6)


@pytest.mark.parametrize(("best_step", "kept"), [(5, True), (10, True), (20, False)])
def test_a_fork_has_the_best_of_its_parent_only_if_that_was_there_by_then(
    tmp_path: Path, best_step: int, kept: bool
) -> None:
    store = Store(tmp_path)
    parent = forge.train(store, "supervised", until=10, **{"data.val": "40", "train.evals": "6"})
    best = {"best_val_accuracy": 0.875, "best_step": best_step, "test_accuracy_at_best": 0.75}
    store.update(parent, summary=store.run(parent).summary | best)
    made = fork.create(store, parent, 10, {})
    state = checkpoint.load(store.folder(made) / checkpoint.LAST)
    assert (store.folder(made) / checkpoint.BEST).exists() == kept
    assert (state["best"] == checkpoint.load(store.folder(parent) / checkpoint.LAST)["best"]) == kept
    assert kept or state["best"] < 0, "whatever it reaches first is its best"
    assert {name: store.run(made).summary.get(name) for name in best} == (best if kept else dict.fromkeys(best))


def test_the_accuracies_of_a_fork_are_those_of_its_step(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parent = forge.train(store, "supervised", until=15, **{"train.evals": "6"})
    evals, made = store.points(parent, ev.EVAL), store.run(fork.create(store, parent, 10, {}))
    assert evals["step"].tolist() == [5, 10, 15] and len(set(evals["eval/test/accuracy/raw"].tolist())) == 3
    for name in ("accuracy", "balanced_accuracy"):
        assert made.summary[f"test_{name}"] == pytest.approx(evals[f"eval/test/{name}"][1])
    assert made.summary["test_accuracy_raw"] == pytest.approx(evals["eval/test/accuracy/raw"][1])
    assert not made.changed and "weights_sha256" not in made.summary


def test_a_fork_takes_over_what_was_set_before_it_and_nothing_else_that_happened(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parent = forge.train(store, "supervised", until=10)
    rate = store.run(parent).config["optim"]["lr"]
    for step, kind, values in (
        (4, "set", {"optim.lr": 0.9}), (5, "damaged", {"file": "last.pt"}), (6, "fork", {"run": "a", "step": 6}),
        (10, "set", {"optim.lr": rate}),  # before the checkpoint: it holds it
        (10, "set", {"optim.lr": 0.8}),  # after the checkpoint of the same step
        (11, "set", {"optim.lr": rate}),
    ):  # fmt: skip
        store.add_event(parent, step, kind, values)
    made = fork.create(store, parent, 10, {})
    found = [(event.step, event.kind, event.data) for event in store.events(made) if event.kind != "state"]
    assert found == [
        (4, "set", {"optim.lr": 0.9}), (6, "fork", {"run": "a", "step": 6}), (10, "set", {"optim.lr": rate}),
        (10, "fork", {"run": parent, "step": 10}),
    ]  # fmt: skip
    assert store.run(made).changed and store.run(made).config["optim"]["lr"] == rate


CHILD = """
import os, signal, sys, threading
from sslcore import recorder
from sslcore.session import Stay
from sslcore.lab import Lab
from sslcore.store import Store
after = recorder.Recorder.after_step
def patched(self):
    after(self)
    if self.trainer.step == 27:
        os.kill(os.getpid(), signal.SIGKILL)
recorder.Recorder.after_step = patched
recorder.Recorder.save = lambda self, wait=False: None  # no checkpoint by the clock: it would depend on the machine's load
Lab._work = lambda self: None
store = Store(sys.argv[1])
made = Lab(store).fork(sys.argv[2], 20, {"method.threshold": 0.1})
store.move(made, "running", only_from=["queued"])
Stay(store, made).advance(threading.Event())
"""


def test_a_killed_fork_goes_on_bit_for_bit(lab: Lab, original: Original) -> None:
    parent = original("flexmatch")
    straight = followed(lab, lab.fork(parent.id, 20, {"method.threshold": 0.1}))
    command = [sys.executable, "-c", CHILD, str(lab.store.root), parent.id]
    child = subprocess.run(command, capture_output=True, timeout=120)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    (killed_id,) = lab.store.reconcile()
    killed = lab.store.run(killed_id)
    assert (killed.state, state_of(lab, killed.id)["step"]) == (ev.INTERRUPTED, 20)
    lab.resume(killed.id)
    killed = followed(lab, killed.id)
    assert killed.summary["weights_sha256"] == straight.summary["weights_sha256"]
    assert killed.summary["fork"] == straight.summary["fork"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.labels": 10}, ["data.labels", "can't change in a fork", "method.threshold"]),
        ({"model.width": 8}, ["model.width", "can't change in a fork"]),
        ({"method.name": "fixmatch"}, ["method.name", "can't change in a fork"]),
        ({"optim.name": "adam"}, ["optim.name"]),
        ({"train.seed": 3}, ["train.seed"]),
        ({"method.thresold": 0.5}, ["unknown setting", "method.thresold"]),
        ({"method.threshold": 1.5}, ["method.threshold must be a number from 0.0 to 1.0, got 1.5"]),
        ({"train.steps": 10}, ["train.steps must be above 10, the step of the fork, got 10"]),
    ],
)
def test_what_can_not_change_is_one_sentence_and_leaves_nothing(
    lab: Lab, original: Original, changes: dict[str, Any], words: list[str]
) -> None:
    parent = original("flexmatch")
    before = ids(lab)
    with pytest.raises(ConfigError) as caught:
        lab.fork(parent.id, 10, changes)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)
    assert ids(lab) == before and not list(lab.store.root.glob("*/.*"))


def test_a_missing_checkpoint_lists_those_there_are(lab: Lab) -> None:
    parent = finished(lab)
    folder = lab.store.folder(parent.id)
    (folder / "step-000000020.pt").unlink()
    with pytest.raises(ConfigError, match=r"has no checkpoint at step 20; it has those of the steps 10, 30$"):
        lab.fork(parent.id, 20)
    (folder / "step-000000010.pt").unlink()
    with pytest.raises(ConfigError, match=r"has no checkpoint before step 30; raise train\.steps"):
        lab.fork(parent.id)
    (folder / "step-000000030.pt").write_bytes(b"half")
    with pytest.raises(checkpoint.CheckpointError, match=r"step-000000030\.pt of run .* can't be read"):
        lab.fork(parent.id, 30, {"train.steps": 40})
    queued = lab.store.create(presets.build("smoke"), state=ev.PAUSED)
    with pytest.raises(ConfigError, match="has no checkpoint yet"):
        lab.fork(queued)
    assert ids(lab)[:2] == [queued, parent.id]


def test_a_disk_that_is_full_leaves_no_half_fork(lab: Lab, original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = original("flexmatch")
    before = ids(lab)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(ValueError, match=r"can't be written: .*No space left"):
        lab.fork(parent.id, 10)
    assert ids(lab) == before
    assert {path.name for path in lab.store.root.iterdir() if path.is_dir()} == set(before)


def test_where_files_can_not_have_two_names_they_are_copied(
    lab: Lab, original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = original("flexmatch")

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    made = followed(lab, lab.fork(parent.id, 20))
    assert keyframes.steps(lab.store.folder(made.id)) == [0, 10, 20, 30]
    assert made.summary["weights_sha256"] == parent.summary["weights_sha256"]


def test_the_command_line_forks(call: Any) -> None:
    words = ("--preset", "smoke", "--method", "fixmatch", "--set", "train.threads=1", "--json")
    parent = json.loads(call("train", *words)[1])
    status, out, err = call("fork", parent["run_id"], "--at", "20", "--json")
    same = json.loads(out)
    assert status == 0, err
    assert same["weights_sha256"] == parent["weights_sha256"] and same["run_id"] != parent["run_id"]
    status, out, _ = call(
        "fork", parent["run_id"], "--at", "20", "--set", "method.threshold=0.1", "--steps", "35", "--json"
    )
    assert status == 0 and json.loads(out)["steps"] == json.loads(out)["step"] == 35
    assert f"fork run={parent['run_id']} step=20 method.threshold=0.1" in call("show", json.loads(out)["run_id"])[1]
    status, out, err = call("fork", parent["run_id"], "--at", "7")
    assert status == 2 and not out and err.count("\n") == 1 and "10, 20, 30" in err
    status, _, err = call("fork", parent["run_id"], "--set", "data.labels=10")
    assert status == 2 and err.count("\n") == 1 and "data.labels can't change in a fork" in err


def test_a_run_of_an_older_version_is_forked_all_the_same(lab: Lab) -> None:
    """Its checkpoints don't say for which settings the probe's views were drawn: for the run's own."""
    parent = finished(lab)
    path = lab.store.folder(parent.id) / "step-000000020.pt"
    state = checkpoint.load(path)
    del state["probe"]
    checkpoint.save(path.parent, state, path.name)
    made = lab.store.create(cfg.from_dict(parent.config), state=ev.PAUSED)
    checkpoint.save(lab.store.folder(made), state, checkpoint.LAST)
    assert Stay(lab.store, made).advance(threading.Event()) == ev.FINISHED
    for run_id in (made, followed(lab, lab.fork(parent.id, 20)).id):
        assert lab.store.run(run_id).summary["weights_sha256"] == parent.summary["weights_sha256"]
