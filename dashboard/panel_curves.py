"""The curves and class charts of the Train page, card by card; which ones, the method decides.

The cards are drawn once, with empty charts; `tell` hands their content to the page's feed at every tick. A figure is built
once for each (run, version, view), whoever watches; the cards always stand in the same order and at the same height.
"""

from __future__ import annotations

import json
import threading
from functools import lru_cache

import streamlit as st

from dashboard import branch, charts, charts_classes, live_feed, queries, text, widgets
from dashboard.live_chart import live_chart, split
from dashboard.live_feed import Parts
from dashboard.queries import Snapshot
from sslcore.events import Run

CHART_HEIGHT = 300
CARDS = {  # method -> what it has something to say in, after the losses
    "supervised": ("accuracy", "parts", "numbers", "recall"),
    "mixmatch": ("accuracy", "parts", "numbers", "mask", "pseudo", "recall"),
    "fixmatch": ("accuracy", "parts", "numbers", "mask", "coverage", "pseudo", "recall"),
    "flexmatch": ("accuracy", "parts", "numbers", "mask", "coverage", "threshold", "lanes", "pseudo", "recall"),
}
Origin = tuple[Snapshot, int] | None  # of a fork: the curves of its original, and where it left them
BY_CLASS = ("threshold", "lanes", "pseudo", "recall")
SMOOTHED = ("loss", "mask", "coverage")
LIVE = "live"  # key of the fragment that calls `tell`


def cards_of(run: Run) -> tuple[str, ...]:
    return CARDS.get(run.method, CARDS["fixmatch"])


def cards(run: Run, now: Snapshot) -> None:
    """Draw the places of the charts that a method has something to say in, and what changes their view."""
    grid = st.grid(2, min_column_width=340)
    with grid.cell(), st.container(border=True, gap="xsmall", key="card_loss"):
        which = f"loss/{run.method}" if f"loss/{run.method}" in text.CHARTS else "loss"
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.markdown(f"**{text.CHARTS[which][0]}**", width="content")
            with st.container(horizontal=True, gap="medium", width="content"):
                st.toggle("Log scale", key="log", bind="query-params", on_change=_again)
                st.toggle("Smooth", value=True, key="smooth", bind="query-params", on_change=_again)
        st.caption(text.CHARTS[which][1])
        _chart(run, "loss")
    if set(cards_of(run)) & set(BY_CLASS):
        _choose(_names(run, now))
    for kind in cards_of(run):
        with grid.cell(), st.container(border=True, gap="xsmall", key=f"card_{kind}"):
            title, about = text.CHARTS[f"mask/{run.method}" if kind == "mask" else kind]
            st.markdown(f"**{title}**")
            st.caption(about)
            _chart(run, kind)


def tell(run: Run, now: Snapshot, origin: Origin) -> dict[str, Parts]:
    """Return what stands in the charts and the table now, by the key of each."""
    names = _names(run, now)
    tau = float(run.config["method"].get("threshold", 0.0))
    log, smooth = bool(st.session_state.get("log")), bool(st.session_state.get("smooth", True))
    wanted = st.session_state.get("classes", ()) if len(names) > charts_classes.MOST_CLASSES else ()
    found: dict[str, Parts] = {}
    for kind in ("loss", *cards_of(run)):
        by_class = kind in BY_CLASS
        found[f"chart_{kind}"] = _figure(
            kind, now, run.steps, names if by_class else (), tau if by_class else 0.0, tuple(wanted) if by_class else (),
            origin=origin if kind in branch.KINDS else None, log=log and kind in ("loss", "parts"), smooth=smooth and kind in SMOOTHED,
        )  # fmt: skip
    return found


def _again() -> None:
    """A view was changed: only what feeds the charts is run again, not the page."""
    st.rerun(LIVE)


def _names(run: Run, now: Snapshot) -> tuple[str, ...]:
    return tuple(queries.class_names(run, max(len(now.pseudo), len(now.recall), now.threshold[1].shape[1])))


