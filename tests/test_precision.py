"""Half precision for the net alone, and fp16's loss scale: on a CPU, with the arithmetic that a GPU uses."""

from __future__ import annotations

import copy

import pytest
import torch

from sslcore import data, presets
from sslcore.config import ConfigError, OptimConfig
from sslcore.models.lesson_net import LessonNet
from sslcore.optim import DecoupledAdam, make_optimizer
from sslcore.precision import HalfNet, LossScale, choose_precision, wrapped
from sslcore.trainer import Trainer

CPU = torch.device("cpu")


def net() -> LessonNet:
    model = LessonNet(8, 10, channels=1)
    model.init_weights(torch.Generator().manual_seed(0))
    return model


def test_auto_is_bf16_on_a_gpu_and_fp32_elsewhere() -> None:
    for device, expected in (("cpu", "fp32"), ("cuda", "bf16"), ("mps", "fp32")):
        assert choose_precision("auto", torch.device(device)) == expected
    assert choose_precision("fp16", torch.device("cuda")) == "fp16"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((12, 0), "bf16")])
def test_auto_is_fp16_on_a_gpu_that_is_older_than_bf16(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", torch.device("cuda")) == expected
    assert choose_precision("bf16", torch.device("cuda")) == "bf16" and choose_precision("auto", CPU) == "fp32"


def test_what_a_device_cannot_do_is_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"train\.precision must be auto, fp32 or bf16 on cpu, got 'fp16'"):
        choose_precision("fp16", CPU)
    config = presets.build("smoke", "fixmatch", {"train.graph": "on"})
    with pytest.raises(ConfigError, match=r"train\.graph can only be on with a CUDA device, got cpu"):
        Trainer(config, data.load(config.data), CPU)


def test_only_the_features_are_in_half_precision() -> None:
    model, x = net(), torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    seen: list[torch.dtype] = []
    model.convs[1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    model.head.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    logits = wrapped(model, "bf16")(x)
    assert seen == [torch.bfloat16, torch.float32] and logits.dtype == torch.float32
    torch.testing.assert_close(logits, model(x), rtol=0.05, atol=0.05)
    assert wrapped(model, "fp32") is model
    assert not wrapped(model.eval(), "bf16").training
    assert all(p.dtype == torch.float32 for p in HalfNet(model, "bf16").parameters())


def test_a_run_in_bf16_follows_that_in_fp32() -> None:
    curves = []
    for precision in ("fp32", "bf16"):
        config = presets.build("smoke", "fixmatch", {"train.precision": precision})
        trainer = Trainer(config, data.load(config.data), CPU)
        curves.append([trainer.train_step()[0].loss.item() for _ in range(6)])
    assert curves[0] != curves[1]
    assert curves[1] == pytest.approx(curves[0], rel=0.05)


def set_gradients(model: LessonNet, value: float) -> None:
    for p in model.parameters():
        p.grad = torch.full_like(p, value)


def test_the_loss_scale_divides_skips_and_adapts() -> None:
    plain, model = net(), net()
    expected = make_optimizer(plain, OptimConfig(lr=0.1), graph_safe=True)
    optimizer, scale = make_optimizer(model, OptimConfig(lr=0.1), graph_safe=True), LossScale(CPU)
    set_gradients(plain, 0.5)
    set_gradients(model, 0.5 * float(scale.scale))
    scale.guard(optimizer)
    expected.step()
    optimizer.step()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)

    before, was = copy.deepcopy(model.state_dict()), float(scale.scale)
    set_gradients(model, 1.0)
    model.head.bias.grad = torch.full_like(model.head.bias, torch.inf)
    scale.guard(optimizer)
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert float(scale.scale) == was / 2 and int(scale.good) == 0

    other = LossScale(CPU)
    other.load_state_dict(copy.deepcopy(scale.state_dict()))
    assert float(other.scale) == was / 2


def test_an_overflow_in_the_first_step_leaves_nothing_behind() -> None:
    """The largest scale comes first, so that step overflows often: the momentum must begin with the first good one."""
    plain, model = net(), net()
    expected = make_optimizer(plain, OptimConfig(lr=0.1))
    optimizer, scale = make_optimizer(model, OptimConfig(lr=0.1), graph_safe=True), LossScale(CPU)
    set_gradients(model, torch.inf)
    scale.guard(optimizer)
    optimizer.step()
    for value in (0.5, -0.25):
        set_gradients(plain, value)
        set_gradients(model, value * float(scale.scale))
        scale.guard(optimizer)
        expected.step()
        optimizer.step()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_adam_decays_nothing_in_a_step_that_overflowed() -> None:
    plain, model = net(), net()
    expected = DecoupledAdam(plain.parameters(), lr=0.1, weight_decay=0.5)
    optimizer, scale = DecoupledAdam(model.parameters(), lr=0.1, weight_decay=0.5, fused=True), LossScale(CPU)
    for value in (0.5, torch.inf, -0.25, torch.inf):
        set_gradients(model, value * float(scale.scale))
        scale.guard(optimizer)
        optimizer.step()
        if value != torch.inf:
            set_gradients(plain, value)
            expected.step()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)
