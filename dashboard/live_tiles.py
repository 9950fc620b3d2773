"""Numbers with their course, in one small component: a tick changes a few texts and paths.

Five `st.metric` with a sparkline start five chart engines anew at every tick, a quarter of a core in the browser.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard.live_feed import Parts
from dashboard.served import LOADER, served


@dataclass(frozen=True)
class Tile:
    """A label, what it means, `top`: the value at the upper edge of its course, None: the largest; the course, and the value as text.

    `words`: the text isn't a number, but says when there will be one.
    """

    label: str
    help: str
    top: float | None
    course: tuple[float, ...]
    value: str
    words: bool = False


_component = st.components.v2.component(
    "ssl_live_tiles", html=f'<div class="ssl-tiles" {served("live_tiles")}></div>\n', js=LOADER, isolate_styles=False
)  # fmt: skip


def live_tiles(name: str, *, view: str) -> None:
    """Draw the place of the tiles that the page's feed tells of as `name`: side by side, two a row on a phone."""
    _component(data={"name": name, "view": view}, key=name)


def tile_parts(tiles: Sequence[Tile]) -> Parts:
    """Return tiles as the feed tells them."""
    return tuple(json.dumps(vars(tile), separators=(",", ":")) for tile in tiles)
