"""A run's stream and graph where there is no GPU: what of them can be told from the order in which they are called."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sslcore import data, graph, lab, presets, session
from sslcore.graph import EAGER, GpuSteps
from sslcore.lab import Lab
from sslcore.store import Store
from sslcore.trainer import Trainer, prepare_gpu

CPU = torch.device("cpu")


class Order:
    """A stream or an event that is always done."""

    def __init__(self) -> None:
        self.waits = 0

    def synchronize(self) -> None:
        self.waits += 1

    def record(self) -> None: ...

    def query(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def stream(monkeypatch: pytest.MonkeyPatch) -> Order:
    stream = Order()
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "Event", lambda blocking: Order())
    return stream


@pytest.fixture
def no_cycles_are_looked_for() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def config(**settings: Any):  # type: ignore[no-untyped-def]
    return presets.build("smoke", "fixmatch", {"train.threads": "1", **settings})


def on_a_played_gpu(graph: str = "off", **settings: Any) -> Trainer:
    made = config(**settings)
    trainer = Trainer(made, data.load(made.data), CPU, graph_safe=True)
    trainer.gpu = prepare_gpu(trainer.generators, dataclasses.replace(made.train, graph=graph), CPU)
    return trainer


@pytest.mark.usefixtures("no_cycles_are_looked_for")
def test_the_memory_of_a_run_that_has_left_is_free_at_once() -> None:
    """Not when Python looks for cycles next, which may be in an hour or while another run is captured."""
    trainer = on_a_played_gpu()
    for _ in range(2):
        trainer.train_step()
    left = weakref.ref(trainer.model)
    del trainer
    assert left() is None


@pytest.mark.usefixtures("no_cycles_are_looked_for")
@pytest.mark.parametrize("runs", [1, 3])
def test_when_the_last_run_has_left_its_memory_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    made: list[weakref.ref[Trainer]] = []
    alive: list[int] = []
    done = threading.Event()

    class Noted(Trainer):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(weakref.ref(self))

    def free_memory() -> None:
        alive.append(sum(each() is not None for each in made))
        done.set()

    monkeypatch.setattr(session, "Trainer", Noted)
    monkeypatch.setattr(lab, "_free_memory", free_memory)
    labs = Lab(Store(tmp_path))
    labs.race([config(**{"train.steps": 6, "train.seed": k}) for k in range(runs)])
    assert done.wait(120)
    labs.close()
    assert len(made) == runs and alive == [0]


def test_a_run_that_fails_ends_its_work_before_its_memory_is_let_go(tmp_path: Path, stream: Order) -> None:
    store = Store(tmp_path)
    stay = session.Stay(store, store.create(config(**{"train.steps": 6})))
    stay.trainer.gpu = GpuSteps(stay.trainer.generators, "off", CPU)
    stay.trainer.train_step = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        stay.advance(threading.Event())
    assert stream.waits == 1


@pytest.mark.parametrize("torch_has_done_it", [False, True])
def test_memory_is_found_again_after_a_capture_that_was_refused(
    monkeypatch: pytest.MonkeyPatch, torch_has_done_it: bool
) -> None:
    ended: list[object] = []

    class Graph:
        def register_generator_state(self, generator: torch.Generator) -> None: ...

    def end(device: int, pool: object) -> None:
        ended.append((device, pool))
        if torch_has_done_it:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")

    def refused() -> None:
        raise ValueError("this can't be captured")

    monkeypatch.setattr(torch.cuda, "graph", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 7))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end, raising=False)
    steps = on_a_played_gpu("auto").gpu
    assert steps is not None
    assert steps.capture(Graph(), lambda: 5) == 5 and not ended  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="can't be captured"):
        steps.capture(Graph(), refused)  # type: ignore[arg-type]
    assert ended == [(1, (0, 7))]


@pytest.mark.parametrize("compiles", [False, True])
def test_no_other_thread_captures_while_a_run_compiles(monkeypatch: pytest.MonkeyPatch, compiles: bool) -> None:
    """It does so in its first step, and waits for the whole device; afterwards a page may time its steps again."""
    monkeypatch.setattr(torch, "compile", lambda features, dynamic: features)
    trainer = on_a_played_gpu(**{"train.compile": compiles})
    step, locked = trainer.one_step, []

    def noted() -> Any:
        locked.append(graph.capturing.locked())
        return step()

    trainer.one_step = noted  # type: ignore[method-assign]
    for _ in range(3):
        trainer.train_step()
    assert locked == [compiles, False, False]
    trainer = on_a_played_gpu(**{"train.compile": True})
    trainer.one_step = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        trainer.train_step()
    assert not graph.capturing.locked()


def test_a_step_that_can_not_be_captured_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chance that was drawn in vain is drawn again, and a captured step's generators draw no more."""

    def refused(self: GpuSteps, graph: object, work: Any) -> None:
        self.generators["augment"].manual_seed(7)  # as if it were left anywhere
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(GpuSteps, "capture", refused)
    plain, refusing = on_a_played_gpu(), on_a_played_gpu("auto")
    curves = [[trainer.train_step()[0].loss.item() for _ in range(EAGER + 3)] for trainer in (plain, refusing)]
    assert curves[0] == curves[1] and refusing.gpu is not None
    told = "the step could not be captured: RuntimeError: operation not permitted when stream is capturing"
    assert (refusing.gpu.told, refusing.gpu.graph) == (told, None)
