"""The two views of a batch that methods ask for, and the last step from pixels to the network's input."""

from __future__ import annotations

import torch
from torch import Tensor

from sslcore.augment.randaugment import apply_strong, draw_strong
from sslcore.augment.weak import apply_weak, draw_weak, pad_for
from sslcore.config import AugmentConfig


def weak_view(images: Tensor, flip: bool, generator: torch.Generator) -> Tensor:
    """Return a weak view of each image, uint8 (B, H, W, C) in and out; `flip`: mirroring keeps the class."""
    batch, height, width, _ = images.shape
    pad = pad_for(height, width)
    return apply_weak(images, draw_weak(batch, flip, pad, generator, images.device), pad)


def strong_view(images: Tensor, flip: bool, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return a strong view of each image: weak, then RandAugment, then cutout. uint8 (B, H, W, C) in and out."""
    batch, height, width, _ = images.shape
    weak = weak_view(images, flip, generator)
    return apply_strong(weak, draw_strong(batch, height, width, config, generator, images.device), config)


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
