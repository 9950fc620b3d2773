"""Colours and signs, the same on every page and in light and dark; those of the classes are `sslcore.palette`'s. No streamlit."""

from __future__ import annotations

from sslcore.palette import CLASS_COLORS as CLASS_COLORS
from sslcore.palette import DASHES as DASHES
from sslcore.palette import METHOD_COLORS as METHOD_COLORS
from sslcore.palette import METHOD_DASHES as METHOD_DASHES
from sslcore.palette import METHOD_SYMBOLS as METHOD_SYMBOLS
from sslcore.palette import class_color as class_color
from sslcore.palette import class_dash as class_dash

BLUE, OLIVE, RED, SKY, BROWN, PINK, TEAL, TAN, PURPLE, LAVENDER = CLASS_COLORS
TEXT = "var(--st-text-color)"  # resolved in the browser, so that a chart follows the theme without a new figure
GROUND = "var(--st-background-color)"

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
ON_SIGN = {"light": "#ffffff", "dark": "#0f131a"}  # the tick or cross on either of the two
TICK = {"light": "#3451d1", "dark": "#8fa4ff"}
