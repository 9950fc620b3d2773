"""The five operations that move pixels, equal to Pillow's nearest-neighbour `rotate` and `transform(AFFINE)`.

Images are uint8 (B, H, W, C), channels last; `value` is (B,) float32, one for each image; `fill` is the grey level
(0-255) of what comes from outside the frame. Pillow walks the output pixel by pixel in 16.16 fixed point; here the same
integers are formed for all pixels of all images at once, and one gather moves them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcore.augment.numbers import wide_dtype

MOVE_NAMES = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")  # the rows of `amounts`


def rotate(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Turn around the centre; value in degrees, counter-clockwise."""
    return _move(images, 0, value, fill)


def shear_x(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Take row y from `value * y` pixels further right."""
    return _move(images, 1, value, fill)


def shear_y(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Take column x from `value * x` pixels further down."""
    return _move(images, 2, value, fill)


def translate_x(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Move left by `value` pixels."""
    return _move(images, 3, value, fill)


def translate_y(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Move up by `value` pixels."""
    return _move(images, 4, value, fill)


def _move(images: Tensor, row: int, value: Tensor, fill: int) -> Tensor:
    amounts = torch.zeros(len(MOVE_NAMES), len(value), device=value.device)
    amounts[row] = value
    return warp(images, inverse_maps(amounts, images.shape[1], images.shape[2]), fill)


def inverse_maps(amounts: Tensor, height: int, width: int) -> Tensor:
    """Return Pillow's six coefficients from output to input pixel, (6, ...) int32 in 1/65536 of a pixel.

    amounts (5, ...) float32, rows as in MOVE_NAMES, for each image at most one not zero; all zero = no change.
    The third and sixth coefficient hold the input position of the centre of the output's first pixel.
    """
    wide = amounts.to(wide_dtype(amounts.device))
    shear_x, shear_y = wide[1], wide[2]
    moves = (wide[3:] + 0.5).floor_()  # Pillow translates by whole pixels, halves rounded up
    radians = wide[0] * (-math.pi / 180)
    cos, sin = radians.cos(), radians.sin()
    x, y = 0.5 - width / 2, 0.5 - height / 2  # from the centre of the image to that of its first pixel
    first_x = (cos * x).add_(sin, alpha=y).add_(shear_x, alpha=0.5).add_(moves[0]).add_(width / 2)
    first_y = (cos * y).sub_(sin, alpha=x).add_(shear_y, alpha=0.5).add_(moves[1]).add_(height / 2)
    maps = torch.stack((cos, sin + shear_x, first_x, shear_y - sin, cos, first_y))
    return maps.mul_(65536.0).add_(0.5).floor_().to(torch.int32)


def warp(images: Tensor, maps: Tensor, fill: int) -> Tensor:
    """Take each pixel from where its image's column of `maps` (6, B) int32 says, or `fill` from outside the frame."""
    batch, height, width, channels = images.shape
    a0, a1, a2, a3, a4, a5 = maps.unsqueeze(-1).unbind(0)  # each (B, 1)
    x = torch.arange(width, device=images.device, dtype=torch.int32)
    y = x if height == width else torch.arange(height, device=images.device, dtype=torch.int32)
    x_in = (a0 * x)[:, None, :] + (a1 * y + a2)[:, :, None]  # (B, H, W)
    y_in = (a3 * x)[:, None, :] + (a4 * y + a5)[:, :, None]
    # Whatever lies outside lands on a frame of one pixel of `fill`.
    x_in.bitwise_right_shift_(16).clamp_(-1, width)
    y_in.bitwise_right_shift_(16).clamp_(-1, height)
    framed = F.pad(images, (0, 0, 1, 1, 1, 1), value=fill)
    area = (height + 2) * (width + 2)
    first = torch.arange(width + 3, width + 3 + batch * area, area, device=images.device, dtype=torch.int32)
    where = y_in.mul_(width + 2).add_(x_in).add_(first[:, None, None]).view(-1)
    source = framed.view(-1, channels) if channels > 1 else framed.view(-1)  # one dimension is gathered faster than two
    return source.index_select(0, where).view_as(images)
