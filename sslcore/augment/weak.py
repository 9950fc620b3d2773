"""The weak view: a horizontal flip where it keeps the class, then a reflect-padded random crop.

Flip with probability 1/2; pad 12.5 % of the side (4 pixels at 32) by reflection and crop at an offset that is uniform
over 0 .. 2 * pad in each direction, both ends included, as in MixMatch and FixMatch (arXiv:2001.07685, 2.3).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

PAD_SHARE = 0.125  # of the shorter side


class WeakDraw(NamedTuple):
    """All chance in the weak views of B images."""

    flip: Tensor  # (B,) bool
    dy: Tensor  # (B,) int64, first row of the crop in the padded image, 0 .. 2 * pad
    dx: Tensor  # (B,) int64, first column


def pad_for(height: int, width: int) -> int:
    """Return the padding in pixels for images of a size."""
    return int(PAD_SHARE * min(height, width) + 0.5)


def draw_weak(batch: int, flip: bool, pad: int, generator: torch.Generator, device: torch.device | str) -> WeakDraw:
    """Draw the weak views of a batch; `flip` says whether any may be flipped. The generator must live on `device`."""
    uniform = torch.rand(batch, 3, generator=generator, device=device)
    offset = (uniform[:, :2] * (2 * pad + 1)).long()
    return WeakDraw((uniform[:, 2] < 0.5) & flip, offset[:, 0], offset[:, 1])


def apply_weak(images: Tensor, draw: WeakDraw, pad: int) -> Tensor:
    """Return the weak views, uint8 (B, H, W, C) in and out; `pad` as in the draw, smaller than either side."""
    batch, height, width, channels = images.shape
    if batch == 0:
        return images
    # A row, its mirror image and their reflected ends in one run of bytes: reflection repeats after 2 * (width - 1)
    # pixels, so both share their ends. Each output row is a window of such a run, and one gather of overlapping
    # windows moves a row at a time instead of a pixel.
    mirrored = images.flip(2)
    length = 2 * (width + pad) - 1
    runs = images.new_empty(batch, height, length, channels)
    runs[:, :, :pad] = mirrored[:, :, width - 1 - pad : width - 1]
    runs[:, :, pad : pad + width] = images
    runs[:, :, pad + width : pad + 2 * width - 1] = mirrored[:, :, 1:]
    runs[:, :, pad + 2 * width - 1 :] = images[:, :, 1 : pad + 1]
    windows = runs.view(-1).as_strided((batch * height * length - width + 1, width * channels), (channels, 1))

    y = (torch.arange(height, device=images.device) + draw.dy[:, None] - pad).abs()  # (B, H), reflected at the top
    y = height - 1 - (height - 1 - y).abs()  # and at the bottom
    x = draw.dx + draw.flip * (width - 1)
    first_row = torch.arange(0, batch * height, height, device=images.device)
    first = (y + first_row[:, None]) * length + x[:, None]
    return windows.index_select(0, first.view(-1)).view_as(images)
