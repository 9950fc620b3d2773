"""How strongly the strong view changes an image: one column of numbers for each preset, as data.

`paper` is the table of the FixMatch paper (arXiv:2001.07685, appendix), `google` and `kekmodel` are the two codes that
people compare with; both draw a whole level 1-9 of 10. Where the paper is silent (fill, order, cutout at the border)
`paper` does as google does. Levels and ranges hold for an image of any size: translations are shares of the side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from sslcore.augment.moves import MOVE_NAMES
from sslcore.augment.ops import NO_CHANGE

GREY, BLACK = 128, 0  # google paints 0 of [-1, 1], halfway between the grey levels 127 and 128
FILLS = {"grey": GREY, "black": BLACK}
LEVELS = range(1, 10)  # both codes draw below 10, so their strongest level never comes
SHARES = ("TranslateX", "TranslateY")  # magnitudes that are shares of the image's side


class Range(NamedTuple):
    """A magnitude drawn uniformly from low to high."""

    low: float
    high: float


class Steps(NamedTuple):
    """A magnitude drawn from these values, each equally likely."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Preset:
    """One column of the table. The operations of MOVE_NAMES get a random sign besides."""

    num_ops: int  # N
    op_prob: float  # chance that a drawn operation is applied
    frame_fill: int  # grey level of what comes from outside the frame
    cutout_fill: int
    cutout_inclusive: bool  # kekmodel: the square starts inside the frame and its far edge is drawn too, 16 becomes 17
    whole_pixels: bool  # translations are cut to whole pixels
    magnitudes: dict[str, Range | Steps]


def _enhance(magnitude: Range | Steps) -> dict[str, Range | Steps]:
    return dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), magnitude)


PRESETS: dict[str, Preset] = {
    "paper": Preset(
        num_ops=2,
        op_prob=1.0,
        frame_fill=GREY,
        cutout_fill=GREY,
        cutout_inclusive=False,
        whole_pixels=False,
        magnitudes={
            **_enhance(Range(0.05, 0.95)),
            "Posterize": Steps((4, 5, 6, 7, 8)),
            "Rotate": Range(0.0, 30.0),
            "ShearX": Range(0.0, 0.3),
            "ShearY": Range(0.0, 0.3),
            "Solarize": Range(0.0, 256.0),
            "TranslateX": Range(0.0, 0.3),
            "TranslateY": Range(0.0, 0.3),
        },
    ),
    "google": Preset(
        num_ops=2,
        op_prob=0.5,
        frame_fill=GREY,
        cutout_fill=GREY,
        cutout_inclusive=False,
        whole_pixels=True,
        magnitudes={
            **_enhance(Steps(tuple(level * 1.8 / 10 + 0.1 for level in LEVELS))),
            "Posterize": Steps(tuple(4 - int(level * 4 / 10) for level in LEVELS)),
            "Rotate": Steps(tuple(int(level * 30 / 10) for level in LEVELS)),
            "ShearX": Steps(tuple(level * 0.3 / 10 for level in LEVELS)),
            "ShearY": Steps(tuple(level * 0.3 / 10 for level in LEVELS)),
            "Solarize": Steps(tuple(256 - int(level * 256 / 10) for level in LEVELS)),
            "TranslateX": Steps(tuple(level / 32 for level in LEVELS)),  # 1-9 pixels at a side of 32
            "TranslateY": Steps(tuple(level / 32 for level in LEVELS)),
        },
    ),
    "kekmodel": Preset(
        num_ops=2,
        op_prob=0.5,
        frame_fill=BLACK,
        cutout_fill=127,
        cutout_inclusive=True,
        whole_pixels=True,
        magnitudes={
            **_enhance(Steps(tuple(level * 0.9 / 10 + 0.05 for level in LEVELS))),
            "Posterize": Steps(tuple(int(level * 4 / 10) + 4 for level in LEVELS)),
            "Rotate": Steps(tuple(int(level * 30 / 10) for level in LEVELS)),
            "ShearX": Steps(tuple(level * 0.3 / 10 for level in LEVELS)),
            "ShearY": Steps(tuple(level * 0.3 / 10 for level in LEVELS)),
            "Solarize": Steps(tuple(256 - int(level * 256 / 10) for level in LEVELS)),
            "TranslateX": Steps(tuple(level * 0.3 / 10 for level in LEVELS)),
            "TranslateY": Steps(tuple(level * 0.3 / 10 for level in LEVELS)),
        },
    ),
}


def magnitude_at(preset: Preset, name: str, strength: float, height: int, width: int) -> Range | Steps:
    """Return the magnitude of one operation at a strength and an image size, not yet kept within `legal`.

    Strength 1 is the preset exactly; else it multiplies the distance from `no change`, bits in whole numbers.
    Translations come out in pixels. Operations without a magnitude: Steps((0.0,)).
    """
    magnitude = preset.magnitudes.get(name)
    if magnitude is None:
        return Steps((0.0,))
    values = magnitude if isinstance(magnitude, Range) else magnitude.values
    if name in SHARES:
        values = tuple(value * (width if name == "TranslateX" else height) for value in values)
    if strength != 1.0:
        rest = NO_CHANGE.get(name, 0.0)
        values = tuple(rest + strength * (value - rest) for value in values)
    if name == "Posterize":
        values = tuple(float(math.floor(value + 0.5)) for value in values)
    if name in SHARES and preset.whole_pixels:
        values = tuple(float(int(value)) for value in values)
    return Range(*values) if isinstance(magnitude, Range) else Steps(tuple(map(float, values)))


def legal(name: str, height: int, width: int) -> Range:
    """Return the values that an operation takes, before its sign."""
    if name in MOVE_NAMES:
        return Range(0.0, {"Rotate": 180.0, "TranslateX": float(width), "TranslateY": float(height)}.get(name, 2.0))
    return {"Posterize": Range(1.0, 8.0), "Solarize": Range(0.0, 256.0)}.get(name, Range(0.0, 10.0))
