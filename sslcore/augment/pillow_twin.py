"""The same views written the usual way: one image at a time, in Pillow.

Slow and obvious on purpose. The tests compare the batched operations with it, `sslcore bench` times it as the pipeline
that data loaders commonly run for every image. Chance comes from `rng`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from sslcore.augment.magnitudes import FILLS, PRESETS, Range, legal, magnitude_at
from sslcore.augment.moves import MOVE_NAMES
from sslcore.augment.ops import OP_NAMES
from sslcore.augment.weak import pad_for
from sslcore.config import AugmentConfig


def pillow_op(image: Image.Image, name: str, value: float, fill: int) -> Image.Image:
    """Apply one operation of OP_NAMES; value and fill as in sslcore.augment.ops."""
    if name == "AutoContrast":
        return ImageOps.autocontrast(image)
    if name == "Equalize":
        return ImageOps.equalize(image)
    if name == "Posterize":
        return ImageOps.posterize(image, int(value))
    if name == "Solarize":
        return ImageOps.solarize(image, value)  # type: ignore[arg-type]  # compares; takes a fraction too
    if name in ("Brightness", "Color", "Contrast", "Sharpness"):
        enhancer: ImageEnhance._Enhance = getattr(ImageEnhance, name)(image)
        return enhancer.enhance(value)
    if name == "Rotate":
        return image.rotate(value, fillcolor=_ink(image, fill))
    if name in MOVE_NAMES:
        coefficients = {
            "ShearX": (1, value, 0, 0, 1, 0),
            "ShearY": (1, 0, 0, value, 1, 0),
            "TranslateX": (1, 0, value, 0, 1, 0),
            "TranslateY": (1, 0, 0, 0, 1, value),
        }[name]
        return image.transform(image.size, Image.Transform.AFFINE, coefficients, fillcolor=_ink(image, fill))
    return image


def _ink(image: Image.Image, level: int) -> int | tuple[int, ...]:
    return level if image.mode == "L" else (level,) * 3


def pillow_weak(pixels: np.ndarray, rng: np.random.Generator, flip: bool) -> Image.Image:
    """Return a weak view of one image, uint8 (H, W, C): perhaps flipped, reflect-padded, cropped at random."""
    image = to_pillow(pixels)
    if flip and rng.random() < 0.5:
        image = ImageOps.mirror(image)
    pad = pad_for(image.height, image.width)
    flat = np.asarray(image)
    padded = Image.fromarray(np.pad(flat, [(pad, pad), (pad, pad), (0, 0)][: flat.ndim], mode="reflect"))
    top, left = (int(offset) for offset in rng.integers(0, 2 * pad + 1, 2))
    return padded.crop((left, top, left + image.width, top + image.height))


def to_pillow(pixels: np.ndarray) -> Image.Image:
    """Return uint8 pixels (H, W, C) as an image of mode RGB, or L where C = 1."""
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])


def pillow_strong(pixels: np.ndarray, rng: np.random.Generator, config: AugmentConfig, flip: bool) -> Image.Image:
    """Return a strong view of one image, uint8 (H, W, C): weak, then RandAugment, then cutout."""
    image = pillow_weak(pixels, rng, flip)
    preset = PRESETS.get(config.preset)
    if preset is None:
        return image
    num_ops = preset.num_ops if config.num_ops is None else config.num_ops
    op_prob = preset.op_prob if config.op_prob is None else config.op_prob
    frame_fill = preset.frame_fill if config.fill is None else FILLS[config.fill]
    for op in rng.integers(0, len(OP_NAMES), num_ops):
        name = OP_NAMES[op]
        magnitude = magnitude_at(preset, name, config.strength, image.height, image.width)
        if isinstance(magnitude, Range):
            value = rng.uniform(magnitude.low, magnitude.high)
        else:
            value = magnitude.values[rng.integers(0, len(magnitude.values))]
        bounds = legal(name, image.height, image.width)
        value = min(max(value, bounds.low), bounds.high)
        if name in MOVE_NAMES and rng.random() < 0.5:
            value = -value
        if rng.random() < op_prob:
            image = pillow_op(image, name, value, frame_fill)

    side = int(config.cutout * min(image.size) + 0.5)
    if side == 0:
        return image
    x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
    if preset.cutout_inclusive:
        left, top = int(max(0, x - side / 2)), int(max(0, y - side / 2))
        right, bottom = left + side, top + side
    else:
        left, top = int(x) - side // 2, int(y) - side // 2
        right, bottom = left + side - 1, top + side - 1
    cutout_fill = preset.cutout_fill if config.fill is None else FILLS[config.fill]
    return pillow_cutout(image, (left, top, right, bottom), cutout_fill)


def pillow_cutout(image: Image.Image, box: tuple[int, int, int, int], fill: int) -> Image.Image:
    """Paint a box, left top right bottom with the ends included."""
    image = image.copy()
    ImageDraw.Draw(image).rectangle(box, fill=_ink(image, fill))
    return image


def pillow_normalize(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Return (pixels / 255 - mean) / std as float32 (C, H, W)."""
    pixels = np.asarray(image, dtype=np.float32).reshape(image.height, image.width, -1)
    shift, scale = np.asarray(mean, dtype=np.float32), np.asarray(std, dtype=np.float32)
    return ((pixels / np.float32(255) - shift) / scale).transpose(2, 0, 1)
