"""The Train page: choose in the sidebar, start, watch. The shown run stands in the URL, else it is the newest one at work."""

import time

import streamlit as st

from dashboard import fork_form, panel_curves, panel_images, panels, queries, text, widgets
from dashboard.settings_form import Choice, settings_form
from sslcore.events import ACTIVE, QUEUED, Run
from sslcore.store import StoreError

FIRST, TICK, IDLE = (
    0.35,
    1.0,
    2.0,
)  # seconds between two looks: before the first point, while it trains, while nothing does
TWICE = 1.5  # seconds in which a second press of Start with the same settings is the same press


def start(choice: Choice) -> Run:
    """Start what the form says; a double click starts it once."""
    assert choice.config is not None
    key, before = repr(choice.config), st.session_state.get("started", ("", 0.0, ""))
    if key == before[0] and time.monotonic() - before[1] < TWICE:
        run_id = before[2]
    else:
        run_id = queries.engine().start(choice.config, preset=choice.preset)
        st.session_state["started"] = (key, time.monotonic(), run_id)
        st.session_state.setdefault("mine", set()).add(run_id)
    st.query_params["run"] = run_id
    return queries.store().run(run_id)


def command(name: str, run: Run) -> None:
    """Carry out Pause, Resume, Step or Stop; ask first before a run of another tab is stopped."""
    if name == "stop" and run.id not in st.session_state.get("mine", set()) and run.state in ACTIVE:
        st.session_state["ask_stop"] = run.id
        return
    engine = queries.engine()
    action = {"pause": engine.pause, "resume": engine.resume, "step": engine.step, "stop": engine.stop}[name]
    widgets.attempt(lambda: action(run.id))


def toolbar(choice: Choice, run: Run | None) -> Run | None:
    """Draw the buttons and return the run to show: Start changes it."""
    with st.container(horizontal=True, gap="xsmall", width="content", key="toolbar"):
        pressed = st.button(
            "Start", type="primary", icon=":material/play_arrow:", key="start", disabled=choice.config is None, help=text.START_HELP
        )  # fmt: skip
        if pressed and choice.config is not None:
            run = start(choice)
        can = queries.possible(run)
        second = "resume" if "resume" in can else "pause"
        for name in (second, "step", "stop"):
            label, icon, about = text.BUTTONS[name]
            st.button(
                label, icon=icon, key=name, help=about, disabled=name not in can, on_click=command, args=(name, run)
            )
    return run


def heading(run: Run | None) -> None:
    """Name, state and seed of the shown run."""
    if run is None:
        st.subheader(text.EMPTY_TITLE, anchor=False, width="content")
        return
    st.subheader(text.escape(widgets.title(run)), anchor=False, width="content")
    widgets.state_pill(run)
    st.caption(f"seed {run.seed}", width="content")


def queue_strip(found: list[Run], shown: Run | None) -> None:
    """Who else is at work, and who waits."""
    others = [run for run in found if run.state in ACTIVE and (shown is None or run.id != shown.id)]
    lines = [f"**At work:** {text.escape(widgets.title(run))}, seed {run.seed}" for run in others]
    lines += [
        f"**Waiting, number {i}:** {text.escape(widgets.title(run))}, seed {run.seed}"
        for i, run in enumerate(queries.waiting(found), 1)
    ]
    if lines:
        with st.container(border=True, key="queue"):
            st.markdown("  \n".join(lines))


def live(run_id: str, state: str, young: bool, busy: tuple[tuple[str, str], ...]) -> None:
    """Draw the run as it is now; draw the whole page anew when a state has changed since."""
    try:
        run = queries.store().run(run_id)
    except StoreError:  # deleted in another tab
        st.rerun()
    now = queries.snapshot(run)
    if run.state != state or is_young(run) != young or queries.busy() != busy:
        st.rerun()
    panels.progress(run, now)
    panels.verdict(run, now)
    panels.tiles(run, now)
    panel_curves.curves(run, now)
    panel_images.show(run, st.context.theme.type or "light")


def watch(busy: tuple[tuple[str, str], ...]) -> None:
    """While nothing trains here: draw the page anew once another tab or the command line starts something."""
    if queries.busy() != busy:
        st.rerun()


def is_young(run: Run) -> bool:
    """Whether a run has yet to show its first point."""
    return run.state in (QUEUED, *ACTIVE) and run.step == 0


with st.sidebar:
    choice = settings_form()
    found = queries.runs()
    if choice.config is not None and (each := queries.seconds_per_step(found, choice.config)):
        st.caption(
            f"About **{text.duration(each * choice.config.train.steps)}** on this machine, judging by your last run of this kind."
        )

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
    left = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
    run = toolbar(choice, queries.choose(found, st.query_params.get("run", "")))
with left:
    heading(run)
with st.container():  # these always stand here, empty or not: a fragment is found again by its place
    if choice.problem:
        st.error(text.escape(choice.problem), icon=":material/error:")
    found = queries.runs()
    queue_strip(found, run)
    if run is not None and (origin := fork_form.line(run)):
        st.caption(origin)
    if asked := st.session_state.pop("ask_stop", None):
        widgets.attempt(lambda: widgets.ask_stop(queries.store().run(asked)))

busy = queries.busy()
at_work = run is not None and run.state in (QUEUED, *ACTIVE) and not queries.orphaned(run)
with st.container():
    if run is None:
        panels.empty()
    else:
        every = None if not at_work else FIRST if is_young(run) else TICK
        st.fragment(live, run_every=every)(run.id, run.state, is_young(run), busy)
with st.container():
    st.fragment(watch, run_every=None if at_work else IDLE)(busy)
