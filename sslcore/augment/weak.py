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
    wide = width + 2 * pad
    # Images padded left and right, and a second time mirrored. Each output row is then one run of bytes of this: the
    # rows are gathered as overlapping windows, which moves a row at a time instead of a pixel.
    both = images.new_empty(2, batch, height, wide, channels)
    padded = both[0]
    padded[:, :, pad : pad + width] = images
    padded[:, :, :pad] = images[:, :, 1 : pad + 1].flip(2)
    padded[:, :, pad + width :] = images[:, :, width - pad - 1 : width - 1].flip(2)
    both[1] = padded.flip(2)
    pixels = 2 * batch * height * wide
    windows = both.view(-1).as_strided((pixels - width + 1, width * channels), (channels, 1))

    rows = torch.arange(height, device=images.device)
    y = (rows + draw.dy[:, None] - pad).abs()  # (B, H), reflected at the top
    y = height - 1 - (height - 1 - y).abs()  # and at the bottom
    image = torch.arange(batch, device=images.device) + draw.flip * batch
    first = (image[:, None] * height + y) * wide + draw.dx[:, None]
    return windows.index_select(0, first.view(-1)).view_as(images)
