"""The table of runs: a Components-v2 component that keeps selection, scroll position and focus while its numbers change.

`st.dataframe` selects rows by number, so that a run that appears on top would move the selection to its neighbours,
and it keeps its own order, out of the URL's reach. This one selects by run, and the page decides the order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from dashboard import theme
from dashboard.run_table import Column, row
from dashboard.served import LOADER, served
from sslcore.events import Run

_component = st.components.v2.component(
    "ssl_live_table",
    html=f'<div class="ssl-runs" {served("live_table")}></div>\n',
    js=LOADER,
    isolate_styles=False,
)


def live_table(
    runs: Sequence[Run],
    columns: Sequence[Column],
    *,
    key: str,
    sort: str,
    selected: Sequence[str],
    session: str,
    heard: int,
    marks: Mapping[str, tuple[str, str]],
    alt: str,
    nothing: str,
    most: int,
    more: str,
    on_change: Callable[[], None],
) -> None:
    """Draw the runs in the given order; call it again with the same `key` to change what stands in it.

    What the reader does arrives in `st.session_state[key]`, announced by `on_change`: `picked` = {"ids": [...], "n": k},
    and the triggers `sort` (a column's name) and `open` (a run's id). `heard` is the last `n` that was taken in: until
    then the browser keeps its own, newer selection; `session` tells one count from another. `marks`: run -> (colour,
    dash) of its curve. `nothing`: what stands there without a row. Of thousands of runs the first `most` are drawn, with
    `more` on a button for the next (the trigger `more`); ticking all ticks the others, too.
    """
    data = {
            "columns": [[column.name, column.label, column.kind, column.first, column.help] for column in columns],
            "rows": [row(run, columns) for run in runs[:most]], "rest": [run.id for run in runs[most:]], "more": more,
            "sort": sort, "selected": list(selected), "session": session, "heard": heard, "marks": {run: list(mark) for run, mark in marks.items()},
            "colors": {state: color for state, (color, _) in theme.STATES.items()}, "alt": alt, "nothing": nothing,
    }  # fmt: skip
    _component(
        # As bytes: Streamlit would turn a dict of hundreds of rows into JSON twice.
        data=json.dumps(data, separators=(",", ":")).encode(), key=key,
        on_picked_change=on_change, on_sort_change=on_change, on_open_change=on_change, on_more_change=on_change,
    )  # fmt: skip
