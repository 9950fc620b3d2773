"""The command line as other tools call it: exit statuses, one JSON value, one sentence for bad usage."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sslcore import bench, config, console, lab, presets
from sslcore import events as ev
from sslcore.__main__ import main
from sslcore.batches import MOST
from sslcore.console import result
from sslcore.store import Store
from sslcore.trainer import Trainer
from tests.fill_store import fill

FIELDS = {
    "run_id", "status", "method", "data", "labels", "seed", "step", "steps", "seconds", "seconds_per_step", "images_per_s",
    "test_accuracy", "test_accuracy_raw", "weights_sha256", "device", "threads", "preset",
}  # fmt: skip


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run a command on a root of its own; return (exit status, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([*words, "--root", str(tmp_path)])
        except SystemExit as exit:
            status = int(exit.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def train(call: Any, *words: str) -> dict[str, Any]:
    status, out, err = call("train", "--preset", "smoke", "--set", "train.threads=1", "--json", *words)
    assert status == 0, err
    return json.loads(out)


def test_train_evaluate_show_runs_delete(call: Any, tmp_path: Path) -> None:
    found = train(
        call, "--method", "fixmatch", "--labels", "30", "--seed", "4", "--steps", "12", "--set", "optim.lr=0.05"
    )
    assert set(found) >= FIELDS
    assert (found["status"], found["method"], found["labels"], found["seed"], found["step"]) == (
        "finished",
        "fixmatch",
        30,
        4,
        12,
    )
    assert (
        found["threads"] == 1
        and found["device"] == "cpu"
        and found["preset"] == "smoke"
        and len(found["weights_sha256"]) == 64
    )
    assert found["seconds_per_step"] == pytest.approx(found["seconds"] / 12)

    status, out, _ = call("evaluate", found["run_id"], "--json")
    again = json.loads(out)
    assert status == 0 and {k: again[k] for k in ("test_accuracy", "test_accuracy_raw", "weights_sha256")} == {
        k: found[k] for k in ("test_accuracy", "test_accuracy_raw", "weights_sha256")
    }
    status, out, _ = call("resume", found["run_id"], "--json")
    assert status == 0 and json.loads(out) == found, "resuming a finished run prints its object"
    status, out, _ = call("runs", "--json")
    assert status == 0 and json.loads(out) == [found]
    status, out, _ = call("show", found["run_id"][:-2], "--json")
    shown = json.loads(out)
    assert shown["config"]["optim"]["lr"] == 0.05 and [e["state"] for e in shown["events"]] == [
        "queued",
        "running",
        "finished",
    ]
    for words in (("runs",), ("show", found["run_id"])):
        status, out, _ = call(*words)
        assert status == 0 and found["run_id"] in out
        assert words == ("runs",) or "optim.lr = 0.05" in out
    status, out, _ = call("delete", found["run_id"], "--json")
    assert status == 0 and json.loads(out)["deleted"] is True
    assert Store(tmp_path).runs() == []


def test_what_other_tools_read_of_a_run_are_its_own_numbers(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = store.create(presets.build("smoke", "fixmatch", {"train.seed": 4}), preset="smoke")
    told = result(store.run(run_id))
    assert set(told) >= FIELDS and told["run_id"] == run_id and told["status"] == "queued"
    assert (told["step"], told["steps"], told["seconds"], told["seed"]) == (0, 30, 0.0, 4)
    nothing = {name for name, value in told.items() if value is None}
    numbers = {
        "test_accuracy": 0.5, "test_accuracy_raw": 0.25, "test_balanced_accuracy": 0.75, "best_val_accuracy": 0.625,
        "weights_sha256": "0" * 64, "device": "cpu", "threads": 3,
    }  # fmt: skip
    assert nothing == {*numbers, "seconds_per_step", "images_per_s"}
    store.update(run_id, step=10, seconds=4.0, summary={**numbers, "images_per_step": 50, "test_accuracy_at_best": 0.9})
    told = result(store.run(run_id))
    assert {name: told[name] for name in numbers} == numbers
    assert (told["step"], told["steps"], told["seconds"]) == (10, 30, 4.0)
    assert (told["seconds_per_step"], told["images_per_s"]) == (0.4, 125.0)


def test_same_command_same_weights(call: Any) -> None:
    a, b = (train(call, "--method", "mixmatch", "--steps", "8") for _ in range(2))
    assert a["run_id"] != b["run_id"] and a["weights_sha256"] == b["weights_sha256"]
    assert train(call, "--method", "mixmatch", "--steps", "8", "--seed", "1")["weights_sha256"] != a["weights_sha256"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "--method", "fixmach"], ["method", "fixmach", "fixmatch"]),
        (["train", "--labels", "five"], ["data.labels", "five", "whole number"]),
        (["train", "--labels", "5"], ["data.labels", "5", "10"]),
        (["train", "--labels", "100000"], ["data.labels", "100,000", "1,437"]),
        (["train", "--method", "mixmatch", "--labels", "1437"], ["data.labels", "1,437"]),
        (["train", "--preset", "nope"], ["preset", "nope", "digits-lesson"]),
        (["train", "--set", "optim.lr"], ["NAME=VALUE", "optim.lr"]),
        (["train", "--set", "optim.speed=1"], ["optim.speed", "optim.lr"]),
        (["train", "--set", "method.threshold=2"], ["method.threshold", "2", "0.0 to 1.0"]),
        (["train", "--data", "imagenet"], ["data.source", "imagenet", "folder:PATH"]),
        (["train", "--data", "folder:/not/here"], ["/not/here"]),
        (["train", "--device", "tpu"], ["train.device", "tpu", "cpu"]),
        (["train", "--set", "train.device=cpu", "--set", "train.precision=fp16"], ["train.precision", "fp16", "bf16"]),
        (["train", "--set", "train.device=cpu", "--set", "train.graph=on"], ["train.graph", "cpu", "auto"]),
        (["train", "--method", "fixmatch", "--set", "method.name=mixmatch"], ["method.name", "fixmatch", "mixmatch"]),
        (["bench", "--device", "tpu"], ["train.device", "tpu", "cpu"]),
        (["bench", "--only", "ceilings"], ["--only", "--gpu"]),
        (["bench", "--data", "digits"], ["--data", "--gpu"]),
        (["sweep", "--preset", "smoke", "--parallel", "\u00b2"], ["--parallel", "auto", "64"]),
        (["sweep", "--preset", "smoke", "--methods", "supervised,"], ["methods", "flexmatch", "''"]),
        (["sweep", "--preset", "smoke", "--labels", ""], ["labels", "whole numbers"]),
        (["train", "--nonsense"], ["--nonsense"]),
        (["resume", "nobody"], ["nobody"]),
        (["evaluate", "nobody"], ["nobody"]),
        (["set", "nobody", "method.threshold=0.5"], ["nobody"]),
        (["frobnicate"], ["frobnicate"]),
        (["data", "nowhere"], ["data.source", "nowhere"]),
    ],
)
def test_bad_usage_is_status_2_and_at_most_two_lines(
    call: Any, words: list[str], told: list[str], tmp_path: Path
) -> None:
    status, out, err = call(*words)
    assert status == 2 and out == ""
    assert len(err.strip().splitlines()) <= 2, err
    assert all(word in err for word in told), err
    assert Store(tmp_path).runs() == [], "nothing is left behind"


def test_a_failed_run_is_status_1_with_its_traceback(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from sslcore.methods.supervised import Supervised

    def broken(*_: object) -> None:
        raise RuntimeError("a shape that nobody expected")

    monkeypatch.setattr(Supervised, "step", broken)
    status, out, err = call("train", "--preset", "smoke", "--method", "supervised", "--json")
    assert status == 1 and json.loads(out)["status"] == "failed" and "a shape that nobody expected" in err


def test_ctrl_c_stops_with_a_checkpoint_and_resume_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sslcore"]
    settings = [
        "--set",
        "train.threads=1",
        "--set",
        "train.evals=1",
        "--steps",
        "100000",
        "--root",
        str(tmp_path),
        "--json",
    ]
    child = subprocess.Popen(
        [*command, "train", "--preset", "smoke", *settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    store = Store(tmp_path)
    deadline = time.monotonic() + 60
    while not any(run.step > 3 for run in store.runs()) and time.monotonic() < deadline:
        time.sleep(0.02)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert time.monotonic() - began < 5
    found = json.loads(out)
    assert child.returncode == 130 and found["status"] == "stopped"
    assert f"python -m sslcore resume {found['run_id']}" in err
    assert (tmp_path / found["run_id"] / "last.pt").exists()


def test_a_second_ctrl_c_does_not_wait_for_the_step_in_hand(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, go_on, presses = threading.Event(), threading.Event(), iter((True, True))
    train_step = Trainer.train_step

    def long_step(trainer: Trainer) -> Any:
        at_work.set()
        go_on.wait(60)
        return train_step(trainer)

    def sleep(seconds: float) -> None:
        assert at_work.wait(60)
        assert next(presses), "it waited on"
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, "EXIT_WAIT", 0.1)
    monkeypatch.setattr(Trainer, "train_step", long_step)
    monkeypatch.setattr(console, "time", SimpleNamespace(sleep=sleep))
    status, out, err = call("train", "--preset", "smoke", "--json")
    go_on.set()
    found = json.loads(out)
    assert (status, found["status"], found["step"]) == (130, "stopping", 0)
    assert f"python -m sslcore resume {found['run_id']}" in err


def test_help_lists_only_what_is_built_and_needs_no_torch() -> None:
    code = "import sys; from sslcore.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("False")
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("    ") and not line.startswith("     ")}
    for command in (
        "train",
        "resume",
        "evaluate",
        "runs",
        "show",
        "delete",
        "pause",
        "stop",
        "set",
        "bench",
        "data",
        "export",
        "import",
        "predict",
        "pseudo-labels",
        "to-label",
    ):
        assert command in listed


def test_a_value_that_a_run_has_already_is_no_change(call: Any, tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = fill(store, ev.PAUSED, "fixmatch", points=1, frames=False)
    status, out, err = call("set", run_id, "method.threshold=0.95", "--json")
    assert (status, err) == (0, "method.threshold=0.95 holds already: nothing was changed\n")
    assert json.loads(out)["run_id"] == run_id and not store.waiting_commands(run_id)
    status, _, err = call("set", run_id, "method.threshold=0.5")
    assert (status, err) == (0, "") and len(store.waiting_commands(run_id)) == 1


def test_data_describes_a_source(call: Any) -> None:
    status, out, _ = call("data", "digits", "--json")
    found = json.loads(out)
    assert status == 0 and sum(found["classes"].values()) == 1437 and sum(found["test"].values()) == 360
    assert call("data")[1].count("\n") == len(config.DATA_SOURCES)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--steps", "-3", "a whole number from 1 to 1,000,000"),
        ("--steps", "x", "a whole number from 1 to 1,000,000"),
        ("--seconds", "nan", "a number from 0 to 86,400"),
        ("--threads", "-1", "a whole number from 0 to 1,024"),
    ],
)
def test_bench_says_what_it_can_not_take(call: Any, option: str, value: str, allowed: str) -> None:
    status, out, err = call("bench", "--net", "lesson", "--method", "supervised", option, value)
    assert status == 2 and out == ""
    assert f"{option} must be {allowed}, got '{value}'" in err and err.count("\n") == 1


def test_bench_measures_what_it_says(call: Any) -> None:
    words = ["bench", "--net", "lesson", "--method", "fixmatch", "--steps", "3", "--seconds", "1", "--threads", "1"]
    status, out, err = call(*words, "--json")
    found = json.loads(out)
    assert status == 0, err
    (row,) = found["steps"]
    assert row["method"] == "fixmatch" and row["timed_steps"] == 3 * MOST, (
        "three rounds of steps whose pictures are made at once"
    )
    assert row["images_per_s"] == pytest.approx(row["images_per_step"] / row["seconds_per_step"])
    assert row["fastest"] <= row["seconds_per_step"] <= row["slowest"]
    assert found["augmentation"][0]["ratio"] > 1
    assert "fixmatch" in bench.table(found)
