"""The Time machine page: one slider through all keyframes of a run, also while it trains; and the fork from any of them."""

import streamlit as st

from dashboard import fork_form, queries, replay, text, text_time, time_panels, timeline, widgets
from sslcore.events import ACTIVE, QUEUED, Run
from sslcore.store import StoreError

LIVE, IDLE = 1.0, 2.0  # seconds between two looks: while it trains, while it doesn't


def at_work(run: Run) -> bool:
    return run.state in (QUEUED, *ACTIVE) and not queries.orphaned(run)


def scrub(run_id: str, seen: tuple[str, str], speed: int, begun: bool) -> None:
    """Draw the moment that the slider shows; draw the whole page anew when the state, the name or the pace has changed since."""
    try:
        run = queries.store().run(run_id)
    except StoreError:  # deleted in another tab
        st.rerun()
    at = replay.steps(run_id)
    if widgets.look(run) != seen or bool(at) != begun:
        st.rerun()
    if not at:
        st.info(
            text_time.NO_KEYFRAME if not at_work(run) else widgets.state_line(run) or text.SHEET_WAIT,
            icon=":material/info:",
        )
        return
    step = timeline.chosen(run_id, at)
    if timeline.speed() != speed:
        st.rerun()
    with st.container(key="time_bar", gap="xsmall"):
        timeline.controls(step, at, at_work(run), replay.marks(run))
    frame, life = queries.keyframe(run_id, step), replay.history(run_id, at)
    if frame is None or life is None:  # cut off or thinned away in this very moment
        st.info(text.escape(queries.keyframe_problem(run_id, step)) or text_time.NO_KEYFRAME, icon=":material/info:")
        return
    now, theme = queries.snapshot(run), st.context.theme.type or "light"
    time_panels.moment(run, now, step, frame)
    time_panels.curves(run, now, step, frame)
    time_panels.sheet(run, step, frame, theme)
    time_panels.lives(run, step, frame, life, theme)
    st.caption(text_time.disk(len(at), replay.disk(run_id)))


def watch(run_id: str, seen: tuple[str, str], at: tuple[int, ...]) -> None:
    """While this run rests: draw the page anew once somebody goes on with it, renames or deletes it."""
    if widgets.moved_on(run_id, seen) or replay.steps(run_id) != at:
        st.rerun()


found = queries.runs()
st.subheader(text_time.TITLE, anchor=False)
st.caption(text_time.ABOUT)
paper = st.get_option(f"theme.{st.context.theme.type or 'light'}.backgroundColor")
st.html(  # the slider stays in sight while one scrolls
    "<style>[data-testid=stLayoutWrapper]:has(> .st-key-time_bar) { position: sticky; top: 3.5rem; z-index: 20;"
    f" padding: .25rem 0 .5rem; background: {paper}; }}</style>"
)
run = widgets.pick_run(found)
if run is None:
    with st.container(border=True):
        st.markdown(text_time.EMPTY)
        st.page_link("views/train.py", label="Go to Train", icon=":material/play_arrow:")
else:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        widgets.state_pill(run)
        st.caption(fork_form.line(run) or f"seed {run.seed}", width="content")
        if st.button(text_time.FORK, icon=":material/fork_right:", help=text_time.FORK_HELP, key="fork"):
            fork_form.ask_fork(run, timeline.shown() or run.step)
    speed, at = timeline.speed(), replay.steps(run.id)
    with st.container():
        every = 1 / speed if speed else LIVE if at_work(run) else None
        st.fragment(scrub, run_every=every)(run.id, widgets.look(run), speed, bool(at))
    with st.container():
        st.fragment(watch, run_every=None if at_work(run) else IDLE)(run.id, widgets.look(run), at)
