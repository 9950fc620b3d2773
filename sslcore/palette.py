"""The colours and dashes of classes, methods and compared runs, the same on every page and in every report.

The ten colours were searched for: the largest smallest distance (OKLab) with normal, red-blind, green-blind and
blue-blind sight, among colours that can be read on white and on near-black. Ten hues can't be told apart by colour
alone, so a dash, a label or an icon always stands beside them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

CLASS_COLORS = (
    "#4761e4",
    "#949b00",
    "#c9235c",
    "#4b9dc6",
    "#845a0f",
    "#f35da7",
    "#017272",
    "#bd7d6a",
    "#9d32ac",
    "#ab73fd",
)
BROWN, PURPLE, SKY, BLUE = (CLASS_COLORS[k] for k in (4, 8, 3, 0))
METHOD_COLORS = {"supervised": BROWN, "mixmatch": PURPLE, "fixmatch": SKY, "flexmatch": BLUE}
METHOD_DASHES = {"supervised": "dot", "mixmatch": "dashdot", "fixmatch": "dash", "flexmatch": "solid"}
METHOD_SYMBOLS = {"supervised": "square", "mixmatch": "diamond", "fixmatch": "triangle-up", "flexmatch": "circle"}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
OTHER_COLORS = tuple(color for color in CLASS_COLORS if color not in METHOD_COLORS.values())
OWN = 0  # slot of a compared run that bears its method's colour and dash


def class_color(index: int) -> str:
    """Colour of a class by its number; hues repeat after ten."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def class_dash(index: int) -> str:
    """Dash of a class: within ten classes each colour has one, and the next ten have another."""
    return DASHES[(index + index // len(CLASS_COLORS)) % len(DASHES)]


def run_slots(before: Mapping[str, int], methods: Mapping[str, str]) -> dict[str, int]:
    """Return the slot of each compared run: OWN for one of each method, a number of its own for every further one.

    `methods`: run -> method, in the order of choice. A run keeps the slot that it had `before` while others come and go,
    except that the first that is left of a method takes OWN. Two of one method differ in their dash too.
    """
    slots = {run: before[run] for run in methods if run in before}
    for method in dict.fromkeys(methods.values()):
        runs = [run for run in methods if methods[run] == method]
        if method in METHOD_COLORS and all(slots.get(run) != OWN for run in runs):
            slots[runs[0]] = OWN
    for run, method in methods.items():
        if run not in slots:
            free = (slot for slot in itertools.count(OWN + 1) if slot not in slots.values())
            slots[run] = next(slot for slot in free if run_mark(method, slot)[1] != METHOD_DASHES.get(method))
    return {run: slots[run] for run in methods}


def run_mark(method: str, slot: int) -> tuple[str, str]:
    """Colour and dash of a compared run: its method's, or in another slot than OWN one that is no method's."""
    if slot == OWN:
        return METHOD_COLORS[method], METHOD_DASHES[method]
    turn, index = divmod(slot - 1, len(OTHER_COLORS))
    return OTHER_COLORS[index], DASHES[(slot + turn) % len(DASHES)]
