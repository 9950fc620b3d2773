"""The Label curves page: choose a sweep in the sidebar, see its cost, start, and watch the points appear. Cells open their runs."""

from __future__ import annotations

import threading
from typing import Any, Final

import streamlit as st

from dashboard import curve_form, curve_panel, curve_queries, queries, race_panel, text, widgets
from dashboard import text_curves as words
from dashboard.curve_queries import Look
from sslcore import events as ev
from sslcore import published, sweep_run
from sslcore.sweep import Plan

TICK, IDLE = 1.0, 2.5  # seconds between two looks: while something trains, while nothing does
BIND: Final = "query-params"


def start(plan: Plan, again: bool = False) -> None:
    widgets.attempt(lambda: sweep_run.queue(queries.engine(), plan, again))


def pause(plan: Plan) -> None:
    widgets.attempt(lambda: sweep_run.pause(queries.engine(), plan))


def measure(now: Look) -> None:
    """Time a few steps of each method in a thread of its own, whose settings end with it."""
    found: dict[str, float] = {}
    problems: list[Exception] = []

    def work() -> None:
        from sslcore import cost

        try:
            found.update(cost.measure(now.grid))
        except Exception as problem:  # whatever a run of it would say
            problems.append(problem)

    thread = threading.Thread(target=work, daemon=True, name="ssl-measure")
    with st.spinner("Taking a few steps"):
        thread.start()
        thread.join()
    if problems:
        st.toast(text.escape(str(problems[0]).splitlines()[0]), icon=":material/error:")
    st.session_state["measured"] = {**st.session_state.get("measured", {}), **found}


def steer(now: Look) -> None:
    """Start or go on, pause, try again."""
    st.button(
        words.GO_ON if now.found else words.START, type="primary", icon=":material/play_arrow:", key="sweep_start", disabled=not now.to_go,
        help=words.START_HELP, on_click=start, args=(now.plan,),
    )  # fmt: skip
    st.button(
        "Pause all", icon=":material/pause:", key="sweep_pause", disabled=not (now.waiting or now.working), help=words.PAUSE_HELP,
        on_click=pause, args=(now.plan,),
    )  # fmt: skip
    if now.failed:
        st.button(
            "Try failed again", icon=":material/refresh:", key="sweep_again", help=words.AGAIN_HELP, on_click=start, args=(now.plan, True)
        )  # fmt: skip


def toolbar(now: Look, race: bool) -> None:
    """What can be done with the sweep; beside a race, which has such buttons of its own, those that steer it are left out."""
    with st.container(horizontal=True, gap="xsmall", width="content", key="sweep_toolbar"):
        if not race:
            steer(now)
        curve_panel.save_menu(now.plan, tuple(st.session_state.get("beside") or ()))
        with st.popover(words.EARLIER, icon=":material/history:", key="earlier"):
            st.caption(words.EARLIER_HELP)
            kept = curve_queries.kept()
            if not kept:
                st.caption(words.EARLIER_NONE)
            for number, plan in enumerate(kept[:12]):
                label = text.escape(curve_form.describe(plan))
                st.button(label, key=f"earlier_{number}", type="tertiary", on_click=curve_form.fill, args=(plan,))


def costs(now: Look) -> None:
    """What is left to be trained, in runs and minutes."""
    runs = queries.store().runs()
    measured: dict[str, float] = st.session_state.get("measured", {})
    left, note = curve_queries.seconds_left(now, runs, measured)
    config = now.grid[0].config
    share = f" That is {published.budget(config)}." if published.budget(config) else ""
    open_runs = now.to_go + now.waiting + now.working
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        told = words.runs_and_minutes(open_runs, left, note)
        st.markdown(f"{told} {config.train.steps:,} steps each.{share}", width="content")
        if left is None and open_runs:
            st.button(
                "Measure a few steps",
                key="measure",
                icon=":material/speed:",
                help=words.MEASURE_HELP + f" {words.MEASURE_PLAIN}" * config.train.compile,
                on_click=measure,
                args=(now,),
            )


def drawn(now: Look) -> tuple[Any, ...]:
    """What the controls depend on: when it changes, the whole page is drawn anew, else the live part alone is."""
    return bool(now.to_go), bool(now.found), bool(now.waiting or now.working), bool(now.failed), now.elsewhere


def live(plan: Plan, before: tuple[Any, ...]) -> None:
    """Draw how far a sweep is, and its grid; the whole page anew when what may be pressed has changed."""
    now = curve_queries.look(plan, queries.runs())
    if drawn(now) != before or "open_run" in st.session_state:
        st.rerun()
    resting = now.to_go - now.missing
    told = words.tally(now.finished, len(now.grid), now.working, now.waiting, resting, now.missing, now.failed)
    st.progress(now.finished / len(now.grid), text=told)
    costs(now)
    if now.elsewhere:
        st.caption(words.ELSEWHERE)
    if now.outdated:
        st.caption(words.outdated(now.outdated))
    curve_panel.grid(now)


def live_view(plan: Plan, view: str, asked: Any) -> None:
    """Draw what has come of a sweep by now."""
    now = curve_queries.look(plan, queries.store().runs())
    if view == "classes":
        curve_panel.classes(now, *asked)
    else:
        curve_panel.draw_curve(now, asked)


def live_race(race: str, before: tuple[tuple[str, str], ...]) -> None:
    """Draw a race as it is now; the whole page anew once a state has changed."""
    queries.store().reconcile()
    runs = curve_queries.races(queries.store().runs()).get(race, [])
    if tuple((run.id, run.state) for run in runs) != before:
        st.rerun()
    race_panel.draw(runs)


if wanted_run := st.session_state.pop("open_run", None):
    st.switch_page("views/train.py", query_params={"run": wanted_run})

with st.sidebar:
    asked = curve_form.form()
found = queries.runs()
now = curve_queries.look(asked.plan, found) if asked.plan else None
head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small")
head.subheader(words.TITLE, anchor=False, width="content")
st.caption(words.ABOUT)
with st.container():
    if asked.problem:
        st.error(text.escape(asked.problem), icon=":material/error:")
view = st.segmented_control(
    "View", list(words.VIEWS), default="curve", required=True, format_func=words.VIEWS.__getitem__, key="view", bind=BIND,
    label_visibility="collapsed",
)  # fmt: skip
with head:
    if now is not None:
        toolbar(now, view == "race")
every = TICK if now is not None and (now.working or now.waiting) else IDLE
with st.container():
    if now is not None and view != "race":
        st.fragment(live, run_every=every)(now.plan, drawn(now))
with st.container():
    if view == "race":
        st.caption(words.RACE_TEXT)
        races = curve_queries.races(found)
        shown = race_panel.controls(asked.plan, races)
        states = tuple((run.id, run.state) for run in races.get(shown, []))
        at_work = any(state in (ev.QUEUED, *ev.ACTIVE) for _, state in states)
        st.fragment(live_race, run_every=TICK if at_work else IDLE)(shown, states)
    elif now is not None:
        controls: Any = (
            curve_panel.class_controls(now.plan) if view == "classes" else curve_panel.reading_controls(now.plan)
        )
        st.fragment(live_view, run_every=every)(now.plan, view, controls)
