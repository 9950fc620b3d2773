"""Colour pictures that need no network: 6,000 drawings of ten things, 32 x 32, made by this file.

As in natural images several cues of a class say the same, and none can be trusted alone: colour, pattern and background
are often another class's, and the outline (outlines.py) varies, is turned, stretched and now and then partly hidden.
Every picture has its own dice, seeded with SEED and its number, so the same Pillow draws the same bytes on every
machine. FAITH and the ranges below were chosen with Supervised alone, on validation: about 49 % with 40 labels, 97 %
with all. What is drawn is kept in the cache.
"""

from __future__ import annotations

import colorsys
import math
from typing import NamedTuple

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sslcore.data import cache
from sslcore.data.image_set import ImageSet, Progress, build
from sslcore.data.outlines import BODY, DARK, LIGHT, OUTLINES, STALK, TRIM, Dice, Part, ellipse

SEED = 20  # of all pictures; another one makes another data set
SIDE = 32  # pixels
FINE = 4  # drawn this many times larger, then averaged: smooth edges
TRAIN, TEST = 5000, 1000
CACHE_NAME = f"shapes-1-pillow-{PIL.__version__}"

Colour = tuple[int, int, int]
HUES = {"red": 0.0, "orange": 0.08, "yellow": 0.15, "green": 0.33, "turquoise": 0.48, "blue": 0.6, "violet": 0.76, "pink": 0.9}  # fmt: skip
PATTERNS = ("plain", "stripes", "bars", "dots", "checks", "shaded", "speckles")
SCENES = ("sky", "water", "meadow", "sunset", "night", "wall")
FAITH = {"hue": 0.75, "pattern": 0.7, "scene": 0.75}  # how often a picture takes its class's own; else any


class Habits(NamedTuple):
    """What a class prefers."""

    hues: tuple[str, ...]
    patterns: tuple[str, ...]
    scenes: tuple[str, ...]


class Cues(NamedTuple):
    """What one picture has, beside its outline."""

    hue: str
    pattern: str
    scene: str


HABITS: dict[str, Habits] = {
    "fish": Habits(("orange", "turquoise"), ("stripes", "bars"), ("water",)),
    "bird": Habits(("blue", "red"), ("plain", "shaded"), ("sky", "sunset")),
    "butterfly": Habits(("orange", "violet"), ("dots", "speckles"), ("meadow", "sky")),
    "flower": Habits(("pink", "yellow"), ("plain", "shaded"), ("meadow", "wall")),
    "tree": Habits(("green",), ("speckles", "shaded"), ("meadow", "sky")),
    "mushroom": Habits(("red", "orange"), ("dots",), ("meadow", "night")),
    "house": Habits(("yellow", "pink"), ("checks", "plain"), ("meadow", "night")),
    "sailing boat": Habits(("red", "yellow"), ("plain", "bars"), ("water", "sunset")),
    "car": Habits(("blue", "red"), ("plain", "shaded"), ("wall", "night")),
    "hot-air balloon": Habits(("violet", "turquoise"), ("bars", "checks"), ("sky", "sunset")),
}


def load(progress: Progress | None = None) -> ImageSet:
    """Return the drawings: (5000, 32, 32, 3) for training, (1000, 32, 32, 3) for testing; as many of each class."""
    kept = cache.load(CACHE_NAME, ("images",))
    trouble = ""
    if kept is None or kept["images"].shape != (TRAIN + TEST, SIDE, SIDE, 3) or kept["images"].dtype != np.uint8:
        kept = {"images": _draw_all(progress)}
        trouble = cache.save(CACHE_NAME, kept)
    images = torch.from_numpy(kept["images"])
    labels = torch.arange(TRAIN + TEST) % len(OUTLINES)
    return build(
        source="shapes",
        title=f"Shapes (drawings of ten things, {SIDE} x {SIDE})",
        train=(images[:TRAIN], labels[:TRAIN]),
        test=(images[TRAIN:], labels[TRAIN:]),
        class_names=tuple(OUTLINES),
        flip=True,  # nothing here has a left and a right
        notes=(
            "The pictures are drawn by a program, not photographed; the same Pillow draws the same ones everywhere.",
            *([trouble] if trouble else []),
        ),
    )


