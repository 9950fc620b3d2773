"""MixMatch (arXiv:1905.02249): guess by averaging weak views, sharpen, then mix everything with everything.

    q_b  = sharpen(1/K sum_k p(y | weak_k(u_b)), T),  sharpen(p, T)_i = p_i^(1/T) / sum_j p_j^(1/T)      Eq. 6, 7
    W    = shuffle(X and the K views of U);  lambda ~ Beta(alpha, alpha);  lambda' = max(lambda, 1 - lambda)
    x'   = lambda' x + (1 - lambda') w, the labels likewise, one lambda per image                      Eq. 8 - 11
    loss = 1/|X'| sum H(y', p(x')) + lambda_u(step) 1/(C |U'|) sum |q' - p(u')|^2                      Eq. 3 - 5

lambda_u rises linearly from 0. The batches are interleaved before the net, so that BatchNorm sees mixed batches of B;
of a step's forward passes only the first interleaved one updates the running statistics (as in the authors' code).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcore.augment.mixup import mixup
from sslcore.clock import Number, at_most
from sslcore.config import MixMatchConfig
from sslcore.methods.base import WEAK, Batch, Pseudo, StepOutput
from sslcore.models.norm import frozen_statistics


class MixMatch(nn.Module):
    labeled_view = WEAK

    def __init__(self, config: MixMatchConfig, num_classes: int, num_unlabeled: int) -> None:
        super().__init__()
        self.config, self.num_classes = config, num_classes
        self.unlabeled_views = (WEAK,) * config.views

    def step(self, model: nn.Module, batch: Batch, step: Number) -> StepOutput:
        """Return the MixMatch loss of one batch; batch.u holds K weak views, batch.mix the draws for all (1 + K) B images."""
        assert batch.mix is not None
        with torch.no_grad(), frozen_statistics(model):
            probs_u = torch.stack([model(u).softmax(dim=-1) for u in batch.u]).mean(dim=0)  # Eq. 6, (B, C)
            targets_u = sharpen(probs_u, self.config.temperature)  # Eq. 7

        inputs = torch.cat([batch.x, *batch.u])  # ((1 + K) * B, ...)
        one_hot = batch.y[:, None] == torch.arange(self.num_classes, device=batch.y.device)
        targets = torch.cat([one_hot.to(targets_u.dtype), *[targets_u] * len(batch.u)])
        lam = torch.maximum(batch.mix.lam, 1 - batch.mix.lam)  # Eq. 9: closer to the first, so labelled stays labelled
        inputs = mixup(inputs, inputs[batch.mix.permutation], lam)  # Eq. 10, 11
        targets = mixup(targets, targets[batch.mix.permutation], lam)

        first, *rest = interleave(list(inputs.chunk(1 + len(batch.u))))
        logits = [model(first)]
        with frozen_statistics(model):
            logits += [model(part) for part in rest]
        logits_x, *logits_u = interleave(logits)  # interleaving is its own inverse

        num_x = len(batch.x)
        loss_x = F.cross_entropy(logits_x, targets[:num_x])  # Eq. 3, soft targets
        probs = torch.cat(logits_u).softmax(dim=-1)
        loss_u = (probs - targets[num_x:]).square().mean()  # Eq. 4: the mean runs over classes too
        lambda_u = ramp(self.config.lambda_u, self.config.ramp_steps, step)
        loss = loss_x + lambda_u * loss_u  # Eq. 5

        confidence, guesses = probs_u.max(dim=-1)
        metrics = {
            "train/loss": loss.detach(),
            "train/loss_x": loss_x.detach(),
            "train/loss_u": loss_u.detach(),
            "train/confidence": confidence.mean(),
            "optim/lambda_u": lambda_u * torch.ones_like(loss_u.detach()),
        }
        return StepOutput(loss, metrics, Pseudo(guesses, torch.ones_like(confidence)))  # MixMatch keeps every guess


def sharpen(probs: Tensor, temperature: Number) -> Tensor:
    """Return p^(1/T) / sum p^(1/T) for probs (..., C) that sum to 1; T = 1 changes nothing, T -> 0 gives the argmax."""
    # In logs: p^(1/T) underflows to 0 / 0 for small T. The floor keeps log(0) finite and can't win.
    return (probs.clamp(min=torch.finfo(probs.dtype).tiny).log() / temperature).softmax(dim=-1)


def interleave(parts: list[Tensor]) -> list[Tensor]:
    """Swap slice k of part 0 with slice k of part k, k >= 1: every part then holds labelled and unlabelled images.

    The slices share each part's (B, ...) as evenly as possible, the remainder going to the last ones. Its own inverse.
    """
    size, remainder = divmod(len(parts[0]), len(parts))
    lengths = [size + (k >= len(parts) - remainder) for k in range(len(parts))]
    slices = [list(part.split(lengths)) for part in parts]
    for k in range(1, len(parts)):
        slices[0][k], slices[k][k] = slices[k][k], slices[0][k]
    return [torch.cat(part) for part in slices]


def ramp(lambda_u: Number, ramp_steps: int, step: Number) -> Number:
    """Return the weight of loss_u at a step: linear from 0 to lambda_u over ramp_steps."""
    return lambda_u * at_most(step / ramp_steps, 1.0) if ramp_steps else lambda_u
