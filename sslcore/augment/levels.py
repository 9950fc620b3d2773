"""The operations that give every level of a channel a new one, equal to Pillow's on uint8 images.

Images are uint8 (B, H, W, C), channels last; C = 3 equals Pillow's mode RGB, C = 1 its mode L. `value` is (B,) float32,
one for each image; `fill` is not used here, it only keeps one signature for all operations. No function draws a random
number, waits for the device or has a shape that depends on the data, so all of them fit in a CUDA graph.
Whole numbers are kept in float32 only where they stay below 2^24, so the results are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslcore.augment.numbers import LEVELS, to_uint8, wide_dtype


def identity(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Return the images themselves."""
    return images


def autocontrast(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Stretch each channel so that its darkest pixel becomes 0 and its lightest 255; `value` is not used."""
    return remap(images, (len(images), 0))


def equalize(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Flatten the histogram of each channel; `value` is not used."""
    return remap(images, (0, len(images)))


def posterize(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Keep the highest bits of every pixel; value = bits kept, whole numbers 1 to 8 (8 = no change)."""
    mask = torch.full_like(value, -LEVELS, dtype=torch.int32).bitwise_right_shift_(value.to(torch.int32))
    return images & mask.to(torch.uint8).view(-1, 1, 1, 1)


def solarize(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Invert the pixels at or above a threshold; value in [0, 256] (256 = no change)."""
    threshold = value.ceil().to(torch.int16).view(-1, 1, 1, 1)
    above = images.to(torch.int16) >= threshold
    return images ^ above.view(torch.uint8).mul_(255)


def remap(images: Tensor, sizes: Sequence[int]) -> Tensor:
    """Remap two groups of images, one behind the other in the batch, `sizes` images in each: autocontrast, equalize."""
    stretched, flattened = sizes
    levels, entries = level_rows(images)
    tables = [autocontrast_tables(levels[:stretched], images.shape[3])] if stretched else []
    if flattened:
        tables.append(equalize_tables(entries[stretched:], images.shape[3], stretched))
    return look_up(torch.cat(tables), entries).view_as(images)


def level_rows(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images' levels and where each of these stands in flat tables (B, C, 256), both (B, H, W * C) int32.

    A CPU works through whole rows ten times as fast as through numbers that change with every third value.
    """
    batch, height, width, channels = images.shape
    levels = images.reshape(batch, height, width * channels).to(torch.int32)
    first = torch.arange(0, batch * channels * LEVELS, LEVELS, device=images.device, dtype=torch.int32)
    first = first.view(batch, 1, 1, channels).expand(batch, 1, width, channels).reshape(batch, 1, -1)
    return levels, levels + first


def look_up(tables: Tensor, entries: Tensor) -> Tensor:
    """Return what stands in uint8 tables at each entry, (B * H * W * C,)."""
    return tables.view(-1).index_select(0, entries.view(-1))


def autocontrast_tables(levels: Tensor, channels: int) -> Tensor:
    """Return the tables (B, C, 256) uint8 that stretch each channel to the full range, from levels (B, H, W * C)."""
    low = levels.amin(1).view(len(levels), -1, channels).amin(1)  # (B, C)
    high = levels.amax(1).view(len(levels), -1, channels).amax(1)
    flat = high <= low  # no change
    wide = wide_dtype(levels.device)
    low, high = low.masked_fill_(flat, 0).to(wide), high.masked_fill_(flat, LEVELS - 1).to(wide)
    # Scale and offset apart, and a true division (255.0 / x would multiply by a reciprocal), to round as Pillow does.
    scale = torch.full_like(high, 255.0).div_(high - low).unsqueeze(2)
    tables = torch.arange(LEVELS, device=levels.device, dtype=wide) * scale
    return to_uint8(tables.sub_(low.unsqueeze(2) * scale))


def equalize_tables(entries: Tensor, channels: int, before: int = 0) -> Tensor:
    """Return the tables (B, C, 256) uint8 that flatten the histogram of each channel.

    entries (B, H, W * C) as from level_rows, for images with `before` others in front of them.
    """
    batch, height, row = entries.shape
    counted = entries.reshape(-1).to(torch.int64)  # scatter_add_ takes no other
    histogram = torch.zeros((before + batch) * channels * LEVELS, device=entries.device)
    histogram.scatter_add_(0, counted, torch.ones(len(counted), device=entries.device))
    histogram = histogram[before * channels * LEVELS :].view(batch, channels, LEVELS)
    up_to = histogram.cumsum(2)  # pixels at or below each level
    # Pillow's step: the pixels without those of the lightest level, shared among 255 levels.
    below_lightest = torch.where(up_to < height * row // channels, up_to, 0.0).amax(2, keepdim=True)
    # Half a pixel added before a division keeps the quotient of two integers away from the rounding border.
    step = ((below_lightest + 0.5) / 255.0).floor_()
    start = (step * 0.5).floor_().add_(0.5)
    tables = (up_to - histogram).add_(start).div_(step.clamp(min=1.0)).clamp_(max=255.0).to(torch.uint8)
    return torch.where(step > 0, tables, torch.arange(LEVELS, device=entries.device, dtype=torch.uint8))
