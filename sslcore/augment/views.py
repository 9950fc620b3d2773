"""The two views of a batch that methods ask for, and the last step from pixels to the network's input."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sslcore.augment.randaugment import StrongDraw, apply_strong, draw_strong
from sslcore.augment.weak import WeakDraw, apply_weak, draw_weak, pad_for
from sslcore.config import AugmentConfig


class WeakViews(NamedTuple):
    """Weak views, uint8 (B, H, W, C), and the chance behind them."""

    images: Tensor
    draw: WeakDraw


class StrongViews(NamedTuple):
    """Strong views, uint8 (B, H, W, C), and the chance behind them."""

    images: Tensor
    weak: WeakDraw
    draw: StrongDraw


def weak_view(images: Tensor, flip: bool, generator: torch.Generator) -> Tensor:
    """Return a weak view of each image, uint8 (B, H, W, C) in and out; `flip`: mirroring keeps the class."""
    return weak_views(images, flip, generator).images


def strong_view(images: Tensor, flip: bool, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return a strong view of each image: weak, then RandAugment, then cutout. uint8 (B, H, W, C) in and out."""
    return strong_views(images, flip, config, generator).images


def weak_views(images: Tensor, flip: bool, generator: torch.Generator) -> WeakViews:
    """Like `weak_view`, and say what was drawn for each image."""
    batch, height, width, _ = images.shape
    pad = pad_for(height, width)
    draw = draw_weak(batch, flip, pad, generator, images.device)
    return WeakViews(apply_weak(images, draw, pad), draw)


def strong_views(images: Tensor, flip: bool, config: AugmentConfig, generator: torch.Generator) -> StrongViews:
    """Like `strong_view`, and say what was drawn for each image."""
    batch, height, width, _ = images.shape
    weak = weak_views(images, flip, generator)
    draw = draw_strong(batch, height, width, config, generator, images.device)
    return StrongViews(apply_strong(weak.images, draw, config), weak.draw, draw)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (images / 255 - mean) / std as float32 (B, C, H, W) in channels_last memory.

    images uint8 (B, H, W, C); mean and std (C,) float32 on the same device, as shares of 255.
    """
    batch, height, width, channels = images.shape
    scale = 1.0 / (255.0 * std)
    # A whole row at once: on a CPU ten times as fast as numbers that change with every third value.
    pixels = images.reshape(batch, height, width * channels).to(torch.float32)
    pixels.mul_(scale.repeat(width)).add_((-mean / std).repeat(width))
    return pixels.view(batch, height, width, channels).permute(0, 3, 1, 2)
