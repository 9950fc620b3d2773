"""Rows of labelled bars as one small component: a new number only moves a bar, so a slider recolours them at once.

Each row carries its number as text, so the picture is its own table and colour says nothing alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st


@dataclass(frozen=True)
class Bar:
    """One row: a bar from `start` to `end`, shares of the width; `ghost`: the value before; `tick`: a line across the bar."""

    name: str
    end: float
    text: str
    color: str
    start: float = 0.0
    ghost: float | None = None
    tick: float | None = None
    strong: bool = False  # the row that the formula speaks of
    note: str = ""  # a sign behind the name, such as the tick of the hidden truth


_HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "ssl_bars",
    html='<div class="ssl-bars" role="list"></div>\n',
    css=(_HERE / "bars.css").read_text(encoding="utf-8"),
    js=(_HERE / "bars.js").read_text(encoding="utf-8"),
)


def bars(rows: Sequence[Bar], *, key: str, alt: str) -> None:
    """Draw the rows, one below the other; call it again with the same `key` to move them."""
    _component(data={"rows": [asdict(row) for row in rows], "alt": alt}, key=key)
