"""What was drawn for each view, in plain values that a page can write under it. No chance and no pixels here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sslcore.augment.ops import NO_CHANGE, OP_NAMES
from sslcore.augment.randaugment import StrongDraw
from sslcore.augment.weak import WeakDraw

PLAIN = ("Identity", "AutoContrast", "Equalize")  # have no magnitude


@dataclass(frozen=True)
class DrawnOp:
    """One drawn operation. `value` as the operation takes it, translations in whole pixels; None: it has no magnitude."""

    name: str
    value: float | None
    applied: bool  # False: drawn, then skipped by the coin of chance p


@dataclass(frozen=True)
class Told:
    """One view. First mirrored, then moved, then the operations in their order, then the cut-out."""

    mirrored: bool
    right: int  # pixels, negative = left
    down: int  # pixels, negative = up
    ops: tuple[DrawnOp, ...] = ()
    box: tuple[int, int, int, int] | None = None  # y0 x0 y1 x1, ends excluded; None: nothing was cut out


def tell_weak(draw: WeakDraw, pad: int) -> list[Told]:
    """Return what happened to each image of a weak draw; `pad` as in the draw."""
    rows = zip(draw.flip.tolist(), draw.dy.tolist(), draw.dx.tolist(), strict=True)
    return [Told(flip, pad - dx, pad - dy) for flip, dy, dx in rows]


def tell_strong(weak: WeakDraw, draw: StrongDraw, pad: int) -> list[Told]:
    """Return what happened to each image of a strong view: `weak` is the draw of the weak view under it."""
    told = []
    ops = zip(draw.op.tolist(), draw.value.tolist(), draw.applied.tolist(), strict=True)
    for under, (names, values, applied), box in zip(tell_weak(weak, pad), ops, draw.box.tolist(), strict=True):
        drawn = tuple(
            DrawnOp(OP_NAMES[op], effective(OP_NAMES[op], value), on)
            for op, value, on in zip(names, values, applied, strict=True)
        )
        top, left, bottom, right = box
        cut = (top, left, bottom, right) if bottom > top and right > left else None
        told.append(Told(under.mirrored, under.right, under.down, drawn, cut))
    return told


def effective(name: str, value: float) -> float | None:
    """Return the magnitude that acts: None without one, whole pixels for a translation, whole bits for posterize."""
    if name in PLAIN:
        return None
    if name.startswith("Translate"):
        return float(math.floor(value + 0.5))  # as Pillow rounds
    return float(int(value)) if name == "Posterize" else value


def changes(drawn: DrawnOp) -> bool:
    """Whether a drawn operation can change a pixel at all."""
    return drawn.applied and drawn.name != "Identity" and drawn.value != NO_CHANGE.get(drawn.name, 0.0)
