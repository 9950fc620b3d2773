"""What a window of steps measured, summed where the steps run: a step adds to it and never reads it."""

from __future__ import annotations

import torch
from torch import Tensor

from sslcore.methods.base import StepOutput


class Meter:
    """Sums over the steps since the last `clear`: the method's metrics, and its pseudo-labels against the hidden truth.

    `names`: those of `sums`, one a value. "kept/known": kept pseudo-labels whose truth is known, "kept/right": those of
    them that are right; where there are foreign classes, "seen/foreign": their images, "kept/foreign": those of them that
    were kept. `kept_classes` (C,): kept pseudo-labels of each class. The memory stays the
    same from the first step on, so a captured step adds to it.
    """

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.names: tuple[str, ...] = ()
        self.sums = torch.zeros(0, device=device)
        self.kept_classes = torch.zeros(num_classes, device=device)

    @torch.no_grad()
    def add(self, output: StepOutput, truth: Tensor, foreign: Tensor | None) -> None:
        """Add one step; of the images behind its pseudo-labels: truth (mu * B,) int64, -1 = unknown, and which are foreign, bool."""
        values = dict(output.metrics)
        if output.pseudo is not None:
            targets, mask = output.pseudo
            known = mask * (truth >= 0)
            values |= {"kept/right": (known * (targets == truth)).sum(), "kept/known": known.sum()}
            if foreign is not None:
                values |= {"kept/foreign": (mask * foreign).sum(), "seen/foreign": foreign.sum()}
            self.kept_classes.scatter_add_(0, targets, mask)
        if not self.names:
            self.names = tuple(values)
            self.sums = torch.zeros(len(values), device=self.sums.device)
        self.sums += torch.stack([value.float() for value in values.values()])

    def clear(self, arrays: bool) -> None:
        """Begin the next window; `arrays`: the per-class counts begin anew, too."""
        self.sums.zero_()
        if arrays:
            self.kept_classes.zero_()
