"""The Train page: choose in the sidebar, start, watch. The shown run stands in the URL, else it is the newest one at work."""

import time
from dataclasses import replace

import streamlit as st

from dashboard import fork_form, live_feed, panel_curves, panel_images, panels, queries, text, widgets
from dashboard.live_settings import live_settings
from dashboard.live_tiles import live_tiles
from dashboard.pulse import is_young, pulse
from dashboard.settings_form import Choice, settings_form
from sslcore.events import ACTIVE, QUEUED, Run
from sslcore.store import StoreError

# Seconds between two looks: before the first point, while it trains or waits, while nothing does.
FIRST, TICK, IDLE = 0.2, 1.0, 2.0
MOST_WAITING = 5  # runs of the queue that are named
MOST_STEPS = 10_000  # that one press of Step may take
SETTLE = 0.15  # seconds in which a run whose turn it is has left the queue
TWICE = 1.5  # seconds in which a second press of Start with the same settings is the same press


def begun(run_id: str) -> Run:
    """Return the run, once it trains if it is its turn: drawn while it is queued, the whole page would be drawn again at once."""
    deadline = time.monotonic() + SETTLE
    while (run := queries.store().run(run_id)).state == QUEUED and time.monotonic() < deadline:
        if any(state in ACTIVE for _, state in queries.store().at_work()):
            break
        time.sleep(0.01)
    return run


def start(choice: Choice) -> Run:
    """Start what the form says; a double click starts it once."""
    assert choice.config is not None
    key, before = repr(choice.config), st.session_state.get("started", ("", 0.0, ""))
    if key == before[0] and time.monotonic() - before[1] < TWICE:
        run_id = before[2]
    else:
        run_id = queries.engine().start(choice.config, preset=choice.preset)
        st.session_state["started"] = (key, time.monotonic(), run_id)
        widgets.started([run_id])
    st.query_params["run"] = run_id
    return begun(run_id)


def command(name: str, run: Run) -> None:
    """Carry out Pause, Resume, Step or Stop; ask first before a run is stopped that may be somebody else's."""
    if name == "stop" and widgets.may_be_anothers(run):
        st.session_state["ask_stop"] = run.id
        return
    engine = queries.engine()
    steps = int(st.session_state.get("n", 1))
    actions = {
        "pause": engine.pause,
        "resume": engine.resume,
        "step": lambda run_id: None if widgets.again(f"step {run_id}") else engine.step(run_id, steps),
        "stop": engine.stop,
    }
    widgets.attempt(lambda: actions[name](run.id))
    if name in ("resume", "step"):
        widgets.attempt(lambda: begun(run.id))


def toolbar(choice: Choice, run: Run | None) -> Run | None:
    """Draw the buttons and return the run to show: Start changes it."""
    with st.container(horizontal=True, gap="xsmall", width="content", key="toolbar"):
        if widgets.pressed(
            "Start", "start", icon=":material/play_arrow:", help=text.START_HELP, disabled=choice.config is None
        ):
            run = start(choice)
        can = queries.possible(run)
        second = "resume" if "resume" in can else "pause"
        for name in (second, "step", "stop"):
            label, icon, about = text.BUTTONS[name]
            st.button(
                label, icon=icon, key=name, help=about, disabled=name not in can, on_click=command, args=(name, run)
            )
            if name == "step":
                st.number_input(
                    "Steps", 1, MOST_STEPS, 1, key="n", bind=widgets.bind("n"), width=104, label_visibility="collapsed", help=text.STEPS_HELP
                )  # fmt: skip
        live_settings(run)
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
    """Who else is at work, and who waits, each with a button that takes it out of the queue."""
    others = [run for run in found if run.state in ACTIVE and (shown is None or run.id != shown.id)]
    queue = queries.waiting(found)
    if not others and not queue:
        return
    with st.container(border=True, key="queue", gap="xsmall"):
        for run in others:
            st.markdown(f"**At work:** {text.escape(widgets.title(run))}, seed {run.seed}")
        for place, run in enumerate(queue[:MOST_WAITING], 1):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(
                    f"**Waiting, number {place}:** {text.escape(widgets.title(run))}, seed {run.seed}", width="content"
                )
                st.button(
                    "Cancel", key=f"cancel_{run.id}", icon=":material/close:", type="tertiary", help="Take this run out of the queue; Resume puts it back",
                    on_click=cancel, args=(run.id,),
                )  # fmt: skip
        if len(queue) > MOST_WAITING:
            st.caption(text.QUEUE_MORE.format(len(queue) - MOST_WAITING))


