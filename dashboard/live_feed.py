"""All that a tick changes in the charts of a page, in one message: of each chart only what is new since the last one.

The charts are mounted once, empty (`live_chart.live_chart(None, ...)`), and listen for it in the browser. A message names
the one before it; a browser that has not got that one says so and is sent everything. So a tick draws one element, not a
page of them, and sends a few kilobytes, however long the curves.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard.served import LOADER, served

Parts = tuple[str, ...]  # of one chart, as `live_chart.split` makes them; or a table as one JSON text

_feed = st.components.v2.component(
    "ssl_live_feed", html=f'<div data-role="feed" {served("live_feed")} hidden></div>\n', js=LOADER, isolate_styles=False
)  # fmt: skip
_table = st.components.v2.component(
    "ssl_live_numbers",
    html=f'<div class="ssl-numbers" data-role="table" {served("live_feed")}><table></table><p></p></div>\n',
    js=LOADER,
    isolate_styles=False,
)
_watch = st.components.v2.component(
    "ssl_frame_watch", html=f'<div data-role="frames" {served("live_feed")} hidden></div>\n', js=LOADER, isolate_styles=False
)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """What this session's browser has got: the name of the last message, what it was about, and the charts as they are there."""

    name: str
    view: str
    charts: Mapping[str, Parts]


def feed(charts: Mapping[str, Parts], *, view: str, frame: int | None) -> None:
    """Tell the browser the charts as they are now; `view` names the run, `frame` the step of its newest keyframe."""
    sent: Sent | None = st.session_state.get("fed")
    known = sent if sent is not None and sent.view == view else None
    name = secrets.token_hex(4)
    st.session_state["fed"] = Sent(name, view, dict(charts))
    _feed(data=message(charts, known, name=name, view=view, frame=frame), key="feed", height=1, on_missed_change=afresh)


def afresh() -> None:
    """Forget what was sent: the next message holds everything. Called before a page is drawn anew, too."""
    st.session_state.pop("fed", None)


def message(charts: Mapping[str, Parts], known: Sent | None, *, name: str, view: str, frame: int | None) -> bytes:
    """Return the message that turns what is known into `charts`; charts that have not changed are not in it."""
    before = known.charts if known else {}
    changed = {key: changes(before.get(key, ()), parts) for key, parts in charts.items() if before.get(key) != parts}
    head = {"name": name, "since": known.name if known else "", "view": view, "frame": frame}
    return json.dumps(head | {"charts": changed}, separators=(",", ":")).encode()


def changes(old: Sequence[str], new: Sequence[str]) -> list[list[int | str]]:
    """Return for each text of `new` how many signs of the one in its place stay, and what follows those."""
    found: list[list[int | str]] = []
    for i, text in enumerate(new):
        keep = common(old[i], text) if i < len(old) else 0
        found.append([keep, text[keep:]])
    return found


def common(old: str, new: str) -> int:
    """Return the number of signs with which both texts begin: curves grow at their end."""
    if old == new:
        return len(new)
    low, high = 0, min(len(old), len(new))
    while low < high:  # the first `low` signs are the same, and no more than `high` are
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle - 1)
    return low


def table(name: str, *, view: str, height: int, wait: str) -> None:
    """Draw the place of a table that the feed fills: its chart `name` is one JSON text, rows of words, the first the headings."""
    _table(data={"name": name, "view": view, "wait": wait, "height": height}, key=f"table_{name}", height=height)


def frame_watch(step: int | None, *, view: str) -> None:
    """Draw again the fragment that this stands in when the feed tells of a newer keyframe than `step` and it is in sight."""
    _watch(data={"step": step, "view": view}, key="frame_watch", height=1, on_frame_change=lambda: None)
