"""train.compile: refused where it can't be, told what it took, and the same curve as without."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch._dynamo.exc import TorchDynamoException

from dashboard import curve_queries, text, text_curves
from sslcore import console, cost, data, precision, presets, sweep
from sslcore import events as ev
from sslcore.__main__ import main
from sslcore.config import METHOD_NAMES, ConfigError
from sslcore.lab import Lab
from sslcore.session import evaluate_run
from sslcore.store import Store
from sslcore.sweep import Plan
from sslcore.trainer import Trainer
from tests.fill_store import fill
from tests.pages import APP
from tests.pages import store as store
from tests.test_lab import wait

CPU = torch.device("cpu")


@pytest.mark.parametrize("named", [None, "no-such-compiler"])
def test_without_a_compiler_no_run_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str | None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    if named:
        monkeypatch.setenv("CXX", named)
    root = tmp_path / "runs"
    assert main(["train", "--preset", "smoke", "--set", "train.compile=yes", "--root", str(root)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "train.compile yes needs a compiler (g++, " in told and "Traceback" not in told
    assert (f"CXX names '{named}'" if named else "this machine has none") in told
    assert not Store(root).runs()


def test_a_gpu_needs_a_compiler_for_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(precision.shutil, "which", lambda name: name if name == "g++" else None)
    precision.check_compiler(CPU)
    with pytest.raises(ConfigError, match=r"needs a compiler \(gcc, clang, cc, cl, or another named by CC\)"):
        precision.check_compiler(torch.device("cuda"))


def test_a_net_that_can_not_be_compiled_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(features: object, dynamic: bool) -> object:
        def call(x: torch.Tensor) -> torch.Tensor:
            raise TorchDynamoException("\n  the compiler's own words\nand many lines more")

        return call

    monkeypatch.setattr(torch, "compile", refused)
    lab = Lab(Store(tmp_path))
    run = wait(lab, lab.start(presets.build("smoke", "fixmatch", {"train.compile": True})), ev.FAILED, ev.FINISHED)
    lab.close()
    assert (run.state, run.error) == (ev.FAILED, "train.compile can't be yes here: the compiler's own words")


def test_what_compiling_took_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda features, dynamic: features)
    lab = Lab(Store(tmp_path))
    run = wait(lab, lab.start(presets.build("smoke", "fixmatch", {"train.compile": True})), ev.FINISHED)
    plain = wait(lab, lab.start(presets.build("smoke", "fixmatch")), ev.FINISHED)
    lab.close()
    assert 0 < run.summary["compile_seconds"] < run.seconds and "compile_seconds" not in plain.summary
    took = f"(the first step took {run.summary['compile_seconds']:.1f} s, compiling included)"
    assert took in console.sentence(run) and "compiling" not in console.sentence(plain)
    monkeypatch.setenv("CXX", "no-such-compiler")  # to evaluate it nothing is compiled
    assert evaluate_run(lab.store, run.id)["test_accuracy"] == run.summary["test_accuracy"]


def test_the_page_says_that_it_compiles_and_what_it_took(store: Store) -> None:
    run_id = fill(store, ev.RUNNING)

    def captions() -> list[str]:
        at = AppTest.from_file(str(APP), default_timeout=60)
        at.query_params["run"] = run_id
        return [part.value for part in at.run().caption]

    assert not {text.COMPILING, text.COMPILED.format("26 s")} & set(captions())
    config = store.run(run_id).config
    store.update(run_id, config=config | {"train": config["train"] | {"compile": True}})
    assert text.COMPILING in captions()
    store.update(run_id, summary=store.run(run_id).summary | {"compile_seconds": 26.1})
    assert text.COMPILED.format("26 s") in captions() and text.COMPILING not in captions()


def test_a_sweeps_cost_is_timed_without_compiling(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take longer than an answer may, and on a GPU wait for the whole device while a run is captured."""
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("it is compiled"))
    plan = Plan("smoke", ("fixmatch",), (10,), (0,), {"train.compile": True})
    measured = cost.measure(sweep.cells(plan))
    now = curve_queries.look(plan, [])
    assert curve_queries.seconds_left(now, [], measured) == (30 * measured[now.grid[0].kind], text_curves.UNCOMPILED)
    fill(store, ev.FINISHED, config=now.grid[0].config)  # its steps count now, compiled as they were
    other = curve_queries.look(dataclasses.replace(plan, labels=(20,)), [])
    assert curve_queries.seconds_left(other, store.runs(), measured)[1] == ""
    plain = curve_queries.look(dataclasses.replace(plan, settings={}), [])
    assert curve_queries.seconds_left(plain, [], {plain.grid[0].kind: 1.0}) == (30.0, "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="needs a compiler"):  # as a run of it would say
        cost.measure(sweep.cells(plan))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_compiled_run_follows_one_that_is_not(method: str) -> None:
    curves = []
    for compiled in (False, True):
        settings = {"model.net": "wrn", "model.depth": 10, "model.widen_factor": 1, "train.compile": compiled}
        config = presets.build("smoke", method, settings)
        trainer = Trainer(config, data.load(config.data), CPU)
        curves.append([trainer.train_step()[0].loss.item() for _ in range(3)])
    assert curves[0] != curves[1]
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)
