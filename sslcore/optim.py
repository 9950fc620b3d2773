"""The optimizers and the learning-rate schedule. Decay touches kernels only; schedules are pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sslcore.clock import Number, cosine
from sslcore.config import OptimConfig


def learning_rate(config: OptimConfig, step: Number, steps: int) -> Number:
    """Return the rate of a step: lr cos(7 pi k / 16 K) (FixMatch, section 2.4), which ends at 0.195 lr, or constant lr."""
    if config.schedule == "constant":
        return config.lr
    return config.lr * cosine(7 * math.pi * step / (16 * steps))


def make_optimizer(model: nn.Module, config: OptimConfig, graph_safe: bool = False) -> torch.optim.Optimizer:
    """Return SGD with Nesterov momentum, or MixMatch's Adam. BatchNorm and biases are never decayed: they have one axis.

    `graph_safe`: the fused ones, which alone of torch's take a learning rate that is a tensor on the device without reading it.
    """
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    foreach, fused = not graph_safe, graph_safe
    optimizer: torch.optim.Optimizer
    if config.name == "adam":
        optimizer = DecoupledAdam(groups, lr=config.lr, foreach=foreach, fused=fused, capturable=graph_safe)
    else:
        nesterov = config.momentum > 0
        optimizer = torch.optim.SGD(
            groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, foreach=foreach, fused=fused
        )
    if graph_safe:
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(config.lr, device=kernels[0].device)
            if group.get("momentum"):  # torch would leave it unset, and so random, if fp16 overflows in the first step
                for p in group["params"]:
                    optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: Number) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


class DecoupledAdam(torch.optim.Adam):
    """Adam, then kernels *= 1 - weight_decay * lr, as in MixMatch's code: the decay never enters Adam's moments."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        result = super().step(closure)
        overflowed = getattr(self, "found_inf", None)  # of fp16: 1 where the step was left out, and the decay with it
        taken = 1 if overflowed is None else 1 - overflowed
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay
            if decay:
                torch._foreach_mul_(group["params"], 1 - decay * group["lr"] * taken)
        return result
