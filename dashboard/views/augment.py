"""The Augmentations page: pick a picture, choose an exhibit, turn the knobs. Nothing is trained here."""

from typing import Final

import streamlit as st

from dashboard import augment_knobs, augment_panels, guide, guide_tour, picture_picker, queries, text, widgets
from dashboard import text_augment as words
from dashboard.live_chart import STATIC
from dashboard.picture_picker import Picked
from sslcore.events import Run

BIND: Final = "query-params"


def heading() -> str:
    """Title and the choice of an exhibit."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.subheader("Augmentations", anchor=False, width="content")
        exhibit = st.segmented_control(
            "Exhibit", list(words.EXHIBITS), default="views", required=True, format_func=words.EXHIBITS.__getitem__, key="aug_exhibit", bind=BIND,
            help=words.EXHIBIT_HELP, label_visibility="collapsed",
        )  # fmt: skip
    st.caption(words.INTRO[exhibit])
    return str(exhibit)


def draw_again() -> None:
    """Go on to the next seed."""
    guide_tour.note(guide.DREW_VIEWS)
    st.session_state["aug_draw"] = (int(st.session_state.get("aug_draw", 0)) + 1) % 1_000_000


def show(exhibit: str, picked: Picked, seed: int, found: list[Run]) -> None:
    """The chosen exhibit, its knobs in the sidebar."""
    with st.sidebar:
        knobs = augment_knobs.knobs(picked, exhibit)
        st.divider()
        asked = augment_knobs.ask(picked, found)
    if picked.still is None:
        st.info(words.NO_PICTURE, icon=":material/image:")
    elif exhibit == "op":
        augment_panels.one_operation(picked.still, picked, knobs, asked, seed)
    elif exhibit == "mixup":
        augment_panels.mixup(picked.still, picked, asked, seed)
    else:
        augment_panels.weak_and_strong(picked.still, picked, knobs, asked, seed)
        if not picked.images.flip:
            sentence = words.FLIP_FORCED if knobs.flip else words.FLIP_OFF
            st.caption(sentence.format(data=text.escape(text.data_name(picked.source))))


st.html(STATIC.parent / "exhibits.css")
exhibit = heading()
runs = queries.runs()
named = next((run.data for run in runs if run.id == st.query_params.get("run")), "")
with st.container(gap="small"):
    above = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        slot = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
        st.button(words.AGAIN, icon=":material/casino:", key="aug_again", type="primary", on_click=draw_again)
        seed = int(
            st.number_input(
                words.DRAW[0],
                0,
                999_999,
                0,
                key="aug_draw",
                bind=widgets.bind("aug_draw"),
                help=words.DRAW[1],
                width=110,
            )
        )
    with above:
        picked = picture_picker.pick(slot, named)
if picked is not None:
    show(exhibit, picked, seed, runs)
