"""What the Guide does on every page: notes deeds, hides what `?hide=` names, and shows one line while a tour is on.

The session keeps these and the run that is looked at, since Streamlit empties the address when a person changes the page by its list.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import guide, queries
from dashboard import text_guide as words
from dashboard.guide import HIDE, PAGES, STEPS, TOUR, Seen, Step

NEWEST = 20  # runs whose events are looked through
TICK = 2.0  # seconds between two looks at whether a step is done
RUN = "run"  # in the address and in the session: the run that was looked at last
OF_A_RUN = ("train", "pseudo", "time")  # pages that show one
DEEDS = "deeds"  # in the session: names of what was done, as in `guide`, and of the steps that were
PARTS = {  # part -> what CSS calls it
    "controls": "[data-testid=stSidebar], [data-testid=stSidebarCollapsedControl], [data-testid=stExpandSidebarButton]",
    "toolbar": ".st-key-toolbar, .st-key-sweep_toolbar, .st-key-run_actions, .st-key-race_start, .st-key-race_pause, .st-key-race_resume",
    "menu": "[data-testid=stHeader], [data-testid=stToolbar]",
}


def enter(url_path: str) -> None:
    """Begin a page: to be called before anything of it is drawn."""
    name = next((name for name, (path, _, _) in PAGES.items() if path == url_path), "")
    state = st.session_state
    if asked := guide.step_number(st.query_params.get(TOUR, "")):
        state[TOUR] = asked
    if HIDE in st.query_params:
        state[HIDE] = guide.hidden(st.query_params[HIDE])
    elif state.get(HIDE):
        st.query_params[HIDE] = ",".join(sorted(state[HIDE]))
    if name in OF_A_RUN:
        if RUN in st.query_params:
            state[RUN] = st.query_params[RUN]
        elif state.get(RUN) and queries.some([state[RUN]]):
            st.query_params[RUN] = state[RUN]
    selectors = ", ".join(PARTS[part] for part in sorted(hidden()))
    with st.container():
        if selectors:
            st.html(f"<style>{selectors} {{ display: none !important; }}</style>")
    with st.container():
        if current() and name != "guide":
            number = int(state[TOUR])
            st.fragment(_line, run_every=None if done([STEPS[number - 1]])[0] else TICK)(number)


def hidden() -> frozenset[str]:
    found: frozenset[str] = st.session_state.get(HIDE, frozenset())
    return found


def show_all() -> None:
    st.session_state.pop(HIDE, None)
    st.query_params.pop(HIDE, None)


def current() -> int | None:
    """Number of the tour's step, from 1; None while no tour is on."""
    return guide.step_number(st.session_state.get(TOUR, ""))


def go(number: int) -> None:
    """Show a step of the tour."""
    st.session_state[TOUR] = number
    st.query_params[TOUR] = str(number)


def leave() -> None:
    """End the tour."""
    st.session_state.pop(TOUR, None)
    st.query_params.pop(TOUR, None)


def done(steps: Sequence[Step]) -> list[bool]:
    """Which steps are done, by anybody in this folder of runs or in this tab; what was done once stays done in this tab."""
    runs, deeds = queries.runs(), st.session_state.get(DEEDS, frozenset())
    events = {run.id: queries.store().events(run.id) for run in runs[:NEWEST]}
    now = Seen(runs, events, deeds)
    found = [step.id in deeds or step.done(now) for step in steps]
    for step, ok in zip(steps, found, strict=True):
        if ok:
            note(step.id)
    return found


def note(deed: str) -> None:
    """Remember, as long as the tab is open, that something was done which a step asks for."""
    st.session_state[DEEDS] = st.session_state.get(DEEDS, frozenset()) | {deed}


def link(step: Step, number: int) -> None:
    """Link to the page of a step, with the tour's place in its address."""
    page = PAGES[step.page]
    st.page_link(
        page[1],
        label=f"Open {page[2]}",
        icon=":material/arrow_forward:",
        query_params={**step.params, TOUR: str(number)},
    )


def _line(number: int) -> None:
    """One slim line: where the tour is, whether the step is done, and the way back."""
    step = STEPS[number - 1]
    (is_done,) = done([step])
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="tour_line"):
        st.markdown(f"**Guide, step {number} of {len(STEPS)}:** {step.do}", width="content")
        if is_done:
            st.badge(words.DONE, icon=":material/check:", color="green")
        st.page_link(
            PAGES["guide"][1], label="Back to the Guide", icon=":material/school:", width="content",
            query_params={TOUR: str(min(number + 1, len(STEPS)) if is_done else number)},
        )  # fmt: skip
