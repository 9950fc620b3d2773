"""Pictures that change often, side by side, as one component: each stays until its successor is decoded, so nothing flickers.

`st.image` serves every picture under an address of its own, which is gone when the next one comes quicker than the browser.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "ssl_pictures",
    html='<div class="ssl-pictures"></div>\n',
    css=(_HERE / "pictures.css").read_text(encoding="utf-8"),
    js=(_HERE / "pictures.js").read_text(encoding="utf-8"),
)


def pictures(shown: Sequence[tuple[bytes, str]], *, key: str, least: int = 320, most: int = 4096) -> None:
    """Draw (PNG, words for people who can't see it) pairs, each `least` to `most` pixels wide, as many a row as there is room."""
    data = []
    for png, about in shown:
        width, height = struct.unpack(">II", png[16:24])
        source = "data:image/png;base64," + base64.b64encode(png).decode()
        data.append({"src": source, "alt": about, "width": width, "height": height})
    _component(data={"pictures": data, "least": least, "most": most}, key=key)
