"""The two views of a batch that methods ask for, and the last step from pixels to the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from sslcore.augment.randaugment import StrongDraw, apply_strong, draw_strong
from sslcore.augment.weak import WeakDraw, apply_weak, draw_weak, pad_for
from sslcore.config import AugmentConfig

Draw = TypeVar("Draw", WeakDraw, StrongDraw)


class WeakViews(NamedTuple):
    """Weak views, uint8 (B, H, W, C), and the chance behind them."""

    images: Tensor
    draw: WeakDraw


class StrongViews(NamedTuple):
    """Strong views, uint8 (B, H, W, C), and the chance behind them."""

    images: Tensor
    weak: WeakDraw
    draw: StrongDraw


class ViewDraw(NamedTuple):
    """All chance in the views of B images: of the weak view, and of what a strong view does to it."""

    weak: WeakDraw
    strong: StrongDraw | None  # None: the weak view


def draw_view(
    strong: bool, batch: int, height: int, width: int, flip: bool, config: AugmentConfig, generator: torch.Generator
) -> ViewDraw:
    """Draw the views of a batch of images of a size; `flip`: mirroring keeps the class. On the generator's device."""
    weak = draw_weak(batch, flip, pad_for(height, width), generator, generator.device)
    return ViewDraw(weak, draw_strong(batch, height, width, config, generator, generator.device) if strong else None)


def apply_view(images: Tensor, draw: ViewDraw, config: AugmentConfig) -> Tensor:
    """Return the drawn views of images, uint8 (B, H, W, C) in and out: weak, then for a strong one RandAugment and cutout."""
    weak = apply_weak(images, draw.weak, pad_for(images.shape[1], images.shape[2]))
    return weak if draw.strong is None else apply_strong(weak, draw.strong, config)


def joined(draws: Sequence[ViewDraw]) -> ViewDraw:
    """Return the draws of several batches, all weak or all strong, as that of one."""
    weak, strong = zip(*draws, strict=True)
    first = strong[0]
    return ViewDraw(_cat(weak), None if first is None else _cat(strong))


def _cat(draws: Sequence[Draw]) -> Draw:
    return draws[0] if len(draws) == 1 else type(draws[0])(*map(torch.cat, zip(*draws, strict=True)))


def weak_view(images: Tensor, flip: bool, generator: torch.Generator) -> Tensor:
    """Return a weak view of each image, uint8 (B, H, W, C) in and out; `flip`: mirroring keeps the class."""
    return weak_views(images, flip, generator).images


def strong_view(images: Tensor, flip: bool, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return a strong view of each image: weak, then RandAugment, then cutout. uint8 (B, H, W, C) in and out."""
    return strong_views(images, flip, config, generator).images


def weak_views(images: Tensor, flip: bool, generator: torch.Generator) -> WeakViews:
    """Like `weak_view`, and say what was drawn for each image."""
    pad = pad_for(images.shape[1], images.shape[2])
    draw = draw_weak(len(images), flip, pad, generator, images.device)
    return WeakViews(apply_weak(images, draw, pad), draw)


def strong_views(images: Tensor, flip: bool, config: AugmentConfig, generator: torch.Generator) -> StrongViews:
    """Like `strong_view`, and say what was drawn for each image."""
    batch, height, width, _ = images.shape
    draw = draw_view(True, batch, height, width, flip, config, generator)
    assert draw.strong is not None
    return StrongViews(apply_view(images, draw, config), draw.weak, draw.strong)


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
