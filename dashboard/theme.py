"""Colours and signs, the same on every page and in light and dark. No streamlit.

The ten class colours were searched for: the largest smallest distance (OKLab) with normal, red-blind, green-blind and
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
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")

BLUE, OLIVE, RED, SKY, BROWN, PINK, TEAL, TAN, PURPLE, LAVENDER = CLASS_COLORS
TEXT = "var(--st-text-color)"  # resolved in the browser, so that a chart follows the theme without a new figure
GROUND = "var(--st-background-color)"

METHOD_COLORS = {"supervised": BROWN, "mixmatch": PURPLE, "fixmatch": SKY, "flexmatch": BLUE}

# State -> (colour of the pill, icon): never colour alone.
STATES = {
    "queued": ("gray", ":material/hourglass_empty:"),
    "running": ("green", ":material/play_circle:"),
    "pausing": ("orange", ":material/pause:"),
    "paused": ("blue", ":material/pause_circle:"),
    "stopping": ("orange", ":material/stop:"),
    "stopped": ("gray", ":material/stop_circle:"),
    "finished": ("green", ":material/check_circle:"),
    "failed": ("red", ":material/error:"),
    "diverged": ("red", ":material/trending_up:"),
    "interrupted": ("orange", ":material/power_off:"),
}

# For pictures, which can't read the page's variables: theme -> colour.
INK = {"light": "#1c2430", "dark": "#e8ecf3"}
FAINT = {"light": "#6b7686", "dark": "#98a3b3"}
TRACK = {"light": "#dfe4ec", "dark": "#333d4c"}
RIGHT = {"light": "#017272", "dark": "#2bb3a8"}
WRONG = {"light": "#c9235c", "dark": "#f2648f"}
TICK = {"light": "#3451d1", "dark": "#8fa4ff"}


def class_color(index: int) -> str:
    """Colour of a class by its number; hues repeat after ten."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def class_dash(index: int) -> str:
    """Dash of a class: within ten classes each colour has one, and the next ten have another."""
    return DASHES[(index + index // len(CLASS_COLORS)) % len(DASHES)]
