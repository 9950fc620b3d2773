"""Supervised baseline: cross-entropy on the weakly augmented labelled images, nothing else.

Same optimizer, schedule, averaging of weights and number of steps as FixMatch and FlexMatch, so that the difference is
what the unlabelled images give; MixMatch has its paper's Adam.

    loss = 1/B sum_b H(y_b, p(y | weak(x_b)))
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from sslcore.clock import Number
from sslcore.config import SupervisedConfig
from sslcore.methods.base import WEAK, Batch, StepOutput


class Supervised(nn.Module):
    labeled_view = WEAK
    unlabeled_views: tuple[str, ...] = ()

    def __init__(self, config: SupervisedConfig, num_classes: int, num_unlabeled: int) -> None:
        super().__init__()
        self.config = config

    def step(self, model: nn.Module, batch: Batch, step: Number) -> StepOutput:
        """Return the supervised loss of one batch."""
        loss_x = F.cross_entropy(model(batch.x), batch.y)
        return StepOutput(loss_x, {"train/loss": loss_x.detach(), "train/loss_x": loss_x.detach()}, None)