def _draw_all(progress: Progress | None) -> NDArray[np.uint8]:
    images = np.empty((TRAIN + TEST, SIDE, SIDE, 3), np.uint8)
    for number in range(len(images)):
        images[number] = picture(number)
        if progress is not None and (number + 1) % 250 == 0:
            progress("Drawing shapes", number + 1, len(images))
    return images


def picture(number: int) -> NDArray[np.uint8]:
    """Draw picture `number` of class `number % 10`: (32, 32, 3) uint8."""
    dice = Dice(SEED, number)
    name = list(OUTLINES)[number % len(OUTLINES)]
    cues = deal(name, dice)
    canvas = _scene(cues.scene, dice)
    _blobs(canvas, dice, dice.index(3), 0.05, 0.12)
    _thing(canvas, OUTLINES[name](dice), cues, dice)
    if dice.chance(0.2):
        _blobs(canvas, dice, 1, 0.12, 0.22)  # something in front of it
    return _seen(canvas.reduce(FINE), dice)


def deal(name: str, dice: Dice) -> Cues:
    """Choose the cues of one picture of class `name`: its class's own or, as often as FAITH leaves it, any."""
    habits = HABITS[name]
    return Cues(
        dice.pick(habits.hues if dice.chance(FAITH["hue"]) else tuple(HUES)),
        dice.pick(habits.patterns if dice.chance(FAITH["pattern"]) else PATTERNS),
        dice.pick(habits.scenes if dice.chance(FAITH["scene"]) else SCENES),
    )


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _colour_near(dice: Dice, hue: float) -> Colour:
    return _colour(hue + dice.between(-0.03, 0.03), dice.between(0.55, 1.0), dice.between(0.6, 1.0))


def _scene(scene: str, dice: Dice) -> Image.Image:
    """Return the background: two colours that meet at a horizon or run into one another."""
    upper, lower = {
        "sky": ((0.57, 0.45, 0.95), (0.54, 0.15, 1.0)),
        "water": ((0.54, 0.3, 0.95), (0.56, 0.75, 0.7)),
        "meadow": ((0.55, 0.3, 1.0), (0.28, 0.6, 0.7)),
        "sunset": ((0.8, 0.45, 0.7), (0.08, 0.6, 1.0)),
        "night": ((0.66, 0.7, 0.25), (0.7, 0.5, 0.45)),
        "wall": ((0.1, 0.2, 0.85), (0.07, 0.35, 0.6)),
    }[scene]
    shift, light = dice.between(-0.04, 0.04), dice.between(0.75, 1.0)
    top, bottom = (_colour(h + shift, s * dice.between(0.5, 1.0), v * light) for h, s, v in (upper, lower))
    ramp = Image.linear_gradient("L").resize((SIDE * FINE, SIDE * FINE), Image.Resampling.NEAREST)
    if scene in ("water", "meadow", "wall"):
        horizon = round(dice.between(90, 200))
        ramp = ramp.point([255 * (level > horizon) for level in range(256)])
    size = ramp.size
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp)


def _blobs(canvas: Image.Image, dice: Dice, count: int, low: float, high: float) -> None:
    """Paint things of no class: patches of any colour, anywhere; low and high are radii as shares of the side."""
    draw, side = ImageDraw.Draw(canvas), SIDE * FINE
    for _ in range(count):
        x, y = dice.between(0, side), dice.between(0, side)
        across, along = dice.between(low, high) * side, dice.between(low, high) * side
        points = ellipse(x, y, across, along, dice.between(0, math.pi), corners=dice.pick((3, 4, 12)))
        draw.polygon([(round(a), round(b)) for a, b in points], fill=_colour_near(dice, dice.between(0, 1)))


