"""What is selected on the Runs page and in which order it stands, kept in the URL so that a reload or a shared link shows the same.

The browser's table says what was ticked; this writes it into the URL. A URL that changed without us (a shared link, the
Back button) wins. The drawn runs keep their colours while others come and go.
"""

from __future__ import annotations

import streamlit as st

from dashboard import compare
from dashboard.run_table import NEWEST, SORTS

TABLE = "run_table"  # key of the component
IN_URL = 40  # runs at most that an address names; a longer selection lasts as long as the tab


def selected() -> list[str]:
    """Ids of the selected runs, in the order in which they were ticked."""
    said = st.query_params.get("select", "")
    if said != st.session_state.get("select_said", ""):
        st.session_state["select_said"] = said
        st.session_state["selected"] = list(dict.fromkeys(part for part in said.split(",") if part))
    return list(st.session_state.get("selected", []))


def select(runs: list[str]) -> None:
    """Select these runs and no others."""
    said = ",".join(runs[:IN_URL])
    st.session_state["selected"], st.session_state["select_said"] = list(runs), said
    if said:
        st.query_params["select"] = said
    else:
        st.query_params.pop("select", None)


def heard() -> int:
    """Number of the browser's last change of the selection that was taken in."""
    return int(st.session_state.get("select_heard", 0))


def sort() -> str:
    """Column that the table is ordered by, `-` before it for the other way round."""
    said = st.query_params.get("sort", NEWEST)
    return said if said in SORTS else NEWEST


def slots(runs: list[str]) -> dict[str, int]:
    """Colour number of each drawn run."""
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
    if said.get("sort") in SORTS:
        if said["sort"] == NEWEST:
            st.query_params.pop("sort", None)
        else:
            st.query_params["sort"] = said["sort"]
    if said.get("open"):
        st.session_state["open_run"] = str(said["open"])
