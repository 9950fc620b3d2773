"""The time machine's slider: which keyframe is shown, whether it follows the newest one, and whether it plays.

The step stands in the URL; without one the newest is shown, and followed while training goes on. `speed` is the number
of keyframes a second, 0 while nothing plays. The slider is a small component that tells moves as events: a widget of
Streamlit's holds a value of its own in the browser, which would set a playing slider back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from dashboard import guide, guide_tour, replay, text_time, widgets
from dashboard.text import number

SLIDER, AT, FRONT, SPEED, TICK = "time_slider", "time_at", "time_front", "time_speed", "time_tick"  # in the session
URL = "step"
SPEEDS = {"play1": 1, "play4": 4}
TWICE = 0.2  # seconds in which a second press of Next is the same press; a hand is slower
EARLY = 0.7  # share of the time between two keyframes after which a tick may show the next: a click is no tick

_HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "ssl_timeline",
    html='<div class="ssl-timeline"><output></output><input type="range" min="0" step="1"><div class="ticks"></div></div>\n',
    css=(_HERE / "timeline.css").read_text(encoding="utf-8"),
    js=(_HERE / "timeline.js").read_text(encoding="utf-8"),
)


def moment(wanted: int | None, at: Sequence[int], front: int | None) -> int:
    """Return which of the steps `at` to show: the wanted one or the nearest; the newest if none is wanted or it was the `front`."""
    if wanted is None or wanted == front:
        return at[-1]
    found = replay.nearest(wanted, tuple(at))
    assert found is not None
    return found


def beside(step: int, at: Sequence[int], by: int) -> int:
    """Return the step of `at` that is `by` places further, or the first or last."""
    return at[min(max(at.index(step) + by, 0), len(at) - 1)]


def speed() -> int:
    return int(st.session_state.get(SPEED, 0))


def chosen(run_id: str, at: Sequence[int]) -> int:
    """Return the step to show now and remember it: what the slider or the URL says, one further while it plays."""
    state = st.session_state
    if SLIDER not in state:  # the page has just been opened: Streamlit forgets a widget that isn't shown
        state[AT], state[FRONT], state[SPEED] = _in_url(), ("", -1), 0
    known, front = state[FRONT]
    step = moment(state[AT], at, front if known == run_id else None)
    if speed() and _due():
        step = beside(step, at, 1)
        if step == at[-1]:
            state[SPEED] = 0
    state[AT], state[FRONT] = step, (run_id, at[-1])
    if step != at[-1]:
        st.query_params[URL] = str(step)
    elif URL in st.query_params:
        del st.query_params[URL]
    return step


def shown() -> int | None:
    """The step that is shown, None before there is one."""
    found: int | None = st.session_state.get(AT)
    return found


def _in_url() -> int | None:
    found = str(st.query_params.get(URL, ""))
    return int(found) if found.isascii() and found.isdigit() and len(found) < 16 else None


def _due() -> bool:
    now = time.monotonic()
    if now - st.session_state.get(TICK, 0.0) < EARLY / speed():
        return False
    st.session_state[TICK] = now
    return True


def _go(step: int) -> None:
    guide_tour.note(guide.TRAVELLED)
    st.session_state[AT], st.session_state[SPEED] = step, 0


def _moved() -> None:
    step = st.session_state[SLIDER].get("moved")
    if isinstance(step, int):
        _go(step)


def _beside(name: str, to: int) -> None:
    if not widgets.again(name, TWICE):
        _go(to)


def _play(name: str, rate: int, at: Sequence[int]) -> None:
    """Play at a rate, 0 to pause: what the pressed button said."""
    if widgets.again(name):
        return
    guide_tour.note(guide.TRAVELLED)
    st.session_state[SPEED] = rate
    st.session_state[TICK] = time.monotonic()
    if speed() and shown() == at[-1]:
        st.session_state[AT], st.session_state[FRONT] = at[0], ("", -1)


def controls(step: int, at: Sequence[int], training: bool, marks: Mapping[int, tuple[str, str]]) -> None:
    """Draw the slider and its buttons; `chosen` has said which step stands. `marks`: step -> (words, "checkpoint" or "fork")."""
    found = [[i, *marks.get(frame, (f"keyframe at step {number(frame)}", "frame"))] for i, frame in enumerate(at)]
    data = {"steps": list(at), "at": step, "label": text_time.STEP, "marks": found}
    _component(data=data, key=SLIDER, on_moved_change=_moved)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        for name, by in (("previous", -1), ("next", 1)):
            label, icon, about = text_time.BUTTONS[name]
            to = beside(step, at, by)
            st.button(
                label, icon=icon, help=about, key=f"time_{name}", disabled=to == step, on_click=_beside, args=(name, to)
            )
        for name, rate in SPEEDS.items():
            label, icon, about = text_time.BUTTONS[name if speed() != rate else "pause"]
            st.button(
                label, icon=icon, help=about, key=f"time_{name}", disabled=len(at) < 2, on_click=_play,
                args=(name, 0 if speed() == rate else rate, at), type="primary" if speed() == rate else "secondary",
            )  # fmt: skip
        at_front = step == at[-1]
        st.button(
            text_time.LIVE if training else text_time.END, icon=":material/sensors:" if training else ":material/last_page:", key="time_live",
            help=text_time.LIVE_HELP if training else text_time.END_HELP, on_click=_go, args=(at[-1],),
            type="primary" if training and at_front and not speed() else "secondary", disabled=at_front and not training,
        )  # fmt: skip
        st.caption(f"keyframe {number(at.index(step) + 1)} of {number(len(at))}", width="content")
