"""The Pseudo-labels page: the X-ray of one image, and the threshold sandbox. Pick a run and a step; the exhibit draws itself."""

import streamlit as st

from dashboard import pseudo_steps, queries, sandbox_panel, text_pseudo, widgets, xray_panel
from sslcore.events import ACTIVE, QUEUED
from sslcore.store import StoreError

TICK = 2.0  # seconds between two looks for a newer keyframe while the run trains


def exhibit(run_id: str, seen: tuple[str, str], which: str) -> None:
    """Draw the chosen exhibit of a run as it is now; the whole page anew when the run's state or name has changed."""
    try:
        run = queries.store().run(run_id)
    except StoreError:  # deleted in another tab
        st.rerun()
    if widgets.look(run) != seen:
        st.rerun()
    steps = queries.keyframe_steps(run_id)
    if not steps:
        st.info(text_pseudo.NO_FRAMES[run.state in (QUEUED, *ACTIVE)], icon=":material/hourglass_empty:")
        return
    wanted = pseudo_steps.slider(run, steps[-1])
    {"xray": xray_panel.draw, "sandbox": sandbox_panel.draw}[which](run, steps, wanted)


def watch(run_id: str, seen: tuple[str, str]) -> None:
    """While the run rests: draw the page anew once somebody goes on with it, renames or deletes it."""
    if widgets.moved_on(run_id, seen):
        st.rerun()


# The box of each method is as high as the highest, so that what stands below does not jump.
st.html("<style>@media (min-width: 1100px) { .st-key-box { min-height: 27rem; } }</style>")
st.subheader(text_pseudo.TITLE, anchor=False)
st.caption(text_pseudo.INTRO)
with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
    with st.container(width=460):
        run = widgets.pick_run(queries.runs())
    beside = st.container(width="content")
if run is None:
    with st.container(border=True):
        st.markdown(text_pseudo.EMPTY)
        st.page_link("views/train.py", label="Go to Train", icon=":material/play_arrow:")
else:
    names = list(text_pseudo.EXHIBITS)
    which = beside.segmented_control(
        "Exhibit", names, default=names[0], required=True, format_func=text_pseudo.EXHIBITS.__getitem__, key="exhibit", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    which = which if which in names else names[0]
    st.caption(text_pseudo.EXHIBIT_TEXT[which])
    at_work = run.state in (QUEUED, *ACTIVE) and not queries.orphaned(run)
    with st.container():
        st.fragment(exhibit, run_every=TICK if at_work else None)(run.id, widgets.look(run), which)
    with st.container():
        st.fragment(watch, run_every=None if at_work else TICK)(run.id, widgets.look(run))
