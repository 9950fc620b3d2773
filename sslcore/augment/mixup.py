"""MixUp (arXiv:1710.09412) of two batches and the Beta numbers that it mixes them with."""

from __future__ import annotations

import torch
from torch import Tensor

_TRIES = 8  # each accepts with a chance above 0.95, so all fail once in 10^10


def mixup(a: Tensor, b: Tensor, lam: Tensor) -> Tensor:
    """Return lam * a + (1 - lam) * b; lam (B,) holds one share for each row of a and b (B, ...)."""
    lam = lam.view(-1, *[1] * (a.dim() - 1))
    return lam * a + (1.0 - lam) * b


def draw_beta(alpha: float, n: int, generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Draw n float32 numbers in [0, 1] from Beta(alpha, alpha), alpha > 0; the generator must live on `device`.

    torch.distributions can't take a generator. Two Gamma(alpha + 1) numbers by Marsaglia and Tsang (2000), a fixed
    number of tries side by side instead of a loop, brought down to Gamma(alpha) as logarithms, so that a small alpha
    can't underflow.
    """
    d = alpha + 1.0 - 1.0 / 3.0
    normal = torch.randn(2, n, _TRIES, generator=generator, device=device)
    uniform = 1.0 - torch.rand(2, n, _TRIES + 1, generator=generator, device=device)  # (0, 1]: its logarithm is finite
    log_v = 3.0 * (1.0 + normal / (9.0 * d) ** 0.5).clamp(min=1e-30).log()
    accepted = uniform[..., 1:].log() < 0.5 * normal**2 + d * (1.0 - log_v.exp() + log_v)
    first = accepted.to(torch.int32).argmax(dim=2, keepdim=True)
    log_gamma = log_v.gather(2, first).squeeze(2) + uniform[..., 0].log() / alpha
    return torch.sigmoid(log_gamma[0] - log_gamma[1])
