"""What every page needs for people who use the keyboard alone: an unseen component that only brings its script along."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_component = st.components.v2.component(
    "ssl_keyboard",
    html="<div></div>\n",
    js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def keyboard() -> None:
    """Make Tab lead into popovers, and keep the place of a button that goes as it is pressed."""
    _component(key="keyboard")
