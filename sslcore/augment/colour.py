"""The nine operations that leave every pixel in its place, equal to Pillow's on uint8 images.

Images are uint8 (B, H, W, C), channels last; C = 3 equals Pillow's mode RGB, C = 1 its mode L. `value` is (B,) float32,
one for each image; `fill` is not used here, it only keeps one signature for all operations. No function draws a random
number, waits for the device or has a shape that depends on the data, so all of them fit in a CUDA graph.
Integers are kept in float32 only where they stay below 2^24, so the results are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 256  # grey levels of a uint8 channel


def wide_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype for the few numbers that Pillow computes as double: float64, on Apple's GPU (has none) float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def identity(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Return the images themselves."""
    return images


def autocontrast(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Stretch each channel so that its darkest pixel becomes 0 and its lightest 255; `value` is not used."""
    batch, height, width, channels = images.shape
    pixels = images.reshape(batch, height * width, channels)
    low, high = torch.aminmax(pixels, dim=1, keepdim=True)  # (B, 1, C)
    flat = high <= low
    wide = wide_dtype(images.device)
    low, high = low.masked_fill(flat, 0).to(wide), high.masked_fill(flat, 255).to(wide)  # flat: no change
    # Scale and offset apart, and a true division (255.0 / x would multiply by a reciprocal), to round as Pillow does.
    scale = torch.full_like(high, 255.0).div_(high - low)
    offset = -low * scale
    return _to_uint8((pixels.to(wide) * scale).add_(offset)).view_as(images)


def equalize(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Flatten the histogram of each channel; `value` is not used."""
    batch, height, width, channels = images.shape
    rows = torch.arange(batch * channels, device=images.device).view(batch, 1, channels) * LEVELS
    where = (images.reshape(batch, height * width, channels) + rows).view(-1)  # int64 (B*H*W*C,): row of image and channel
    histogram = torch.zeros(batch * channels * LEVELS, device=images.device)
    histogram = histogram.scatter_add_(0, where, torch.ones(len(where), device=images.device)).view(-1, LEVELS)
    up_to = histogram.cumsum(1)  # pixels at or below each level
    # Pillow's step: the pixels without those of the lightest level, shared among 255 levels.
    below_lightest = torch.where(up_to < height * width, up_to, 0.0).amax(1, keepdim=True)
    # Half a pixel added before a division keeps the quotient of two integers away from the rounding border.
    step = ((below_lightest + 0.5) / 255.0).floor_()
    start = (step * 0.5).floor_()
    table = ((up_to - histogram + start + 0.5) / step.clamp(min=1.0)).floor_().clamp_(max=255.0)
    table = torch.where(step > 0, table, torch.arange(LEVELS, device=images.device, dtype=table.dtype))
    return table.to(torch.uint8).view(-1).index_select(0, where).view_as(images)


def posterize(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Keep the highest bits of every pixel; value = bits kept, whole numbers 1 to 8 (8 = no change)."""
    dropped = torch.ones_like(value, dtype=torch.int32) << (8 - value.to(torch.int32))
    return images & (LEVELS - dropped).to(torch.uint8)[:, None, None, None]


def solarize(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Invert the pixels at or above a threshold; value in [0, 256] (256 = no change)."""
    threshold = value.ceil().to(torch.int16)[:, None, None, None]
    above = images.to(torch.int16) >= threshold
    return images ^ (above.view(torch.uint8) * 255)


def brightness(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with black; value = factor >= 0 (1 = no change)."""
    return blend(images.float(), torch.zeros((), device=images.device), value)


def color(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with the image in grey; value = factor >= 0 (1 = no change). Grey images stay as they are."""
    return blend(images.float(), luma(images).float(), value)


def contrast(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with the image's mean grey; value = factor >= 0 (1 = no change)."""
    return blend(images.float(), mean_grey(luma(images)), value)


def sharpness(images: Tensor, value: Tensor, fill: int) -> Tensor:
    """Blend with a smoothed image; value = factor >= 0 (1 = no change)."""
    pixels = images.float()
    return blend(pixels, smooth(pixels), value)


def blend(pixels: Tensor, degenerate: Tensor, factor: Tensor) -> Tensor:
    """Return degenerate + factor * (pixels - degenerate), clipped and truncated to uint8.

    Both are float32 whole numbers, pixels (B, H, W, C), degenerate of a shape that broadcasts to it. Three roundings in
    this order, as in Pillow's C code; a factor of 1 returns the pixels exactly.
    """
    return _to_uint8((pixels - degenerate).mul_(factor[:, None, None, None]).add_(degenerate))


def luma(images: Tensor) -> Tensor:
    """Return the images in grey, (B, H, W, 1) int32 0-255, with Pillow's 16-bit weights of ITU-R 601."""
    pixels = images.to(torch.int32)
    if images.shape[3] == 1:
        return pixels
    red, green, blue = pixels.split(1, dim=3)
    return (red * 19595 + green * 38470).add_(blue * 7471).add_(0x8000).bitwise_right_shift_(16)


def mean_grey(grey: Tensor) -> Tensor:
    """Return the mean of int32 grey images (B, H, W, 1), halves rounded up, as (B, 1, 1, 1) float32."""
    count = grey.shape[1] * grey.shape[2]
    total = grey.sum(dim=(1, 2, 3), keepdim=True)  # int64: whole numbers, so the same on every device
    return torch.div(2 * total + count, 2 * count, rounding_mode="floor").float()


def smooth(pixels: Tensor) -> Tensor:
    """Return float32 images (B, H, W, C) after Pillow's SMOOTH filter (3 x 3, centre 5, sum 13); the border stays."""
    three = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    nine = three[:, :, :-2] + three[:, :, 1:-1] + three[:, :, 2:]
    smoothed = pixels.clone()
    # Thirteenths plus a half are never whole, so rounding errors can't move the floor.
    smoothed[:, 1:-1, 1:-1] = nine.add_(pixels[:, 1:-1, 1:-1], alpha=4).add_(6.5).div_(13.0).floor_()
    return smoothed


def _to_uint8(pixels: Tensor) -> Tensor:
    """Clip to 0-255 and cut the fraction off, in place."""
    # By way of int16: five times as fast on a CPU as from float to uint8 at once.
    return pixels.clamp_(0.0, 255.0).to(torch.int16).to(torch.uint8)
