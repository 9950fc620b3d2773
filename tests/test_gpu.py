"""What only a GPU can show: a captured step gives the numbers of the same step taken as it stands, also after a resume and beside others."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from sslcore import data, presets
from sslcore.config import METHOD_NAMES
from sslcore.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def same_kernels() -> Iterator[None]:
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = False


def make(method: str, **settings: Any) -> Trainer:
    small = {"data.source": "digits", "data.labels": 40, "model.depth": 10, "train.steps": 200, "train.batch": 16}
    config = presets.build("cifar10-tutorial", method, small | {"train.precision": "fp32", **settings})
    return Trainer(config, data.load(config.data), CUDA)


def losses(trainer: Trainer, steps: int) -> list[float]:
    return [trainer.train_step()[0].loss.item() for _ in range(steps)]


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_captured_equals_eager(method: str) -> None:
    eager, captured = make(method, **{"train.graph": "off"}), make(method, **{"train.graph": "on"})
    assert losses(captured, 50) == pytest.approx(losses(eager, 50), rel=1e-4)
    assert (
        captured.gpu is not None
        and captured.gpu.graph is not None
        and eager.gpu is not None
        and eager.gpu.graph is None
    )
    torch.testing.assert_close(captured.meter.sums, eager.meter.sums, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_run_resumed_on_a_gpu_goes_on(method: str) -> None:
    straight, first = make(method), make(method)
    expected = losses(straight, 30)
    losses(first, 17)
    second = make(method)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert losses(second, 13) == pytest.approx(expected[17:], rel=1e-4)


def test_a_changed_knob_acts_in_a_captured_step() -> None:
    trainer = make("fixmatch", **{"method.threshold": 0.0})
    losses(trainer, 8)
    assert trainer.train_step()[0].metrics["train/mask_rate"] == 1
    graph = trainer.gpu.graph  # type: ignore[union-attr]
    trainer.change({"method.threshold": 1.0})
    assert trainer.train_step()[0].metrics["train/mask_rate"] < 1
    assert graph is not None and trainer.gpu.graph is graph  # type: ignore[union-attr]


def test_a_changed_word_is_captured_anew() -> None:
    trainer = make("flexmatch")
    losses(trainer, 8)
    trainer.change({"method.mapping": "linear"})
    assert trainer.gpu.graph is None  # type: ignore[union-attr]
    losses(trainer, 8)
    assert trainer.gpu.graph is not None  # type: ignore[union-attr]


def test_several_runs_on_streams_of_their_own_have_the_numbers_they_have_alone() -> None:
    alone = [losses(make(method), 20)[-1] for method in METHOD_NAMES]
    together = [make(method) for method in METHOD_NAMES]
    last: dict[int, torch.Tensor] = {}
    for _ in range(20):
        for k, trainer in enumerate(together):
            with trainer.at_work(join=False):
                last[k] = trainer.train_step()[0].loss
    torch.cuda.synchronize()
    assert [float(last[k]) for k in range(4)] == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_captured_and_learns(precision: str) -> None:
    trainer = make("fixmatch", **{"train.precision": precision, "train.graph": "on"})
    curve = losses(trainer, 60)
    assert trainer.gpu is not None and trainer.gpu.graph is not None
    assert sum(curve[-10:]) < sum(curve[:10])
