"""MixUp and the Beta numbers behind it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sslcore.augment.mixup import draw_beta, mixup


def test_mixup_weighs_each_row_with_its_own_share() -> None:
    a, b = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    lam = torch.tensor([0.0, 0.25, 0.9, 1.0])
    mixed = mixup(a, b, lam)
    for k in range(4):
        torch.testing.assert_close(mixed[k], lam[k] * a[k] + (1 - lam[k]) * b[k])
    assert torch.equal(mixed[0], b[0]) and torch.equal(mixed[3], a[3])
    labels = mixup(torch.eye(4), torch.eye(4).flip(0), lam)
    torch.testing.assert_close(labels.sum(1), torch.ones(4))


@pytest.mark.parametrize("alpha", [0.05, 0.5, 0.75, 1.0, 2.0, 16.0, 100.0])
def test_beta_has_the_right_moments_and_shape(alpha: float) -> None:
    n = 40_000
    drawn = draw_beta(alpha, n, torch.Generator().manual_seed(1), "cpu").double()
    assert drawn.shape == (n,) and drawn.min() >= 0 and drawn.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(drawn.mean() - 0.5) < 4 * (variance / n) ** 0.5
    fourth = 3 * variance**2 * (2 * alpha + 1) / (2 * alpha + 3)  # central moment of Beta(alpha, alpha)
    assert abs(drawn.var() - variance) < 4 * ((fourth - variance**2) / n) ** 0.5
    # Two-sample Kolmogorov-Smirnov against numpy's generator, one false alarm in 10,000. At a small alpha many
    # numbers are within a rounding error of 0 or 1 and float32 holds fewer of them; round both alike.
    ours = np.sort(drawn.float().numpy())
    numpys = np.sort(np.random.default_rng(2).beta(alpha, alpha, n).astype(np.float32))
    points = np.concatenate([ours, numpys])
    gap = np.abs(np.searchsorted(ours, points, "right") - np.searchsorted(numpys, points, "right")).max() / n
    assert gap < 2.23 * (2 / n) ** 0.5


def test_a_tiny_alpha_gives_zeros_and_ones() -> None:
    drawn = draw_beta(1e-4, 2000, torch.Generator().manual_seed(0), "cpu")
    assert torch.isfinite(drawn).all() and ((drawn < 1e-6) | (drawn > 1 - 1e-6)).float().mean() > 0.99
    assert 0.45 < drawn.mean() < 0.55


def test_the_generator_alone_decides_the_beta_numbers() -> None:
    first, again, other = (draw_beta(0.75, 64, torch.Generator().manual_seed(seed), "cpu") for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
