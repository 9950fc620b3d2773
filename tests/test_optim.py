"""Schedules, decay and averaging against the arithmetic written out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sslcore.config import OptimConfig
from sslcore.ema import Ema
from sslcore.models.norm import BatchNorm
from sslcore.optim import learning_rate, make_optimizer


def test_cosine_starts_at_lr_and_ends_at_0_195() -> None:
    config = OptimConfig(lr=0.03)
    assert learning_rate(config, 0, 1000) == 0.03
    assert learning_rate(config, 1000, 1000) == pytest.approx(0.03 * 0.19509, rel=1e-4)
    assert learning_rate(config, 500, 1000) == pytest.approx(0.03 * math.cos(7 * math.pi / 32))
    assert learning_rate(OptimConfig(lr=0.002, schedule="constant"), 700, 1000) == 0.002


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.norm = BatchNorm(2, 0.1)
        self.head = nn.Linear(2, 2)


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def set_gradients(model: nn.Module, value: float) -> None:
    for p in model.parameters():
        p.grad = torch.full_like(p, value)


def test_sgd_decays_kernels_only_with_nesterov() -> None:
    model = net()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make_optimizer(model, OptimConfig(lr=0.1, momentum=0.9, weight_decay=0.01))
    set_gradients(model, 0.5)
    optimizer.step()
    for name, p in model.named_parameters():
        gradient = 0.5 + (0.01 * before[name] if p.ndim > 1 else 0.0)
        torch.testing.assert_close(
            p.detach(), before[name] - 0.1 * (gradient + 0.9 * gradient)
        )  # first step: buffer = gradient


def test_adam_decays_kernels_after_the_step_by_a_multiple_of_lr() -> None:
    model, twin = net(), net()
    ours = make_optimizer(model, OptimConfig(name="adam", lr=0.002, weight_decay=0.02))
    plain = torch.optim.Adam(twin.parameters(), lr=0.002)
    for k in range(5):
        set_gradients(model, 0.1 * k - 0.2)
        set_gradients(twin, 0.1 * k - 0.2)
        ours.step()
        plain.step()
        with torch.no_grad():
            for p in twin.parameters():
                if p.ndim > 1:
                    p.mul_(1 - 0.02 * 0.002)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("warmup", [True, False])
def test_ema_equals_the_formula_and_copies_buffers(warmup: bool) -> None:
    model = net()
    ema = Ema(model, 0.9, warmup)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for t in range(30):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(t)))
        model.norm(torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(t)))
        ema.update(model, t)
        decay = min(0.9, (1 + t) / (10 + t)) if warmup else 0.9
        for name, p in model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.detach()
    for name, p in ema.model.named_parameters():
        torch.testing.assert_close(p, expected[name])
    assert torch.equal(ema.model.norm.running_mean, model.norm.running_mean)
    assert not any(p.requires_grad for p in ema.model.parameters()) and not ema.model.training


def test_one_step_of_training_moves_every_kernel() -> None:
    model = net()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = make_optimizer(model, OptimConfig())
    x = torch.randn(8, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model.head(model.norm(model.conv(x)).mean(dim=(2, 3)) ** 2), torch.arange(8) % 2).backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
