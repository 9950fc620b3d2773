"""The colours and dashes of classes, methods and compared runs, the same on every page and in every report.

The ten colours were searched for: the largest smallest distance (OKLab) with normal, red-blind, green-blind and
blue-blind sight, among colours that can be read on white and on near-black. Ten hues can't be told apart by colour
alone, so a dash, a label or an icon always stands beside them.
"""

from __future__ import annotations

CLASS_COLORS = (
    "#4761e4",
    "#8ba401",
    "#c9235c",
    "#4fa1ca",
    "#845a0f",
    "#f65eaa",
    "#017272",
    "#bd7d6a",
    "#9d32ac",
    "#ab73fd",
)
BROWN, PURPLE, SKY, BLUE = (CLASS_COLORS[k] for k in (4, 8, 3, 0))
METHOD_COLORS = {"supervised": BROWN, "mixmatch": PURPLE, "fixmatch": SKY, "flexmatch": BLUE}
METHOD_DASHES = {"supervised": "dot", "mixmatch": "dashdot", "fixmatch": "dash", "flexmatch": "solid"}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def class_color(index: int) -> str:
    """Colour of a class by its number; hues repeat after ten."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def class_dash(index: int) -> str:
    """Dash of a class: within ten classes each colour has one, and the next ten have another."""
    return DASHES[(index + index // len(CLASS_COLORS)) % len(DASHES)]