def numbers(now: Snapshot) -> Parts:
    """Loss, top-1 and top-5 of every part at the last evaluation, EMA and raw, as rows of a table; only headings before the first."""
    rows = [["part", "weights", "loss", "top-1", "top-5"]]
    for part, title in text.PARTS.items():
        for suffix, weights in (("", "EMA"), ("/raw", "raw")):
            loss, top1, top5 = (now.last(f"eval/{part}/{what}{suffix}") for what in ("loss", "accuracy", "top5"))
            if loss is not None or top1 is not None:
                tops = (text.percent(top) or "\u2013" for top in (top1, top5))
                rows.append([title, weights, "\u2013" if loss is None else text.loss(loss), *tops])
    return (json.dumps(rows),)


def _choose(names: tuple[str, ...]) -> None:
    """With many classes: let a person search for those to draw."""
    if len(names) <= charts_classes.MOST_CLASSES:
        return
    with st.container(key="choose_classes"):
        st.multiselect(
            "Classes in the charts", range(len(names)), format_func=names.__getitem__, key="classes", bind="query-params",
            max_selections=charts_classes.MOST_CLASSES, placeholder=text.CHOOSE_CLASSES, help=text.CHOOSE_CLASSES_HELP, on_change=_again,
        )  # fmt: skip


def _chart(run: Run, kind: str) -> None:
    first = "evaluation" if kind in ("accuracy", "parts", "numbers", "recall") else "steps"
    wait = widgets.awaited(run, f"Begins with the first {first}")
    if kind == "numbers":
        live_feed.table("chart_numbers", view=run.id, height=CHART_HEIGHT, wait=wait)
    else:
        live_chart(None, key=f"chart_{kind}", view=run.id, height=CHART_HEIGHT, alt=text.CHART_ALT[kind], wait=wait)


def _figure(
    kind: str,
    now: Snapshot,
    steps: int,
    names: tuple[str, ...] = (),
    tau: float = 0.0,
    chosen: tuple[int, ...] = (),
    *,
    origin: Origin = None,
    log: bool = False,
    smooth: bool = False,
) -> Parts:
    with _drawing:
        return _build(kind, _Source(kind, now), steps, names, tau, chosen, origin, log, smooth)


class _Source:
    """A snapshot of which only what a chart draws counts: two are the same if those parts are the same objects."""

    def __init__(self, kind: str, now: Snapshot) -> None:
        self.now = now
        self.parts: tuple[object, ...] = {
            "accuracy": (now.evals, now.marks), "parts": (now.evals, now.marks), "numbers": (now.evals,), "threshold": (now.threshold, now.marks),
            "lanes": (now.threshold, now.count), "pseudo": (now.pseudo,), "recall": (now.recall,),
        }.get(kind, (now.train, now.marks))  # fmt: skip

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.parts)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source) and all(a is b for a, b in zip(self.parts, other.parts, strict=False))


_drawing = threading.RLock()  # two tabs that ask for the same figure at once: one builds it


@lru_cache(maxsize=256)
def _build(
    kind: str, source: _Source, steps: int, names: tuple[str, ...], tau: float, chosen: tuple[int, ...], origin: Origin,
    log: bool, smooth: bool,
) -> Parts:  # fmt: skip
    now = source.now
    if kind == "numbers":
        return numbers(now)
    band = (now.low, now.high)
    if kind == "loss":
        figure = charts.losses(now.train, steps, log=log, smooth=smooth, marks=now.marks, band=band)
    elif kind == "accuracy":
        figure = charts.accuracies(now.evals, steps, marks=now.marks)
    elif kind == "parts":
        figure = charts.part_losses(now.evals, steps, log=log, marks=now.marks)
    elif kind == "mask":
        figure = charts.masks(now.train, steps, smooth=smooth, marks=now.marks, band=band)
    elif kind == "coverage":
        figure = charts.coverage(now.train, smooth=smooth)
    elif kind == "threshold":
        figure = charts_classes.thresholds(*now.threshold, names, steps, tau, marks=now.marks, chosen=chosen)
    elif kind == "lanes":
        newest = now.threshold[1][-1] if len(now.threshold[1]) else now.pseudo[:0]
        figure = charts_classes.lanes(newest, now.count, names, tau, chosen=chosen)
    elif kind == "recall":
        figure = charts_classes.recalls(now.recall, names, chosen=chosen)
    else:
        figure = charts_classes.pseudo_counts(now.pseudo, names, chosen=chosen)
    if origin:
        figure = branch.both(figure, kind, origin[0].train, origin[0].evals, origin[1], steps, log=log, smooth=smooth)
    return split(figure)
