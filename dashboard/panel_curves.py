"""The curves and class charts of the Train page, card by card; which ones, the method decides.

A figure is built and encoded once for each (run, version, view), whoever watches; its cards always stand in the same
order and at the same height.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import streamlit as st

from dashboard import branch, charts, charts_classes, queries, text
from dashboard.live_chart import encode, live_chart
from dashboard.queries import Snapshot
from sslcore.events import ACTIVE, PAUSED, QUEUED, Run

CHART_HEIGHT = 300
CARDS = {  # method -> what it has something to say in, after the losses
    "supervised": ("accuracy", "parts", "numbers", "recall"),
    "mixmatch": ("accuracy", "parts", "numbers", "mask", "pseudo", "recall"),
    "fixmatch": ("accuracy", "parts", "numbers", "mask", "coverage", "pseudo", "recall"),
    "flexmatch": ("accuracy", "parts", "numbers", "mask", "coverage", "threshold", "lanes", "pseudo", "recall"),
}
Origin = tuple[Snapshot, int] | None  # of a fork: the curves of its original, and where it left them
BY_CLASS = ("threshold", "lanes", "pseudo", "recall")


def curves(run: Run, now: Snapshot) -> None:
    """Draw the charts that a method has something to say in."""
    names = tuple(queries.class_names(run, max(len(now.pseudo), len(now.recall), now.threshold[1].shape[1])))
    tau = float(run.config["method"].get("threshold", 0.0))
    origin = queries.origin(run)
    grid = st.grid(2, min_column_width=340)
    with grid.cell(), st.container(border=True, gap="xsmall", key="card_loss"):
        which = "loss/supervised" if run.method == "supervised" else "loss"
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.markdown(f"**{text.CHARTS[which][0]}**", width="content")
            with st.container(horizontal=True, gap="medium", width="content"):
                log = st.toggle("Log scale", key="log", bind="query-params")
                smooth = st.toggle("Smooth", value=True, key="smooth", bind="query-params")
        st.caption(text.CHARTS[which][1])
        _chart(run, "loss", _figure("loss", now, run.steps, origin=origin, log=log, smooth=smooth))
    cards = CARDS.get(run.method, CARDS["fixmatch"])
    chosen = _choose(names) if set(cards) & set(BY_CLASS) else ()
    for kind in cards:
        with grid.cell(), st.container(border=True, gap="xsmall", key=f"card_{kind}"):
            title, about = text.CHARTS[f"mask/{run.method}" if kind == "mask" else kind]
            st.markdown(f"**{title}**")
            st.caption(about)
            if kind == "numbers":
                with st.container(height=CHART_HEIGHT, border=False):
                    st.markdown(numbers(now) or "Begins with the first evaluation")
                continue
            drawn = _figure(
                kind, now, run.steps,
                names if kind in BY_CLASS else (), tau, chosen if kind in BY_CLASS else (), log=log and kind == "parts", smooth=smooth,
                origin=origin if kind in branch.KINDS else None,
            )  # fmt: skip
            _chart(run, kind, drawn)


def numbers(now: Snapshot) -> str:
    """Loss, top-1 and top-5 of every part at the last evaluation, EMA and raw, as a table in markdown; empty before the first."""
    rows = []
    for part, title in text.PARTS.items():
        for suffix, weights in (("", "EMA"), ("/raw", "raw")):
            loss, top1, top5 = (now.last(f"eval/{part}/{what}{suffix}") for what in ("loss", "accuracy", "top5"))
            if loss is not None or top1 is not None:
                cells = [
                    "\u2013" if loss is None else f"{loss:.3f}",
                    *(text.percent(top) or "\u2013" for top in (top1, top5)),
                ]
                rows.append(f"| {title} | {weights} | " + " | ".join(cells) + " |")
    if not rows:
        return ""
    return "\n".join(["| | weights | loss | top-1 | top-5 |", "|:--|:--|--:|--:|--:|", *rows])


def _choose(names: tuple[str, ...]) -> tuple[int, ...]:
    """With many classes: let a person search for those to draw."""
    if len(names) <= charts_classes.MOST_CLASSES:
        return ()
    with st.container(key="choose_classes"):
        wanted = st.multiselect(
            "Classes in the charts", range(len(names)), format_func=names.__getitem__, key="classes", bind="query-params",
            max_selections=charts_classes.MOST_CLASSES, placeholder=text.CHOOSE_CLASSES, help=text.CHOOSE_CLASSES_HELP,
        )  # fmt: skip
    return tuple(wanted)


def _chart(run: Run, kind: str, figure: bytes) -> None:
    begins = f"Begins with the first {'evaluation' if kind in ('accuracy', 'parts', 'recall') else 'steps'}"
    wait = begins if run.state in (QUEUED, *ACTIVE, PAUSED) else "Nothing was measured"
    live_chart(figure, key=f"chart_{kind}", view=run.id, height=CHART_HEIGHT, alt=text.CHART_ALT[kind], wait=wait)


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
) -> bytes:
    with _drawing:
        return _build(kind, now, steps, names, tau, chosen, origin, log, smooth)


_drawing = threading.RLock()  # two tabs that ask for the same figure at once: one builds it


@lru_cache(maxsize=256)
def _build(
    kind: str, now: Snapshot, steps: int, names: tuple[str, ...], tau: float, chosen: tuple[int, ...], origin: Origin,
    log: bool, smooth: bool,
) -> bytes:  # fmt: skip
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
    return encode(figure)
