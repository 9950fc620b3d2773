"""The averaged weights that are evaluated. Pseudo-labels never come from them: the methods ask the raw model."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sslcore.clock import Number, at_most


class Ema:
    """Exponential moving average of the parameters; BatchNorm's running statistics are copied, not averaged twice."""

    def __init__(self, model: nn.Module, decay: float, warmup: bool) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay, self.warmup = decay, warmup
        self._parameters = [p.detach() for p in self.model.parameters()]
        self._buffers = list(self.model.buffers())

    @torch.no_grad()
    def update(self, model: nn.Module, step: Number) -> None:
        """Move towards `model` by 1 - decay; with warm-up the decay is min(decay, (1 + t) / (10 + t)) at step t."""
        decay = at_most((1 + step) / (10 + step), self.decay) if self.warmup else self.decay
        _move(self._parameters, [p.detach() for p in model.parameters()], 1 - decay)
        if self._buffers:
            torch._foreach_copy_(self._buffers, list(model.buffers()))


def _move(places: list[Tensor], targets: list[Tensor], share: Number) -> None:
    """Move tensors by a share of the way to their targets."""
    if isinstance(share, Tensor):  # lerp takes one only in the size of each tensor
        way = torch._foreach_sub(targets, places)
        torch._foreach_mul_(way, share)
        torch._foreach_add_(places, way)
    else:
        torch._foreach_lerp_(places, targets, share)
