"""What was drawn for a view, as a person reads it: operations with their magnitudes and units. No streamlit, no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslcore.augment.told import DrawnOp, Told

NOISE, CUTOUT = "Gaussian noise", "Cutout"  # beside the fourteen operations, to try by hand


def operation(op: DrawnOp) -> str:
    """A drawn operation in words: "Rotate -12°", "Solarize skipped"."""
    return f"{op.name} skipped" if not op.applied else f"{op.name} {magnitude(op.name, op.value)}".strip()


def magnitude(op: str, value: float | None) -> str:
    """A magnitude with its unit, as a person reads it; empty where there is none."""
    if value is None:
        return ""
    if op in ("TranslateX", "TranslateY"):
        pixels, (one, other) = round(value), ("left", "right") if op == "TranslateX" else ("up", "down")
        return "0 px" if not pixels else f"{abs(pixels)} px {one if pixels > 0 else other}"
    if op in ("Brightness", "Color", "Contrast", "Sharpness"):
        return f"x {value:.2f}"
    minus = f"{value:+.2f}".replace("-", "\u2212")
    return {
        "Rotate": f"{round(value):+d}°".replace("+0°", "0°").replace("-", "\u2212"), "ShearX": minus, "ShearY": minus, "Posterize": f"{value:.0f} bits",
        "Solarize": f"from {value:.0f}", CUTOUT: f"{value:.0%}", NOISE: f"std {value:.1f}",
    }.get(op, f"{value:.2f}")  # fmt: skip


def strong(told: Told) -> list[str]:
    """What was drawn for a view, line by line: the operations, the cut-out, or for a weak view mirror and shift."""
    if not told.ops and told.box is None:
        return weak(told)
    return [*(operation(op) for op in told.ops), *([cut(told)] if told.box else [])]


def cut(told: Told) -> str:
    """The cut-out of a view; empty where nothing was cut out."""
    if told.box is None:
        return ""
    top, left, bottom, right = told.box
    return f"cut {bottom - top} x {right - left} px"


def weak(told: Told) -> list[str]:
    """Mirror and shift of a view."""
    across = f"{abs(told.right)} px {'right' if told.right > 0 else 'left'}" if told.right else ""
    along = f"{abs(told.down)} px {'down' if told.down > 0 else 'up'}" if told.down else ""
    parts = ["mirrored" if told.mirrored else "", across, along]
    return [part for part in parts if part] or ["as it is"]
