"""The 14 operations of FixMatch's RandAugment (arXiv:2001.07685, appendix), in one fixed order.

`op(images, value, fill) -> images`: uint8 (B, H, W, C) in and out, value (B,) float32, one an image, fill a grey level.
A draw stores an operation as its position in OP_NAMES, so the order is part of every run's numbers. It puts the
operations that share work side by side: two remaps, four blends, five moves.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sslcore.augment import blends, levels, moves

Op = Callable[[Tensor, Tensor, int], Tensor]

OPS: dict[str, Op] = {
    "Identity": levels.identity,
    "AutoContrast": levels.autocontrast,
    "Equalize": levels.equalize,
    "Posterize": levels.posterize,
    "Solarize": levels.solarize,
    "Brightness": blends.brightness,
    "Color": blends.color,
    "Contrast": blends.contrast,
    "Sharpness": blends.sharpness,
    "Rotate": moves.rotate,
    "ShearX": moves.shear_x,
    "ShearY": moves.shear_y,
    "TranslateX": moves.translate_x,
    "TranslateY": moves.translate_y,
}
OP_NAMES = tuple(OPS)
IDENTITY = OP_NAMES.index("Identity")
REMAPS = slice(OP_NAMES.index("AutoContrast"), OP_NAMES.index("Equalize") + 1)
POSTERIZE = OP_NAMES.index("Posterize")
SOLARIZE = OP_NAMES.index("Solarize")
BLENDS = slice(OP_NAMES.index("Brightness"), OP_NAMES.index("Sharpness") + 1)
MOVES = slice(OP_NAMES.index("Rotate"), len(OP_NAMES))
NO_CHANGE = {"Posterize": 8.0, "Solarize": 256.0, "Brightness": 1.0, "Color": 1.0, "Contrast": 1.0, "Sharpness": 1.0}
"""The value at which an operation changes nothing; 0 for those not named."""
