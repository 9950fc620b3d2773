"""The Runs page: every run in a table that stays up to date; what is ticked is compared, steered, named, saved, deleted."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from dashboard import ask_panel, compare_panel, queries, run_actions, run_files, run_table, selection, text
from dashboard.live_table import live_table
from dashboard.run_table import Filter
from sslcore import events as ev
from sslcore.events import Run
from sslcore.palette import run_mark

TICK, IDLE = 1.0, 2.5  # seconds between two looks: while something trains, while nothing does
FIELD = 171  # pixels: two beside each other on a phone
BIND: Final = "query-params"


def filters(found: list[Run]) -> Filter:
    """Draw the filter and return what it says."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="run_filter"):
        words = st.text_input(
            "Search", key="search", bind=BIND, placeholder="name, note, data", icon=":material/search:", help=text.SEARCH_HELP, width=FIELD,
            live=True,
        )  # fmt: skip
        states = st.multiselect("State", ev.STATES, key="states", bind=BIND, placeholder="any", width=FIELD)
        methods = st.multiselect(
            "Method", list(text.METHODS), format_func=text.METHODS.__getitem__, key="methods", bind=BIND, placeholder="any", width=FIELD
        )  # fmt: skip
        known = sorted({run.data for run in found})
        data = st.multiselect(
            "Data", known, format_func=text.data_name, key="sets", bind=BIND, placeholder="any", width=FIELD
        )
    return Filter(words or "", tuple(states), tuple(methods), tuple(data))


def at_work(found: list[Run]) -> bool:
    """Whether a run trains or will soon, here or in another process."""
    return any(run.state in ev.ACTIVE for run in found) or bool(queries.waiting(found))


def drawn(found: list[Run], ids: list[str]) -> tuple[Any, ...]:
    """What the whole page depends on: when it changes, the page is drawn anew, else the table alone is."""
    moved = tuple((run.id, run.state, run.name, run.note) for run in found if run.id in ids)
    return tuple(ids), moved, at_work(found), frozenset(run.data for run in found)


def table(wanted: Filter, before: tuple[Any, ...]) -> None:
    """Draw the table as the runs are now."""
    found = queries.runs()
    ids = selection.selected()
    if drawn(found, ids) != before or "open_run" in st.session_state:
        st.rerun()
    if not found:
        return
    shown = run_table.ordered([run for run in found if wanted.fits(run)], selection.sort())
    hidden = len(set(ids) - {run.id for run in shown})
    most = selection.most()
    parts = [
        text.plural(len(found), "run")
        if len(shown) == len(found)
        else f"{len(shown):,} of {text.plural(len(found), 'run')}"
    ]
    if ids:
        parts.append(f"**{len(ids):,} selected**" + (f", {hidden:,} of them hidden by the filter" if hidden else ""))
    st.caption(" \u00b7 ".join(parts))
    by_id = {run.id: run for run in found}
    slots = selection.slots([by_id[run] for run in ids if run in by_id])
    live_table(
        run_table.in_sight(shown, ids, most), run_table.shown_columns(found), key=selection.TABLE, sort=selection.sort(), selected=ids,
        session=selection.session(), heard=selection.heard(),
        marks={run: run_mark(by_id[run].method, slot) for run, slot in slots.items()} if len(slots) > 1 else {},
        alt=text.RUNS_ALT, nothing=text.RUNS_NONE_FIT, most=most, more=text.runs_more(most, len(shown)), on_change=selection.take_in,
    )  # fmt: skip


if wanted_run := st.session_state.pop("open_run", None):
    st.switch_page("views/train.py", query_params={"run": wanted_run})

found = queries.runs()
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.subheader("Runs", anchor=False, width="content")
    run_files.import_menu()
st.caption(text.RUNS_TEXT)
if not found:
    with st.container(border=True):
        st.markdown(text.RUNS_EMPTY)
        st.page_link("views/train.py", label="Go to Train", icon=":material/play_arrow:")
wanted = filters(found) if found else Filter()
chosen = queries.some(selection.selected())
if len(chosen) != len(selection.selected()):
    selection.select([run.id for run in chosen])  # some were deleted elsewhere
ids = [run.id for run in chosen]
every = TICK if at_work(found) else IDLE
with st.container():
    st.fragment(table, run_every=every)(wanted, drawn(found, ids))
if found:
    run_actions.toolbar(chosen)
    run_actions.questions()
if chosen:
    run_actions.trouble(chosen)
    slots = selection.slots(chosen)
    compare_panel.curves(chosen, slots)
    compare_panel.settings(chosen, slots)
    if len(chosen) == 1:
        ask_panel.show(chosen[0])
        run_files.command(chosen[0])
elif found:
    st.caption(text.RUNS_PICK)