def cancel(run_id: str) -> None:
    """Take a run out of the queue; one that has begun meanwhile is left alone."""
    if queries.store().run(run_id).state == QUEUED:
        queries.engine().stop(run_id)


def live(run_id: str, state: tuple[object, ...]) -> None:
    """Draw the run as it is now, its charts through the feed; draw the whole page anew when its state has changed since."""
    try:
        seen = pulse(run_id)
    except StoreError:  # deleted in another tab
        st.rerun()
    if seen.state != state:
        st.rerun()
    panels.progress(seen.run, seen.now)
    with st.container(key="verdict"):  # as high with one sentence as with two: what comes and goes moves nothing
        panels.verdict(seen.run, seen.now)
    told = {"tiles": panels.tiles(seen.run, seen.now), **panel_curves.tell(seen.run, seen.now, seen.origin)}
    live_feed.feed(told, view=run_id, frame=None if is_young(seen.run) else seen.frame)


def pictures(run_id: str) -> None:
    """Draw what the newest keyframe has to say; drawn again when the feed tells of a newer one."""
    try:
        run = queries.store().run(run_id)
    except StoreError:
        st.rerun()
    panel_images.show(run, st.context.theme.type or "light", is_young(run))


def watch(busy: tuple[tuple[str, str], ...], shown: Run | None) -> None:
    """While nothing trains here: draw the page anew once another tab or the command line starts something, or changes this run."""
    if queries.busy() != busy or (shown and widgets.moved_on(shown.id, widgets.look(shown))):
        st.rerun()


with st.sidebar:
    choice = settings_form()
    found = queries.runs()
    if choice.config is not None:
        reckoned = queries.estimate(found, choice.config)
        took, other = reckoned or (0.0, "")
        told = text.ESTIMATE_NONE if reckoned is None else text.ESTIMATE_SCALED if other else text.ESTIMATE_ALIKE
        st.caption(told.format(text.duration(took), text.METHODS.get(other, other)))

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
    left = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
    run = toolbar(choice, queries.choose(found, st.query_params.get("run", "")))
with left:
    heading(run)
with st.container():  # these always stand here, empty or not: a fragment is found again by its place
    if choice.problem:
        st.error(text.escape(choice.problem), icon=":material/error:")
    for sentence in choice.refused:
        st.warning(sentence, icon=":material/link_off:")
    found = queries.runs()
    widgets.warn_of_missing(found)
    queue_strip(found, run)
    if run is not None and (origin := fork_form.line(run)):
        st.caption(origin)
    if asked := st.session_state.pop("ask_stop", None):
        widgets.attempt(lambda: widgets.ask_stop(queries.store().run(asked)))

at_work = run is not None and run.state in (QUEUED, *ACTIVE) and not queries.orphaned(run)
with st.container():
    busy = queries.at_work(found)
    if run is None:
        panels.empty()
    else:
        seen = pulse(run.id, fresh=True)
        drawn = replace(seen, run=run, busy=busy).state  # what stands above, even if it is no longer so
        above = st.container(gap="xsmall")
        live_tiles("tiles", view=run.id)
        panel_curves.cards(run, seen.now)
        live_feed.afresh()
        with above:  # after the cards: it reads what is chosen there
            soon = is_young(run) and run.state != QUEUED
            every = None if not at_work else FIRST if soon else TICK
            st.fragment(live, run_every=every, key=panel_curves.LIVE)(run.id, drawn)
        st.fragment(pictures, key="pictures")(run.id)
with st.container():
    st.fragment(watch, run_every=None if at_work else IDLE)(busy, run)
