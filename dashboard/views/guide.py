"""The Guide page: a tour through all pages, a curve to draw, the methods, what breaks them, and links for teachers."""

from typing import Final

import streamlit as st

from dashboard import guide, guide_panels, guide_tour, queries
from dashboard import text_guide as words

BIND: Final = "query-params"


def show(part: str) -> None:
    """Draw a part of the page; the tour is looked at again and again, since its steps are done elsewhere."""
    if part == "draw":
        guide_panels.draw(queries.runs())
    elif part == "methods":
        guide_panels.methods()
    elif part == "break":
        guide_panels.gallery()
    elif part == "teach":
        guide_panels.teach()
    else:
        guide_panels.tour(guide_tour.current() or 1)


st.subheader(words.TITLE, anchor=False)
names = list(guide.PARTS)
part = st.segmented_control(
    "Part", names, default=names[0], required=True, format_func=guide.PARTS.__getitem__, key="part", bind=BIND, label_visibility="collapsed",
    wrap=True,
)  # fmt: skip
part = part if part in names else names[0]
st.caption(words.INTRO[part])
with st.container():
    st.fragment(show, run_every=guide_tour.TICK if part == "tour" else None)(part)
