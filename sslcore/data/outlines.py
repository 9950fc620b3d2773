"""The outlines of the ten things in `shapes`: polygons in a square from -1 to 1, x to the right, y down.

Each function draws its own variations (fat and thin fish, round trees and firs). How a thing is coloured, textured,
turned and placed is not decided here: a part only names its paint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
T = TypeVar("T")

BODY, TRIM, DARK, LIGHT, STALK = "body", "trim", "dark", "light", "stalk"  # what a part is painted with


class Part(NamedTuple):
    """One filled polygon; later parts cover earlier ones."""

    paint: str
    points: list[Point]


class Dice:
    """Chance made of PCG64's raw bits: NumPy promises never to change those, as it does not for its distributions."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(key)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def chance(self, p: float) -> bool:
        return self.between(0.0, 1.0) < p

    def index(self, count: int) -> int:
        """Return one of 0 to count - 1."""
        return int(self.between(0.0, count))

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.index(len(choices))]

    def octets(self, count: int) -> NDArray[np.uint8]:
        """Return (count,) uint8, every value equally likely; the same on machines of either byte order."""
        return self._bits.random_raw(-(-count // 8)).astype("<u8").view(np.uint8)[:count]


def ellipse(x: float, y: float, wide: float, high: float, turn: float = 0.0, corners: int = 18) -> list[Point]:
    """Return a polygon around (x, y) with half axes `wide` and `high`, turned clockwise by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    ring = [(wide * math.cos(math.tau * k / corners), high * math.sin(math.tau * k / corners)) for k in range(corners)]
    return [(x + cos * a - sin * b, y + sin * a + cos * b) for a, b in ring]


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def fish(dice: Dice) -> list[Part]:
    high, tail = dice.between(0.26, 0.5), dice.between(0.25, 0.5)
    fin = dice.between(0.1, 0.3)
    return [
        Part(TRIM, [(-0.35, 0.0), (-0.95, -tail), (-0.8, 0.0), (-0.95, tail)]),
        Part(TRIM, [(-0.2, -high * 0.8), (0.05, -high - fin), (0.35, -high * 0.7)]),
        Part(BODY, ellipse(0.15, 0.0, 0.68, high)),
        Part(LIGHT, ellipse(0.52, -0.1, 0.12, 0.12, corners=10)),
        Part(DARK, ellipse(0.55, -0.1, 0.06, 0.06, corners=8)),
    ]


def bird(dice: Dice) -> list[Part]:
    wing, tilt = dice.between(0.45, 0.95), dice.between(-0.35, 0.1)
    fat = dice.between(0.22, 0.36)
    side = -1.0 if dice.chance(0.5) else 0.5  # wings up or down
    return [
        Part(TRIM, [(-0.4, -0.05), (-0.95, -0.2), (-0.9, 0.2), (-0.4, 0.15)]),
        Part(BODY, ellipse(-0.05, 0.05, 0.55, fat, tilt)),
        Part(BODY, ellipse(0.48, -0.25, 0.24, 0.24)),
        Part(STALK, [(0.66, -0.36), (1.0, -0.22), (0.66, -0.14)]),
        Part(TRIM, [(-0.35, 0.0), (0.2, 0.0), (-0.25, side * wing)]),
        Part(DARK, ellipse(0.53, -0.3, 0.07, 0.07, corners=8)),
    ]


def butterfly(dice: Dice) -> list[Part]:
    upper, lower = dice.between(0.38, 0.55), dice.between(0.26, 0.42)
    lift = dice.between(0.5, 0.9)
    parts = []
    for side in (-1.0, 1.0):
        parts.append(Part(BODY, ellipse(side * 0.45, 0.38, lower, lower * 0.75, side * 0.7)))
        parts.append(Part(BODY, ellipse(side * 0.48, -0.28, upper, upper * 0.72, -side * lift)))
        parts.append(Part(TRIM, ellipse(side * 0.52, -0.3, upper * 0.4, upper * 0.3, -side * lift, corners=10)))
        parts.append(Part(DARK, [(0.0, -0.4), (side * 0.26, -0.92), (side * 0.34, -0.9), (side * 0.05, -0.38)]))
    return [*parts, Part(DARK, ellipse(0.0, 0.05, 0.09, 0.58, corners=12))]


def flower(dice: Dice) -> list[Part]:
    petals, start = 5 + dice.index(3), dice.between(0.0, 1.0)
    long, heart = dice.between(0.26, 0.36), dice.between(0.15, 0.24)
    leaf = dice.between(0.3, 0.6)
    parts = [
        Part(STALK, box(-0.05, -0.2, 0.05, 1.0)),
        Part(STALK, ellipse(0.24, leaf, 0.26, 0.1, -0.6, corners=10)),
    ]
    for k in range(petals):
        turn = math.tau * (k + start) / petals
        x, y = 0.36 * math.cos(turn), -0.3 + 0.36 * math.sin(turn)
        parts.append(Part(BODY, ellipse(x, y, long, 0.68 * long, turn, corners=12)))
    return [*parts, Part(TRIM, ellipse(0.0, -0.3, heart, heart, corners=12))]


def tree(dice: Dice) -> list[Part]:
    thick, foot = dice.between(0.08, 0.16), dice.between(0.1, 0.35)
    parts = [Part(STALK, box(-thick, foot - 0.3, thick, 1.0))]
    if dice.chance(0.5):  # a fir
        wide = dice.between(0.5, 0.8)
        for k, top in enumerate((0.0, -0.45, -0.9)):
            half = wide * (1.0 - 0.22 * k)
            parts.append(Part(BODY, [(-half, top + 0.65), (0.0, top - 0.05), (half, top + 0.65)]))
        return parts
    wide = dice.between(0.34, 0.46)
    parts.append(Part(BODY, ellipse(-0.36, -0.1, wide, wide)))
    parts.append(Part(BODY, ellipse(0.36, -0.1, wide, wide)))
    parts.append(Part(BODY, ellipse(0.0, -0.42, 0.5, 0.5)))
    return parts


def mushroom(dice: Dice) -> list[Part]:
    wide, high, thick = dice.between(0.65, 0.95), dice.between(0.5, 0.95), dice.between(0.15, 0.3)
    cap = [(wide * math.cos(math.pi * k / 12), 0.1 - high * math.sin(math.pi * k / 12)) for k in range(13)]
    return [
        Part(LIGHT, [(-thick, 0.0), (thick, 0.0), (1.3 * thick, 0.92), (-1.3 * thick, 0.92)]),
        Part(TRIM, ellipse(0.0, 0.1, wide, 0.14)),
        Part(BODY, cap),
    ]


def house(dice: Dice) -> list[Part]:
    wide, eaves, ridge = dice.between(0.5, 0.8), dice.between(-0.2, 0.05), dice.between(-0.95, -0.6)
    door = dice.between(-0.4, 0.1)
    over = wide + dice.between(0.05, 0.2)
    parts = [
        Part(BODY, box(-wide, eaves, wide, 0.9)),
        Part(TRIM, [(-over, eaves), (0.0, ridge), (over, eaves)]),
        Part(DARK, box(door, 0.35, door + 0.26, 0.9)),
        Part(LIGHT, box(0.18, 0.2, 0.42, 0.46)),
    ]
    if dice.chance(0.5):
        parts.insert(0, Part(DARK, box(0.3, -0.9, 0.5, -0.1)))
    return parts


def boat(dice: Dice) -> list[Part]:
    long, deck, mast = dice.between(0.65, 0.95), dice.between(0.3, 0.45), dice.between(-0.1, 0.15)
    top = dice.between(-1.0, -0.75)
    parts = [
        Part(STALK, box(mast - 0.04, top, mast + 0.04, deck)),
        Part(TRIM, [(-long, deck), (long, deck), (long * 0.65, 0.85), (-long * 0.65, 0.85)]),
        Part(BODY, [(mast + 0.07, top), (mast + 0.07, deck - 0.1), (mast + 0.72, deck - 0.1)]),
    ]
    if dice.chance(0.6):
        parts.append(Part(BODY, [(mast - 0.07, top + 0.2), (mast - 0.07, deck - 0.1), (mast - 0.6, deck - 0.1)]))
    return parts


def car(dice: Dice) -> list[Part]:
    roof, bonnet = dice.between(-0.62, -0.38), dice.between(-0.05, 0.08)
    wheel, rear = dice.between(0.17, 0.25), dice.between(-0.75, -0.5)
    parts = [
        Part(BODY, [(rear, bonnet), (rear + 0.2, roof), (0.3, roof), (0.55, bonnet)]),
        Part(LIGHT, [(rear + 0.12, bonnet), (rear + 0.26, roof + 0.1), (-0.12, roof + 0.1), (-0.12, bonnet)]),
        Part(LIGHT, [(0.0, bonnet), (0.0, roof + 0.1), (0.25, roof + 0.1), (0.42, bonnet)]),
        Part(BODY, [(-0.95, bonnet), (0.8, bonnet), (0.97, 0.2), (0.95, 0.45), (-0.95, 0.45)]),
        Part(TRIM, box(-0.95, 0.3, 0.95, 0.45)),
    ]
    for x in (-0.5, 0.52):
        parts.append(Part(DARK, ellipse(x, 0.45, wheel, wheel, corners=12)))
        parts.append(Part(LIGHT, ellipse(x, 0.45, wheel * 0.4, wheel * 0.4, corners=8)))
    return parts


def balloon(dice: Dice) -> list[Part]:
    wide, bottom = dice.between(0.5, 0.68), dice.between(0.3, 0.45)
    basket = dice.between(0.13, 0.22)
    return [
        Part(DARK, [(-0.38, 0.05), (-0.33, 0.05), (-basket + 0.05, 0.72), (-basket, 0.72)]),
        Part(DARK, [(0.33, 0.05), (0.38, 0.05), (basket, 0.72), (basket - 0.05, 0.72)]),
        Part(BODY, [*ellipse(0.0, -0.35, wide, 0.6)[9:], (wide * 0.97, -0.2), (0.14, bottom), (-0.14, bottom), (-wide * 0.97, -0.2)]),
        Part(TRIM, [(-0.2, bottom - 0.12), (0.2, bottom - 0.12), (0.14, bottom), (-0.14, bottom)]),
        Part(STALK, box(-basket, 0.7, basket, 0.98)),
    ]  # fmt: skip


OUTLINES: dict[str, Callable[[Dice], list[Part]]] = {
    "fish": fish,
    "bird": bird,
    "butterfly": butterfly,
    "flower": flower,
    "tree": tree,
    "mushroom": mushroom,
    "house": house,
    "sailing boat": boat,
    "car": car,
    "hot-air balloon": balloon,
}