def _thing(canvas: Image.Image, parts: list[Part], cues: Cues, dice: Dice) -> None:
    """Paint the parts onto the canvas: turned, stretched, mirrored, anywhere."""
    hue = HUES[cues.hue]
    body = _colour_near(dice, hue)
    colours = {
        TRIM: _colour_near(dice, dice.between(0, 1)),
        DARK: _colour(dice.between(0, 1), dice.between(0.2, 0.6), dice.between(0.1, 0.3)),
        LIGHT: _colour(dice.between(0, 1), dice.between(0.0, 0.25), dice.between(0.85, 1.0)),
        STALK: _colour(dice.pick((0.07, 0.3)), dice.between(0.4, 0.9), dice.between(0.35, 0.7)),
    }
    pattern = _pattern(cues.pattern, body, hue, dice)
    side = SIDE * FINE
    size = dice.between(0.38, 0.46) * side
    turn = dice.between(-0.15, 0.15)
    wide, high = size * dice.between(0.9, 1.1), size * dice.between(0.9, 1.1)
    if dice.chance(0.5):
        wide = -wide
    x, y = (side / 2 + dice.between(-0.06, 0.06) * side for _ in range(2))
    cos, sin = math.cos(turn), math.sin(turn)
    draw = ImageDraw.Draw(canvas)
    for part in parts:
        points = [
            (round(x + cos * wide * a - sin * high * b), round(y + sin * wide * a + cos * high * b))
            for a, b in part.points
        ]
        if part.paint == BODY:
            mask = Image.new("1", canvas.size)
            ImageDraw.Draw(mask).polygon(points, fill=1)
            canvas.paste(pattern, mask=mask)
        else:
            draw.polygon(points, fill=colours[part.paint])


def _pattern(pattern: str, colour: Colour, hue: float, dice: Dice) -> Image.Image:
    """Return a sheet as large as the canvas, covered with the pattern in `colour` and a second one."""
    side = SIDE * FINE
    sheet = Image.new("RGB", (side, side), colour)
    draw = ImageDraw.Draw(sheet)
    other = _colour(hue + dice.between(-0.15, 0.15), dice.between(0.1, 0.6), dice.pick((0.35, 1.0)))
    step = round(dice.between(18, 28))
    start = dice.index(step)
    if pattern in ("stripes", "bars"):
        for at in range(start - step, side, step):
            edge = (0, at, side, at + step // 2) if pattern == "stripes" else (at, 0, at + step // 2, side)
            draw.rectangle(edge, fill=other)
    elif pattern in ("dots", "checks"):
        for row, y in enumerate(range(start - step, side, step)):
            for x in range(start - step + row % 2 * step // 2, side, step):
                if pattern == "dots":
                    draw.ellipse((x, y, x + step // 2, y + step // 2), fill=other)
                else:
                    draw.rectangle((x, y, x + step // 2, y + step), fill=other)
    elif pattern == "speckles":
        for _ in range(90):
            x, y, size = dice.index(side), dice.index(side), 3 + dice.index(5)
            draw.rectangle((x, y, x + size, y + size), fill=other)
    elif pattern == "shaded":
        ramp = Image.linear_gradient("L").resize((side, side), Image.Resampling.NEAREST)
        sheet = Image.composite(Image.new("RGB", sheet.size, other), sheet, ramp)
    return sheet


def _seen(image: Image.Image, dice: Dice) -> NDArray[np.uint8]:
    """Return the picture as a camera might see it: its own brightness, colour cast and grain; whole numbers only."""
    gains = np.array([round(256 * dice.between(0.85, 1.1)) for _ in range(3)], np.int32)
    grain = round(dice.between(4, 20))  # grey levels at most
    octets = dice.octets(2 * SIDE * SIDE * 3).astype(np.int32).reshape(2, SIDE, SIDE, 3)
    noise = (octets.sum(0) - 255) * grain // 255
    return np.clip(np.asarray(image, np.int32) * gains // 256 + noise, 0, 255).astype(np.uint8)
