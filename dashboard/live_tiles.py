"""Numbers with their course, in one small component: a tick changes a few texts and paths.

Five `st.metric` with a sparkline start five chart engines anew at every tick, a quarter of a core in the browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st


@dataclass(frozen=True)
class Tile:
    """A label, its value as text, what it means, and its course; `top`: the value at the upper edge, None: the largest."""

    label: str
    value: str
    help: str
    course: tuple[float, ...] = ()
    top: float | None = None


_HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "ssl_live_tiles",
    html='<div class="ssl-tiles"></div>\n',
    css=(_HERE / "live_tiles.css").read_text(encoding="utf-8"),
    js=(_HERE / "live_tiles.js").read_text(encoding="utf-8"),
)


def live_tiles(tiles: Sequence[Tile], *, key: str) -> None:
    """Draw the tiles side by side, two a row on a phone; call it again with the same `key` to change their values."""
    _component(data={"tiles": [asdict(tile) for tile in tiles]}, key=key)
