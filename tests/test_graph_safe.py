"""The step as a GPU would capture it: it never waits for the device, and gives the same curve as with plain numbers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sslcore import batches, data, presets
from sslcore import config as cfg
from sslcore.augment import randaugment
from sslcore.clock import at_most, live_numbers, live_words
from sslcore.config import METHOD_NAMES, AugmentConfig, FixMatchConfig, FlexMatchConfig, OptimConfig
from sslcore.ema import Ema
from sslcore.host_copy import HostCopy
from sslcore.methods.mixmatch import ramp
from sslcore.optim import learning_rate
from sslcore.trainer import Trainer
from tests.test_trainer import assert_same

CPU = torch.device("cpu")
# What reads a number off the device, makes a shape of what it finds there, or brings numbers over from the host.
WAITS = {
    "aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::masked_select", "aten::bincount", "aten::unique",
    "aten::_unique2", "aten::unique_consecutive", "aten::equal", "aten::is_nonzero", "aten::repeat_interleave",
    "aten::lift_fresh",
}  # fmt: skip


class NoWaiting(TorchDispatchMode):
    """Raise for an operation that would make the host wait for the device, and count the others."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        assert name not in WAITS, f"{name} waits for the device"
        masks = [part for part in args[1] if part is not None] if name in ("aten::index", "aten::index_put_") else []
        assert all(part.dtype != torch.bool for part in masks), (
            f"{name} with a mask has a shape that depends on the data"
        )
        self.seen.append(name)
        return func(*args, **(kwargs or {}))


def make(method: str, graph_safe: bool, **settings: Any) -> Trainer:
    config = presets.build("smoke", method, {"train.ema_warmup": True, **settings})
    torch.set_num_threads(1)
    return Trainer(config, data.load(config.data), CPU, graph_safe=graph_safe)


def losses(trainer: Trainer, steps: int) -> list[float]:
    return [trainer.train_step()[0].loss.item() for _ in range(steps)]


@pytest.fixture
def every_op(monkeypatch: pytest.MonkeyPatch) -> None:
    """Augment as a GPU does, every operation on every image."""
    monkeypatch.setattr(randaugment, "apply_grouped", randaugment.apply_selected)


@pytest.fixture
def few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "AHEAD", 5)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_step_never_waits_for_the_device(method: str, every_op: None) -> None:
    trainer = make(method, graph_safe=True)
    losses(trainer, 2)  # the first ones make constants and the optimizer's state
    trainer.stream.draw_ahead()
    with NoWaiting() as guard:
        trainer.one_step()
    assert len(guard.seen) > 100


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_checkpoint_is_taken_without_waiting_for_the_device(method: str, few_ahead: None) -> None:
    trainer = make(method, graph_safe=True)
    losses(trainer, 7)
    with NoWaiting() as guard:
        copy = HostCopy({"state": trainer.state_dict(), "finite": trainer.finite()})
    assert len(guard.seen) > 20
    came = copy.get()
    assert_same(came["state"], trainer.state_dict())
    losses(trainer, 1)
    assert came["finite"] and came["state"]["step"] == 7
    moved = {
        name: not torch.equal(came["state"]["model"][name], value) for name, value in trainer.model.state_dict().items()
    }
    assert all(moved.values()), "the copy stays as it was"


def test_the_guard_sees_what_cannot_be_captured() -> None:
    """Grouping by operation reads the sizes of the groups: the CPU's way through the augmentation."""
    trainer = make("fixmatch", graph_safe=True)
    with NoWaiting(), pytest.raises(AssertionError, match="waits for the device"):
        trainer.one_step()
    with NoWaiting(), pytest.raises(AssertionError, match="mask"):
        torch.ones(3)[torch.ones(3) > 0]
    for name, work in {
        "lift_fresh": lambda: torch.tensor([0.5, 0.29]),
        "repeat_interleave": lambda: torch.ones(2).repeat_interleave(torch.ones(2, dtype=torch.int64)),
    }.items():
        with NoWaiting(), pytest.raises(AssertionError, match=f"{name} waits"):
            work()


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_tensors_give_the_curve_of_plain_numbers(method: str, few_ahead: None) -> None:
    plain, safe = make(method, False), make(method, True)
    assert losses(safe, 12) == pytest.approx(losses(plain, 12), rel=1e-5)
    for name, value in plain.ema.model.state_dict().items():
        torch.testing.assert_close(safe.ema.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert safe.meter.names == plain.meter.names
    torch.testing.assert_close(safe.meter.sums, plain.meter.sums, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_state_goes_on_bit_for_bit_with_indices_drawn_ahead(method: str, few_ahead: None) -> None:
    straight, first = make(method, True), make(method, True)
    losses(straight, 14)
    losses(first, 7)
    second = make(method, True)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert_same(first.state_dict(), second.state_dict())
    losses(second, 7)
    assert_same(straight.state_dict(), second.state_dict())


def test_a_live_change_is_written_where_a_captured_step_reads_it() -> None:
    trainer = make("fixmatch", True, **{"method.threshold": 0.0})
    threshold, lr = trainer.method.config.threshold, trainer.optim.lr  # type: ignore[union-attr]
    assert trainer.train_step()[0].metrics["train/mask_rate"] == 1
    trainer.change({"method.threshold": 1.0, "optim.lr": 0.5})
    assert trainer.method.config.threshold is threshold and trainer.optim.lr is lr  # type: ignore[union-attr]
    assert trainer.train_step()[0].metrics["train/mask_rate"] == 0
    assert float(trainer.optimizer.param_groups[0]["lr"]) > 0.4
    assert trainer.state_dict()["optimizer"]["param_groups"][0]["lr"] > 0.4
    assert cfg.get(trainer.config, "method.threshold") == 1.0


@pytest.mark.parametrize("step", [0, 1, 7, 100, 1000])
def test_formulas_of_the_step_agree_in_both_forms(step: int) -> None:
    tensor = torch.tensor(step)
    for config in (OptimConfig(lr=0.03), OptimConfig(lr=0.002, schedule="constant")):
        live = live_numbers(config, CPU)
        assert float(learning_rate(live, tensor, 1000)) == pytest.approx(learning_rate(config, step, 1000))
    assert float(ramp(75.0, 300, tensor)) == pytest.approx(ramp(75.0, 300, step))
    assert float(at_most(tensor / 10, 5.0)) == pytest.approx(at_most(step / 10, 5.0))

    net = torch.nn.Linear(3, 2)
    plain, safe = Ema(net, 0.95, warmup=True), Ema(net, 0.95, warmup=True)
    with torch.no_grad():
        net.weight += 1
    plain.update(net, step)
    safe.update(net, tensor)
    torch.testing.assert_close(safe.model.weight, plain.model.weight)


def test_words_that_may_change_need_a_new_capture() -> None:
    assert live_words(FlexMatchConfig()) == ("convex",) and live_words(FixMatchConfig()) == ()


def test_a_captured_step_keeps_its_table_of_magnitudes() -> None:
    """The graph reads the memory of the table that it was captured with, also after hundreds of others were looked at."""
    shown = AugmentConfig()
    table = randaugment._magnitude_table(shown, 32, 32, CPU)
    for k in range(200):
        randaugment._magnitude_table(AugmentConfig(strength=1 + k / 1000), 32, 32, CPU)
    assert randaugment._magnitude_table(shown, 32, 32, CPU) is table
