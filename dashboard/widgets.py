"""What two pages share: the state of a run as a pill, its title, and the question before something is lost."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from typing import Literal

import streamlit as st
from streamlit.errors import StreamlitAPIException

from dashboard import queries, text, theme
from sslcore.events import ACTIVE, PAUSED, QUEUED, Run
from sslcore.presets import PRESETS
from sslcore.store import StoreError


def title(run: Run) -> str:
    """Name of a run in plain words: "FlexMatch · Digits · 40 labels", and what is broken on purpose; a name that somebody gave it comes first."""
    plain = (
        f"{text.METHODS.get(run.method, run.method)} · {text.data_name(run.data)} · {text.plural(run.labels, 'label')}"
    )
    preset = PRESETS.get(run.preset)
    plain += f" · {preset.title}" if preset and preset.breaks else ""
    return plain if run.name == run.id else f"{text.shorten(run.name)} · {plain}"


def bind(key: str) -> Literal["query-params"] | None:
    """Return how a box for whole numbers is tied to the address: not at all while that asks for an infinite one.

    Streamlit drops any other value that a box can't hold, but falls over this one.
    """
    try:
        infinite = math.isinf(float(st.query_params.get(key, "")))
    except ValueError:
        return "query-params"
    if not infinite:
        return "query-params"
    with contextlib.suppress(StreamlitAPIException):  # tied already, by going back in the browser's history
        del st.query_params[key]
    return None


def warn_of_missing(found: list[Run]) -> None:
    """Say so if the run that the address names isn't there: what is shown is another one."""
    wanted = st.query_params.get("run", "")
    if wanted and found and all(run.id != wanted for run in found):
        st.warning(text.escape(text.GONE.format(text.shorten(wanted))), icon=":material/link_off:")


def pick_run(found: list[Run]) -> Run | None:
    """Draw a list of the runs and return the picked one: that of the URL, else the newest at work. None if there is none."""

    def to_url() -> None:
        if (
            st.session_state["pick_run"] in by_id
        ):  # else the words of a run that has changed its name or state meanwhile
            st.query_params["run"] = st.session_state["pick_run"]

    by_id = {run.id: run for run in found}
    run = queries.choose(found, st.query_params.get("run", ""))
    if run is None:
        return None
    warn_of_missing(found)
    said = (run.id, _label(run))  # the browser keeps the words that it has, until it is told others
    if st.session_state.get("pick_run") != run.id or st.session_state.get("pick_run_said") != said:
        st.session_state["pick_run"], st.session_state["pick_run_said"] = run.id, said
    picked = st.selectbox(
        "Run", list(by_id), key="pick_run", on_change=to_url,
        format_func=lambda run_id: _label(by_id[run_id]),
    )  # fmt: skip
    return by_id.get(picked, run)


def _label(run: Run) -> str:
    """A line that no other run has: Streamlit tells the options of a list apart by their words."""
    made = run.summary.get("fork")
    fork = f" · fork at step {text.number(made['step'])}" if made else ""
    return f"{title(run)} · seed {run.seed}{fork} · {run.state} · {run.id.rpartition('-')[2]}"


def state_pill(run: Run) -> None:
    color, icon = theme.STATES.get(run.state, ("gray", None))
    st.badge(run.state, icon=icon, color=color)  # type: ignore[arg-type]


def state_line(run: Run) -> str:
    """One sentence about the state of a run, empty while it simply trains."""
    if queries.orphaned(run):
        return text.STATE_LINES["queued_dead"]
    if run.weightless:
        return text.STATE_LINES["weightless"]
    return text.STATE_LINES.get(run.state, "")


def look(run: Run) -> tuple[str, str]:
    """What a page around a run says of it."""
    return run.state, run.name


def moved_on(run_id: str, seen: tuple[str, str]) -> bool:
    """Say whether a run is no longer as the page around it says, or gone: another tab or the command line has changed it."""
    try:
        return look(queries.store().run(run_id)) != seen
    except StoreError:
        return True


def to_come(run: Run) -> bool:
    """Say whether a run will measure more, by itself or when it is told to go on."""
    return run.state in (QUEUED, *ACTIVE, PAUSED) and not queries.orphaned(run)


def awaited(run: Run, what: str) -> str:
    """What stands where nothing is yet: what it waits for, unless the run has ended."""
    return what if to_come(run) else text.NOTHING_MEASURED


def first_accuracy(run: Run) -> str:
    """Say when a run without any accuracy will have its first, empty for one that will not."""
    return text.FIRST_ACCURACY.format(text.number(queries.first_evaluation(run))) if to_come(run) else ""


def pressed(label: str, key: str, *, icon: str, help: str, disabled: bool = False) -> bool:
    """Draw a button that begins something, and say whether it was pressed.

    The press is kept until it is asked for: a button's own value is lost when the page is drawn anew before it gets that far.
    """
    place = f"{key}_pressed"

    def keep() -> None:
        st.session_state[place] = True

    st.button(label, type="primary", icon=icon, key=key, disabled=disabled, help=help, on_click=keep)
    return bool(st.session_state.pop(place, False)) and not disabled


def again(key: str, seconds: float = 0.3) -> bool:
    """Say whether a press of a button is one that has just been answered.

    Beside a fragment's timer Streamlit can deliver one click twice: the timer's request takes it along before its own has
    left. What a button does that the first answer has changed (Pause is Play by then) must not be done for the second.
    """
    now, answered = time.monotonic(), st.session_state.setdefault("answered", {})
    twice = now - answered.get(key, -math.inf) < seconds
    answered[key] = now
    return twice


def attempt(action: Callable[[], object]) -> None:
    """Do what a button asks. A run that is gone meanwhile, or a value that can't be, is one sentence, not a traceback."""
    try:
        action()
    except (StoreError, ValueError) as problem:
        st.toast(text.escape(str(problem)), icon=":material/error:")


def started(run_ids: Iterable[str]) -> None:
    """Remember that this tab started these runs, until its page is loaded anew."""
    st.session_state.setdefault("mine", set()).update(run_ids)


def may_be_anothers(run: Run) -> bool:
    """Whether stopping a run could end what somebody else is waiting for: it is at work, and not known to be this tab's."""
    return run.state in ACTIVE and run.id not in st.session_state.get("mine", set())


@st.dialog("Stop this run?")
def ask_stop(run: Run) -> None:
    """Ask before a run is stopped that may be somebody else's."""
    st.markdown(f"**{text.escape(title(run))}**  \n{text.ASK_STOP}")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Leave it running"):
            st.rerun()
        if st.button("Stop it", type="primary"):
            attempt(lambda: queries.engine().stop(run.id))
            st.rerun()
