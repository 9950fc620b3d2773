"""The Runs page: every run in a table; open one on the Train page, or delete some."""

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import queries, text, widgets
from sslcore.events import Run


def row(run: Run) -> dict[str, object]:
    return {
        "open": ":material/open_in_new: Open",
        "state": run.state,
        "method": text.METHODS.get(run.method, run.method),
        "data": text.data_name(run.data),
        "labels": run.labels,
        "seed": run.seed,
        "progress": run.step / max(run.steps, 1),
        "steps": run.steps,
        "test": run.summary.get("test_accuracy"),
        "raw": run.summary.get("test_accuracy_raw"),
        "best": run.summary.get("test_accuracy_at_best"),
        "seconds": text.duration(run.seconds),
        "created": dt.datetime.fromtimestamp(run.created, dt.UTC),
        "name": run.name,
    }


def open_run() -> None:
    """Show the run whose button was pressed on the Train page."""
    shown: list[str] = st.session_state["shown_runs"]
    at = st.session_state["open_click"]["row"]
    if at < len(shown):
        st.session_state["open_run"] = shown[at]


def table(found: list[Run]) -> list[Run]:
    """Draw the table and return the selected runs."""
    column = st.column_config
    ids = st.session_state["shown_runs"] = [run.id for run in found]
    rows = pd.DataFrame([row(run) for run in found])
    shown = [name for name in rows.columns if name != "best" or rows["best"].notna().any()]
    picked = st.dataframe(
        rows, column_order=shown,
        key=f"runs {hash(tuple(ids))}",  # rows are selected by number: with other rows the selection must not stay
        hide_index=True, height="content" if len(found) < 14 else 560, on_select="rerun", selection_mode="multi-row", alt=text.RUNS_ALT,
        column_config={
            "open": column.ButtonColumn("", width=92, type="tertiary", on_click=open_run, key="open_click"),
            "state": column.TextColumn("State"),
            "method": column.TextColumn("Method"),
            "data": column.TextColumn("Data"),
            "labels": column.NumberColumn("Labels", format="localized"),
            "seed": column.NumberColumn("Seed"),
            "progress": column.ProgressColumn("Progress", min_value=0.0, max_value=1.0, format="percent"),
            "steps": column.NumberColumn("Steps", format="localized"),
            "test": column.NumberColumn("Test accuracy", format="percent", help=text.TILE_HELP["test"]),
            "raw": column.NumberColumn("raw", format="percent", help=text.TILE_HELP["raw"]),
            "best": column.NumberColumn("at best validation", format="percent", help=text.BEST_HELP),
            "seconds": column.TextColumn("Time", help="Training time, evaluation included"),
            "created": column.DatetimeColumn("Started", format="distance"),
            "name": column.TextColumn("Run"),
        },
    )  # fmt: skip
    return [found[i] for i in picked["selection"]["rows"] if i < len(found)]


if wanted := st.session_state.pop("open_run", None):
    st.switch_page("views/train.py", query_params={"run": wanted})

found = queries.runs()
st.subheader("Runs", anchor=False)
st.caption(text.RUNS_TEXT)
if not found:
    with st.container(border=True):
        st.markdown(text.RUNS_EMPTY)
        st.page_link("views/train.py", label="Go to Train", icon=":material/play_arrow:")
else:
    chosen = table(found)
    deletable = [run for run in chosen if "delete" in queries.possible(run)]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Open", icon=":material/open_in_new:", disabled=len(chosen) != 1, key="open_selected"):
            st.switch_page("views/train.py", query_params={"run": chosen[0].id})
        if st.button("Delete", icon=":material/delete:", disabled=not deletable, key="delete_selected"):
            widgets.ask_delete(deletable)
        st.caption(text.RUNS_PICK if not chosen else f"{text.plural(len(chosen), 'run')} selected")
