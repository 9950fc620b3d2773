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

from sslcore.augment.colour import wide_dtype

AFFINE_NAMES = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")  # the rows of `amounts`


def rotate(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Turn around the centre; value in degrees, counter-clockwise."""
    return warp(images, _amounts(0, value), fill)


def shear_x(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Take row y from `value * y` pixels further right."""
    return warp(images, _amounts(1, value), fill)


def shear_y(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Take column x from `value * x` pixels further down."""
    return warp(images, _amounts(2, value), fill)


def translate_x(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Move left by `value` pixels."""
    return warp(images, _amounts(3, value), fill)


def translate_y(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Move up by `value` pixels."""
    return warp(images, _amounts(4, value), fill)


def _amounts(row: int, value: Tensor) -> Tensor:
    amounts = torch.zeros(len(AFFINE_NAMES), len(value), device=value.device)
    amounts[row] = value
    return amounts


def warp(images: Tensor, amounts: Tensor, fill: int) -> Tensor:
    """Move the pixels of each image by its column of `amounts`.

    amounts (5, B) float32, rows as in AFFINE_NAMES, at most one of them not zero in a column; all zero = no change.
    """
    batch, height, width, channels = images.shape
    a0, a1, a2, a3, a4, a5 = inverse_maps(amounts, height, width).unsqueeze(-1).unbind(0)  # each (B, 1)
    x = torch.arange(width, device=images.device, dtype=torch.int32)
    y = torch.arange(height, device=images.device, dtype=torch.int32)
    x_in = (a0 * x)[:, None, :] + (a1 * y + a2)[:, :, None]  # (B, H, W), source column in 1/65536 pixels
    y_in = (a3 * x)[:, None, :] + (a4 * y + a5)[:, :, None]
    # Whatever lies outside lands on a frame of one pixel of `fill`.
    x_in.bitwise_right_shift_(16).clamp_(-1, width)
    y_in.bitwise_right_shift_(16).clamp_(-1, height)
    framed = F.pad(images, (0, 0, 1, 1, 1, 1), value=fill)
    first = torch.arange(batch, device=images.device, dtype=torch.int32) * ((height + 2) * (width + 2)) + width + 3
    where = y_in.mul_(width + 2).add_(x_in).add_(first[:, None, None]).view(-1)
    source = framed.view(-1, channels) if channels > 1 else framed.view(-1)  # one dimension is gathered faster than two
    return source.index_select(0, where).view_as(images)


def inverse_maps(amounts: Tensor, height: int, width: int) -> Tensor:
    """Return Pillow's six coefficients from output to input pixel, (6, B) int32 in 1/65536.

    Row 2 and 5 hold the input position of the centre of the output's first pixel.
    """
    angle, shear_x, shear_y, move_x, move_y = amounts.to(wide_dtype(amounts.device)).unbind(0)
    radians = angle * (-math.pi / 180)
    cos, sin = radians.cos(), radians.sin()
    centre_x, centre_y = width / 2, height / 2
    a0, a1, a3, a4 = cos, sin + shear_x, shear_y - sin, cos
    # A pure translation isn't fixed-point in Pillow: it moves by whole pixels, halves rounded up.
    a2 = cos * -centre_x + sin * -centre_y + centre_x + (move_x + 0.5).floor_() + a0 * 0.5 + a1 * 0.5
    a5 = sin * centre_x + cos * -centre_y + centre_y + (move_y + 0.5).floor_() + a3 * 0.5 + a4 * 0.5
    return torch.stack((a0, a1, a2, a3, a4, a5)).mul_(65536.0).add_(0.5).floor_().to(torch.int32)
