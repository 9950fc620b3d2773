"""A strip of small images to pick from, as one component: one picture cut into buttons, so that 64 cost one message.

Kept guesses are framed, others faded; a tick on a disc is right, a cross on a square wrong: never colour alone.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st


@dataclass(frozen=True)
class Cell:
    """What is said of one image: `about` in words; None where there is nothing to say."""

    about: str
    kept: bool | None = None
    right: bool | None = None


_HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "ssl_image_strip",
    html='<div class="ssl-strip" role="listbox"></div>\n',
    css=(_HERE / "image_strip.css").read_text(encoding="utf-8"),
    js=(_HERE / "image_strip.js").read_text(encoding="utf-8"),
)


def image_strip(
    sprite: bytes,
    columns: int,
    cells: Sequence[Cell],
    chosen: int,
    *,
    key: str,
    alt: str,
    on_pick: Callable[[int], None],
) -> None:
    """Draw the cells of `sprite`, a PNG with `columns` equal squares a row; a click calls `on_pick` with the cell's number.

    `chosen`: the picked cell; -1: any number of them, those that are kept.
    """

    def picked() -> None:
        number = st.session_state[key].get("picked")
        if isinstance(number, int) and 0 <= number < len(cells):
            on_pick(number)

    data = {
        "sprite": "data:image/png;base64," + base64.b64encode(sprite).decode(), "columns": columns, "rows": -(-len(cells) // columns),
        "cells": [asdict(cell) for cell in cells], "chosen": chosen, "alt": alt,
    }  # fmt: skip
    _component(data=data, key=key, on_picked_change=picked)
