"""Slow twins of the augmentation: the draws of a batch, carried out image by image in Pillow and numpy."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from sslcore.augment.magnitudes import FILLS, PRESETS
from sslcore.augment.ops import OP_NAMES
from sslcore.augment.pillow_twin import pillow_cutout, pillow_op, to_pillow
from sslcore.augment.randaugment import StrongDraw
from sslcore.augment.weak import WeakDraw
from sslcore.config import AugmentConfig

# Elsewhere compilers fuse Pillow's multiplications with its additions, which may move a pixel by one level.
EXACT = platform.machine().lower() in ("x86_64", "amd64")


def strong(images: Tensor, draw: StrongDraw, config: AugmentConfig) -> Tensor:
    preset = PRESETS[config.preset]
    frame_fill = preset.frame_fill if config.fill is None else FILLS[config.fill]
    cutout_fill = preset.cutout_fill if config.fill is None else FILLS[config.fill]
    views = []
    for pixels, ops, values, applied, box in zip(images, *draw, strict=True):
        image = to_pillow(pixels.numpy())
        for op, value, apply in zip(ops.tolist(), values.tolist(), applied.tolist(), strict=True):
            if apply:
                image = pillow_op(image, OP_NAMES[op], value, frame_fill)
        top, left, bottom, right = box.tolist()
        if bottom > top and right > left:
            image = pillow_cutout(image, (left, top, right - 1, bottom - 1), cutout_fill)
        views.append(np.asarray(image).reshape(pixels.shape))
    return torch.from_numpy(np.stack(views))


def weak(images: Tensor, draw: WeakDraw, pad: int) -> Tensor:
    height, width = images.shape[1:3]
    views = []
    for pixels, flip, dy, dx in zip(images.numpy(), *(part.tolist() for part in draw), strict=True):
        image = pixels[:, ::-1] if flip else pixels
        padded = np.pad(image, [(pad, pad), (pad, pad), (0, 0)], mode="reflect")
        views.append(padded[dy : dy + height, dx : dx + width])
    return torch.from_numpy(np.stack(views))


def pictures(channels: int, height: int = 32, width: int = 32) -> Tensor:
    """Return 48 images of four kinds: noise, gradients, scanned digits, and ones with few levels or a single one."""
    generator = torch.Generator().manual_seed(channels)
    noise = torch.randint(0, 256, (12, height, width, channels), generator=generator, dtype=torch.uint8)
    ramp = torch.arange(height)[:, None] * 3 + torch.arange(width) * 4
    slopes = torch.randint(-3, 4, (12, 1, 1, channels), generator=generator)
    gradients = (ramp[None, :, :, None] * slopes + 90).remainder(256).to(torch.uint8)
    scans = torch.from_numpy(load_digits().images[: 12 * channels]) * 15.9375  # 0-16 to 0-255
    scans = scans.view(12, channels, 8, 8).permute(0, 2, 3, 1).repeat_interleave(4, 1).repeat_interleave(4, 2)
    digits = torch.zeros(12, height, width, channels, dtype=torch.uint8)
    digits[:, :32, :32] = scans.to(torch.uint8)[:, :height, :width]
    few = torch.randint(0, 3, (12, height, width, channels), generator=generator, dtype=torch.uint8) * 40 + 77
    few[6:9] = 133
    few[9:, : height // 2] = 0
    return torch.cat([noise, gradients, digits, few])


def assert_equals_pillow(ours: Tensor, pillows: Tensor) -> None:
    assert ours.dtype == torch.uint8 and ours.shape == pillows.shape
    difference = (ours.int() - pillows.int()).abs()
    if EXACT:
        assert int((difference > 0).sum()) == 0
    else:
        assert float((difference > 1).float().mean()) <= 1e-3


def assert_frequencies(counts: Sequence[int] | Tensor, shares: Sequence[float] | None = None) -> None:
    """Pearson's chi-square against `shares` (equal ones by default), with less than one false alarm in 10,000."""
    observed = torch.as_tensor(counts).double()
    expected = torch.as_tensor(shares).double() if shares is not None else torch.ones_like(observed)
    expected = expected / expected.sum() * observed.sum()
    assert float(expected.min()) >= 5, "too few draws for a chi-square test"
    freedom = len(observed) - 1
    statistic = float(((observed - expected) ** 2 / expected).sum())
    # Wilson and Hilferty: the cube root of chi-square / freedom is nearly normal.
    score = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    assert score < 3.72, f"chi-square {statistic:.1f} with {freedom} degrees of freedom: {observed.tolist()}"
