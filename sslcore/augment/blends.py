"""The operations that blend an image with a duller one, equal to Pillow's ImageEnhance on uint8 images.

Images are uint8 (B, H, W, C), channels last; C = 3 equals Pillow's mode RGB, C = 1 its mode L. `value` is the factor,
(B,) float32 >= 0, one for each image: 1 = no change, below towards the duller image, above away from it. `fill` is not
used here, it only keeps one signature for all operations. No chance, no wait for the device, no shape that depends on
the data. Whole numbers are kept in float32 only where they stay below 2^24, so the results are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslcore.augment.numbers import to_uint8


def brightness(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with black."""
    return enhance(images, value, (len(images), 0, 0, 0))


def color(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with the image in grey; grey images stay as they are."""
    return enhance(images, value, (0, len(images), 0, 0))


def contrast(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with the image's mean grey."""
    return enhance(images, value, (0, 0, len(images), 0))


def sharpness(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with a smoothed image."""
    return enhance(images, value, (0, 0, 0, len(images)))


def enhance(images: Tensor, factor: Tensor, sizes: Sequence[int]) -> Tensor:
    """Enhance four groups of images, one behind the other in the batch, `sizes` images in each.

    The groups: brightness, color, contrast, sharpness.
    """
    pixels = images.float()
    degenerate = torch.empty_like(pixels)
    black, grey, mean, smoothed = degenerate.split(list(sizes))
    black.zero_()
    if sizes[1] or sizes[2]:
        in_grey = luma(pixels[sizes[0] : sizes[0] + sizes[1] + sizes[2]])
        grey.copy_(in_grey[: sizes[1]])
        mean.copy_(mean_grey(in_grey[sizes[1] :]))
    if sizes[3]:
        smoothed.copy_(smooth(pixels[len(pixels) - sizes[3] :]))
    return blend(pixels, degenerate, factor)


def blend(pixels: Tensor, degenerate: Tensor, factor: Tensor) -> Tensor:
    """Return degenerate + factor * (pixels - degenerate), clipped and truncated to uint8.

    Both are float32 whole numbers, pixels (B, H, W, C), degenerate of a shape that broadcasts to it. Three roundings in
    this order, as in Pillow's C code; a factor of 1 returns the pixels exactly.
    """
    return to_uint8((pixels - degenerate).mul_(factor[:, None, None, None]).add_(degenerate))


def luma(pixels: Tensor) -> Tensor:
    """Return float32 images (B, H, W, C) in grey, (B, H, W, 1), with Pillow's 16-bit weights of ITU-R 601."""
    if pixels.shape[3] == 1:
        return pixels
    red, green, blue = pixels.split(1, dim=3)
    weighted = (red * 19595.0).add_(green, alpha=38470.0).add_(blue, alpha=7471.0).add_(32768.0)  # < 2^24: exact
    return weighted.mul_(1.0 / 65536.0).floor_()


def mean_grey(grey: Tensor) -> Tensor:
    """Return the mean of whole grey levels (B, H, W, 1), halves rounded up, as (B, 1, 1, 1) float32."""
    count = grey.shape[1] * grey.shape[2]
    total = grey.to(torch.int32).sum(dim=(1, 2, 3), keepdim=True)  # int64: the same on every device
    return torch.div(2 * total + count, 2 * count, rounding_mode="floor").float()


def smooth(pixels: Tensor) -> Tensor:
    """Return float32 images (B, H, W, C) after Pillow's SMOOTH filter (3 x 3, centre 5, sum 13); the border stays."""
    three = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    nine = three[:, :, :-2] + three[:, :, 1:-1] + three[:, :, 2:]
    smoothed = pixels.clone()
    # Thirteenths plus a half are never whole, so rounding errors can't move the floor.
    smoothed[:, 1:-1, 1:-1] = nine.add_(pixels[:, 1:-1, 1:-1], alpha=4).add_(6.5).div_(13.0).floor_()
    return smoothed
