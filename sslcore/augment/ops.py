"""The 14 operations of FixMatch's RandAugment (arXiv:2001.07685, appendix), in one fixed order.

`op(images, value, fill) -> images`: uint8 (B, H, W, C) in and out, value (B,) float32 for each image, fill a grey level.
A draw stores an operation as its position in OP_NAMES, so the order is part of every run's numbers. It puts the
operations that share work side by side: those without or with a table of levels, the four blends, the five moves.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sslcore.augment import affine, colour

Op = Callable[[Tensor, Tensor, int], Tensor]

OPS: dict[str, Op] = {
    "Identity": colour.identity,
    "AutoContrast": colour.autocontrast,
    "Equalize": colour.equalize,
    "Posterize": colour.posterize,
    "Solarize": colour.solarize,
    "Brightness": colour.brightness,
    "Color": colour.color,
    "Contrast": colour.contrast,
    "Sharpness": colour.sharpness,
    "Rotate": affine.rotate,
    "ShearX": affine.shear_x,
    "ShearY": affine.shear_y,
    "TranslateX": affine.translate_x,
    "TranslateY": affine.translate_y,
}
OP_NAMES = tuple(OPS)
FIRST_AFFINE = OP_NAMES.index(affine.AFFINE_NAMES[0])
NO_CHANGE = {"Posterize": 8.0, "Solarize": 256.0, "Brightness": 1.0, "Color": 1.0, "Contrast": 1.0, "Sharpness": 1.0}
"""The value at which an operation changes nothing; 0 for those not named."""
