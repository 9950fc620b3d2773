"""The same views written the usual way: one image at a time, in Pillow.

Slow and obvious on purpose. The tests compare the batched operations with it, `sslcore bench` times it as the pipeline
that data loaders commonly run for every image. Images are Pillow images of mode RGB or L; chance comes from `rng`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from sslcore.augment.affine import AFFINE_NAMES
from sslcore.augment.magnitudes import FILLS, PRESETS, Range, legal, magnitude_at
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
    if name in AFFINE_NAMES:
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


def pillow_weak(image: Image.Image, flip: bool, rng: random.Random) -> Image.Image:
    """Return a weak view: perhaps flipped, reflect-padded, cropped at random."""
    if flip and rng.random() < 0.5:
        image = ImageOps.mirror(image)
    pad = pad_for(image.height, image.width)
    pixels = np.asarray(image)
    padded = Image.fromarray(np.pad(pixels, [(pad, pad), (pad, pad), (0, 0)][: pixels.ndim], mode="reflect"))
    left, top = rng.randint(0, 2 * pad), rng.randint(0, 2 * pad)
    return padded.crop((left, top, left + image.width, top + image.height))


def pillow_strong(image: Image.Image, flip: bool, config: AugmentConfig, rng: random.Random) -> Image.Image:
    """Return a strong view: weak, then RandAugment, then cutout."""
    image = pillow_weak(image, flip, rng)
    preset = PRESETS.get(config.preset)
    if preset is None:
        return image
    num_ops = preset.num_ops if config.num_ops is None else config.num_ops
    op_prob = preset.op_prob if config.op_prob is None else config.op_prob
    frame_fill = preset.frame_fill if config.fill is None else FILLS[config.fill]
    for name in rng.choices(OP_NAMES, k=num_ops):
        magnitude = magnitude_at(preset, name, config.strength, image.height, image.width)
        value = rng.uniform(*magnitude) if isinstance(magnitude, Range) else rng.choice(magnitude.values)
        bounds = legal(name, image.height, image.width)
        value = min(max(value, bounds.low), bounds.high)
        if name in AFFINE_NAMES and rng.random() < 0.5:
            value = -value
        if rng.random() < op_prob:
            image = pillow_op(image, name, value, frame_fill)

    side = int(config.cutout * min(image.size) + 0.5)
    if side:
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        if preset.cutout_inclusive:
            left, top = int(max(0, x - side / 2)), int(max(0, y - side / 2))
            box = (left, top, left + side, top + side)
        else:
            left, top = int(x) - side // 2, int(y) - side // 2
            box = (left, top, left + side - 1, top + side - 1)  # ImageDraw paints the far edge too
        image = image.copy()
        cutout_fill = preset.cutout_fill if config.fill is None else FILLS[config.fill]
        ImageDraw.Draw(image).rectangle(box, fill=_ink(image, cutout_fill))
    return image


def pillow_normalize(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Return (pixels / 255 - mean) / std as float32 (C, H, W)."""
    pixels = np.asarray(image, dtype=np.float32).reshape(image.height, image.width, -1) / np.float32(255)
    return ((pixels - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)
