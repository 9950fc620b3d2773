"""The averaged weights that are evaluated. Pseudo-labels never come from them: the methods ask the raw model."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Exponential moving average of the parameters; BatchNorm's running statistics are copied, not averaged twice."""

    def __init__(self, model: nn.Module, decay: float, warmup: bool) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay, self.warmup = decay, warmup
        self.updates = 0
        self._parameters = [p.detach() for p in self.model.parameters()]
        self._buffers = list(self.model.buffers())

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards `model` by 1 - decay; with warm-up the decay is min(decay, (1 + t) / (10 + t)) at update t."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1
        torch._foreach_lerp_(self._parameters, [p.detach() for p in model.parameters()], 1 - decay)
        if self._buffers:
            torch._foreach_copy_(self._buffers, list(model.buffers()))
