"""FlexMatch (arXiv:2110.08263): FixMatch with a threshold of its own for every class, low while the class is hard.

    sigma_c = number of pool images whose latest confident class (max q >= tau) is c           Eq. 5
    beta_c  = sigma_c / max(max_c sigma_c, number of images without a confident class yet)     Eq. 6, 11
    T_c     = M(beta_c) tau,  M convex: beta / (2 - beta)                                      Eq. 7, 12
    mask_b  = 1 if max q_b >= T_argmax(q_b)                                                    Eq. 8

The fixed tau decides what is recorded, the class threshold what is trained on. At step 0 every T_c is 0, so the mask
rate starts at 100 %: this is intended (all classes get a chance before any is confident). The thresholds come from the
records up to the previous step (Alg. 1).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcore.clock import Number
from sslcore.config import FlexMatchConfig
from sslcore.methods.base import STRONG, WEAK, Batch, Pseudo, StepOutput


class FlexMatch(nn.Module):
    labeled_view = WEAK
    unlabeled_views = (WEAK, STRONG)
    selected: Tensor

    def __init__(self, config: FlexMatchConfig, num_classes: int, num_unlabeled: int) -> None:
        super().__init__()
        self.config, self.num_classes = config, num_classes
        # The latest confident class of every pool image; num_classes = none yet. It is never unset, only overwritten.
        self.register_buffer("selected", torch.full((num_unlabeled,), num_classes, dtype=torch.int64))

    def counts(self) -> Tensor:
        """Return sigma of every class, then the number of unused images: (C + 1,) float."""
        zeros = torch.zeros(self.num_classes + 1, device=self.selected.device)
        return zeros.scatter_add_(0, self.selected, torch.ones_like(self.selected, dtype=zeros.dtype))

    def thresholds(self, counts: Tensor) -> Tensor:
        """Return T of every class from `counts` (C + 1,): (C,) in [0, tau]."""
        sigma, unused = counts[:-1], counts[-1]
        most = torch.maximum(sigma.max(), unused) if self.config.threshold_warmup else sigma.max()
        beta = sigma / most.clamp(min=1)  # nothing recorded: 0, not 0 / 0
        return status_to_share(beta, self.config.mapping) * self.config.threshold

    def keep(self, confidence: Tensor, targets_u: Tensor) -> Tensor:
        """Return which pseudo-labels are kept, (n,) bool: the confidence reaches the threshold of its own class."""
        return confidence >= self.thresholds(self.counts())[targets_u]

    def record(self, u_index: Tensor, targets_u: Tensor, confident: Tensor) -> None:
        """Note the class of every confident image, all (n,); of an image that is there twice, its last confident view counts.

        An unconfident view changes nothing. The winner is chosen, not left to chance, as writing twice to one place would be on a GPU.
        """
        place = torch.arange(len(u_index), device=u_index.device).where(confident, -1)
        last = torch.full_like(self.selected, -1).scatter_reduce_(0, u_index, place, "amax")
        self.selected.copy_(torch.where(last >= 0, targets_u[last.clamp(min=0)], self.selected))

    def step(self, model: nn.Module, batch: Batch, step: Number) -> StepOutput:
        """Return the FlexMatch loss of one batch and record its confident classes."""
        u_w, u_s = batch.u
        logits = model(torch.cat([batch.x, u_w, u_s]))
        logits_x, logits_u_w, logits_u_s = logits.split([len(batch.x), len(u_w), len(u_s)])

        loss_x = F.cross_entropy(logits_x, batch.y)
        probs_u = logits_u_w.detach().softmax(dim=-1)  # (mu*B, C)
        confidence, targets_u = probs_u.max(dim=-1)
        mask = self.keep(confidence, targets_u).float()
        loss_u = (F.cross_entropy(logits_u_s, targets_u, reduction="none") * mask).mean()  # Eq. 8
        loss = loss_x + self.config.lambda_u * loss_u  # Eq. 9

        self.record(batch.u_index, targets_u, confidence >= self.config.threshold)

        metrics = {
            "train/loss": loss.detach(),
            "train/loss_x": loss_x.detach(),
            "train/loss_u": loss_u.detach(),
            "train/mask_rate": mask.mean(),
            "train/confidence": confidence.mean(),
        }
        return StepOutput(loss, metrics, Pseudo(targets_u, mask))


def status_to_share(beta: Tensor, mapping: str) -> Tensor:
    """Map the learning status in [0, 1] to the share of tau, in [0, 1] (Eq. 12 and section 3.3)."""
    if mapping == "convex":
        return beta / (2 - beta)
    if mapping == "concave":
        return torch.log(beta + 1) / math.log(2)
    return beta
