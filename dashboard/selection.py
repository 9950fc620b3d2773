"""What is selected on the Runs page and in which order it stands, kept in the URL so that a reload or a shared link shows the same.

The browser's table says what was ticked; this writes it into the URL. A URL that changed without us (a shared link, the
Back button) wins. The drawn runs keep their colours while others come and go.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import streamlit as st

from dashboard import compare, guide, guide_tour
from dashboard.run_table import NEWEST, SORTS
from sslcore.events import Run

TABLE = "run_table"  # key of the component
IN_URL = 40  # runs at most that an address names; a longer selection lasts as long as the tab
NO_FILTER: dict[str, Any] = {"search": "", "states": [], "methods": [], "sets": []}  # keys of the filter's fields
ROWS = 200  # runs that are drawn at first, and more with each press
LATE = 8.0  # seconds in which a request may still carry the address of before our last change: on a busy machine it waits that long


def _read(name: str, usual: str) -> tuple[str, bool]:
    """Return what the address says of a name, and whether somebody else wrote it.

    A request that was under way when we changed the address carries the old one: taken for the Back button it would undo
    a tick.
    """
    said = st.query_params.get(name, usual)
    ours = st.session_state.get(f"{name} written")
    if said == ours:
        return said, False
    if ours is not None and time.monotonic() - st.session_state[f"{name} before"].get(said, -LATE) < LATE:
        _say(name, ours, usual)
        return ours, False
    st.session_state[f"{name} written"] = said
    st.session_state[f"{name} before"] = {}
    return said, True


def _write(name: str, value: str, usual: str) -> None:
    ours, now = st.session_state.get(f"{name} written", usual), time.monotonic()
    before = {said: at for said, at in st.session_state.get(f"{name} before", {}).items() if now - at < LATE}
    st.session_state[f"{name} written"] = value
    st.session_state[f"{name} before"] = before | {ours: now}
    _say(name, value, usual)


def _say(name: str, value: str, usual: str) -> None:
    if value != usual:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def selected() -> list[str]:
    """Ids of the selected runs, in the order in which they were ticked."""
    said, foreign = _read("select", "")
    if foreign:
        st.session_state["selected"] = list(dict.fromkeys(part for part in said.split(",") if part))
    return list(st.session_state["selected"])


def select(runs: list[str]) -> None:
    """Select these runs and no others."""
    st.session_state["selected"] = list(runs)
    _write("select", ",".join(runs[:IN_URL]), "")


def find(run: str) -> None:
    """Select this run alone, with no filter that could hide it; called before the filter is drawn."""
    select([run])
    st.session_state.update(NO_FILTER)


def heard() -> int:
    """Number of the browser's last change of the selection that was taken in."""
    return int(st.session_state.get("select_heard", 0))


def session() -> str:
    """A name for this session: after a reload, or a long sleep of the laptop, the browser's count begins anew."""
    name: str = st.session_state.setdefault("select_session", secrets.token_hex(4))
    return name


def sort() -> str:
    """Column that the table is ordered by, `-` before it for the other way round."""
    said, _ = _read("sort", NEWEST)
    return said if said in SORTS else NEWEST


def most() -> int:
    """How many runs the table draws."""
    said, _ = _read("rows", str(ROWS))
    return max(int(said), ROWS) if said.isdecimal() and len(said) < 9 else ROWS


def slots(runs: list[Run]) -> dict[str, int]:
    """Slot (colour and dash) of each drawn run."""
    found: dict[str, int] = compare.slots(st.session_state.get("select_slots", {}), runs)
    st.session_state["select_slots"] = found
    return found


def take_in() -> None:
    """Do what the reader did in the table: tick, sort, or ask to open a run."""
    said = st.session_state[TABLE]
    picked = said.get("picked")
    if isinstance(picked, dict) and isinstance(picked.get("n"), int) and picked["n"] > heard():
        st.session_state["select_heard"] = picked["n"]
        select([str(run) for run in picked.get("ids", [])])
        if len(selected()) > 1:
            guide_tour.note(guide.COMPARED)
    if said.get("sort") in SORTS:
        _write("sort", said["sort"], NEWEST)
    if said.get("more"):
        _write("rows", str(most() + ROWS), str(ROWS))
    if said.get("open"):
        st.session_state["open_run"] = str(said["open"])
