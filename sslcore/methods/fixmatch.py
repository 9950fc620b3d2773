"""FixMatch (arXiv:2001.07685): a confident prediction on the weak view is the target for the strong view.

    q_b    = p(y | weak(u_b)),  target = argmax q_b          pseudo-label, no gradient
    mask_b = 1 if max q_b >= tau                             kept or not
    loss_x = 1/B sum_b H(y_b, p(y | weak(x_b)))
    loss_u = 1/(mu B) sum_b mask_b H(target_b, p(y | strong(u_b)))
    loss   = loss_x + lambda_u loss_u

The sum in loss_u is divided by all mu B images, kept or not: few confident images mean a small loss. All images pass
through the net together, so that the three parts share their BatchNorm statistics, as in the authors' code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sslcore.clock import Number
from sslcore.config import FixMatchConfig
from sslcore.methods.base import STRONG, WEAK, Batch, Pseudo, StepOutput


class FixMatch(nn.Module):
    labeled_view = WEAK
    unlabeled_views = (WEAK, STRONG)

    def __init__(self, config: FixMatchConfig, num_classes: int, num_unlabeled: int) -> None:
        super().__init__()
        self.config = config

    def step(self, model: nn.Module, batch: Batch, step: Number) -> StepOutput:
        """Return the FixMatch loss of one batch; batch.u holds (weak, strong) views of the same images, in that order."""
        u_w, u_s = batch.u
        logits = model(torch.cat([batch.x, u_w, u_s]))
        logits_x, logits_u_w, logits_u_s = logits.split([len(batch.x), len(u_w), len(u_s)])

        loss_x = F.cross_entropy(logits_x, batch.y)  # Eq. 3
        probs_u = logits_u_w.detach().softmax(dim=-1)  # (mu*B, C)
        confidence, targets_u = probs_u.max(dim=-1)
        mask = (confidence >= self.config.threshold).float()
        loss_u = (F.cross_entropy(logits_u_s, targets_u, reduction="none") * mask).mean()  # Eq. 4
        loss = loss_x + self.config.lambda_u * loss_u

        metrics = {
            "train/loss": loss.detach(),
            "train/loss_x": loss_x.detach(),
            "train/loss_u": loss_u.detach(),
            "train/mask_rate": mask.mean(),
            "train/confidence": confidence.mean(),
        }
        return StepOutput(loss, metrics, Pseudo(targets_u, mask))
