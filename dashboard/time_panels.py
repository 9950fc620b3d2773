"""What the time machine shows of one moment: curves with a cursor, thresholds, confusion, histogram, images, a biography.

Everything is drawn at every move of the slider in the same order and at the same height; figures and sheets are kept
by (run, step, view), so that playing a run a second time costs next to nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import streamlit as st

from dashboard import (
    biography,
    branch,
    charts,
    charts_classes,
    images,
    panel_images,
    pseudo_steps,
    queries,
    replay,
    text,
    text_time,
    time_charts,
    widgets,
)
from dashboard.biography import History
from dashboard.image_strip import Cell, image_strip
from dashboard.live_chart import live_chart
from dashboard.panel_curves import Origin
from dashboard.panel_images import THRESHOLDED
from dashboard.pictures import pictures
from dashboard.queries import Columns, Snapshot
from sslcore import keyframes
from sslcore.events import Run

HEIGHT = 260
SHEET = 8  # images with both views; the first of the probe, always the same ones
SPRITE = 16  # images a row of the sprite
IMAGE = "time_image"  # in the session: the number of the picked image
KEPT = 2 * keyframes.MOST  # pictures and figures of moments that are kept


def moment(run: Run, now: Snapshot, step: int, frame: Columns) -> None:
    """One line: the numbers of this moment."""
    parts = [f"Step **{text.number(step)}** of {text.number(run.steps)}"]
    at = np.flatnonzero(now.evals.get("step", np.zeros(0)) == step)
    if len(at) and "eval/test/accuracy" in now.evals:
        parts.append(f"test accuracy **{text.percent(float(now.evals['eval/test/accuracy'][at[-1]]))}**")
    truth, guess, kept = frame["unlabeled_truth"], frame["weak_probs"].argmax(axis=1), frame["mask"].astype(bool)
    known = int((truth >= 0).sum())
    if run.method in THRESHOLDED:
        parts.append(
            f"{int(kept.sum())} of {len(kept)} probe images kept, {int((kept & (guess == truth)).sum())} of those right"
        )
    elif known:
        parts.append(f"{int((guess == truth).sum())} of {known} probe images guessed right")
    st.markdown(" · ".join(parts))


def curves(run: Run, now: Snapshot, step: int, frame: Columns) -> None:
    """The charts: those over all steps with the cursor, those of the moment."""
    names = tuple(queries.class_names(run, frame["weak_probs"].shape[1]))
    tau = replay.setting(run, "method.threshold", step) if run.method in THRESHOLDED else None
    origin = queries.origin(run)
    kinds = ["loss", "accuracy"]
    kinds += [] if run.method == "supervised" else ["mask"]
    kinds += {"flexmatch": ["lanes"], "fixmatch": ["pseudo"], "mixmatch": ["pseudo"]}.get(run.method, [])
    grid = st.grid(2 if run.method == "supervised" else 3, min_column_width=320)
    for kind in [*kinds, "confusion", "histogram"]:
        with grid.cell(), st.container(border=True, gap="xsmall", key=f"time_card_{kind}"):
            title, about = text_time.CHARTS["mask/mixmatch" if kind == "mask" and run.method == "mixmatch" else kind]
            st.markdown(f"**{title}**", help=about)
            _chart(run, kind, _figure(kind, now, run.steps, run.id, step, names, tau, origin))


def _chart(run: Run, kind: str, figure: charts.Figure, height: int = HEIGHT) -> None:
    wait = text_time.NO_TEST if kind in ("confusion", "histogram") else widgets.awaited(run, "Nothing was measured yet")
    live_chart(figure, key=f"time_{kind}", view=f"{run.id} {kind}", height=height, alt=text_time.ALT[kind], wait=wait)


def _figure(
    kind: str,
    now: Snapshot,
    steps: int,
    run_id: str,
    step: int,
    names: tuple[str, ...],
    tau: float | None,
    origin: Origin,
) -> charts.Figure:
    if kind in branch.KINDS:
        return time_charts.cursor(_curve(kind, now, steps, origin), step)
    return _of_moment(kind, run_id, step, names, tau)


@lru_cache(maxsize=24)
def _curve(kind: str, now: Snapshot, steps: int, origin: Origin) -> charts.Figure:
    if kind == "accuracy":
        figure = charts.accuracies(now.evals, steps, marks=now.marks)
    else:
        draw = charts.losses if kind == "loss" else charts.masks
        figure = draw(now.train, steps, smooth=True, marks=now.marks, band=(now.low, now.high))
    if origin:
        figure = branch.both(figure, kind, origin[0].train, origin[0].evals, origin[1], steps, smooth=True)
    return figure


@lru_cache(maxsize=3 * KEPT)
def _of_moment(kind: str, run_id: str, step: int, names: tuple[str, ...], tau: float | None) -> charts.Figure:
    frame, none = queries.keyframe(run_id, step) or {}, np.zeros(0)
    if kind == "lanes":
        return charts.lanes(frame.get("threshold", none), frame.get("count", none), names, float(tau or 0))
    if kind == "pseudo":
        kept = frame["weak_probs"].argmax(axis=1)[frame["mask"].astype(bool)] if frame else np.zeros(0, np.int64)
        return charts.pseudo_counts(np.bincount(kept, minlength=len(names)), names)
    if kind == "confusion":
        return charts_classes.confusion(frame.get("confusion", np.zeros((0, 0), np.int32)), names, ticks=10)
    return time_charts.histogram(frame.get("hist_right", none), frame.get("hist_wrong", none), tau)


def sheet(run: Run, step: int, frame: Columns, theme: str) -> None:
    """The first images of the probe at this moment."""
    names = tuple(queries.class_names(run, frame["weak_probs"].shape[1]))
    with st.container(border=True, gap="xsmall", key="time_card_sheet"):
        title, about = text_time.SHEET.format(pseudo_steps.probed(run)), panel_images.sheet_text(run)
        st.markdown(f"**{title}**", help=f"{about}\n\n{text.SHEET_KEY}")
        pictures(_strips(run.id, run.method, step, theme, names), key="time_sheet")


@lru_cache(maxsize=KEPT)
def _strips(run_id: str, method: str, step: int, theme: str, names: tuple[str, ...]) -> tuple[tuple[bytes, str], ...]:
    frame = queries.keyframe(run_id, step)
    tiles = panel_images.tiles_of(frame, method, names, range(min(SHEET, len(frame["weak_images"])))) if frame else []
    strips = [tiles[first : first + panel_images.STRIP] for first in range(0, len(tiles), panel_images.STRIP)]
    return tuple((images.contact_sheet(strip, panel_images.STRIP, theme), images.describe(strip)) for strip in strips)


def lives(run: Run, step: int, frame: Columns, life: History, theme: str) -> None:
    """The lists of images, one of them to pick from, and the biography of the picked one."""
    names = tuple(queries.class_names(run, frame["weak_probs"].shape[1]))
    found = {"all": list(range(len(life.truth))), **{name: pick(life) for name, pick in biography.LISTS.items()}}
    with st.container(border=True, gap="small", key="time_card_lives"):
        st.markdown(f"**{text_time.BIOGRAPHY}**")
        st.caption(text_time.BIOGRAPHY_TEXT if run.method in THRESHOLDED else text_time.BIOGRAPHY_PLAIN)
        shown = st.segmented_control(
            "Images", list(text_time.LISTS), default="all", required=True, key="list", bind="query-params", wrap=True,
            format_func=text_time.LISTS.__getitem__,
        )  # fmt: skip
        shown = shown if shown in found else "all"
        counts = ", ".join(f"{text_time.LISTS[name].lower()} {len(found[name])}" for name in biography.LISTS)
        plain = "labelled" if pseudo_steps.all_labelled(run) else run.method
        about = text_time.LIST_HELP.get(f"{shown}/{plain}", text_time.LIST_HELP[shown])
        st.caption(f"{about} So far: {counts}.")
        picked = _picked(found[shown], len(life.truth))
        if not found[shown]:
            st.info(text_time.LIST_EMPTY[shown], icon=":material/check:")
        else:
            cells = tuple(_cell(frame, i, names, run.method) for i in found[shown])
            image_strip(
                _sprite(run.id, tuple(found[shown])), SPRITE, cells, found[shown].index(picked) if picked in found[shown] else -1,
                key="time_strip", alt=text_time.STRIP_ALT, on_pick=lambda k: _pick(found[shown][k]),
            )  # fmt: skip
        _one(run, step, life, picked, names, theme)


def _pick(number: int) -> None:
    st.session_state[IMAGE] = number
    st.query_params["image"] = str(number)


def _picked(shown: list[int], count: int) -> int:
    """The picked image, or that of the URL; the first of the list where there is none, or one that isn't in the list."""
    if "time_strip" not in st.session_state:  # the page has just been opened
        wanted = str(st.query_params.get("image", ""))
        st.session_state[IMAGE] = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 16 else None
    number: int | None = st.session_state.get(IMAGE)
    if number is None or number >= count or (shown and number not in shown):
        return shown[0] if shown else 0
    return number


def _cell(frame: Columns, i: int, names: tuple[str, ...], method: str) -> Cell:
    guess, truth = int(frame["weak_probs"][i].argmax()), int(frame["unlabeled_truth"][i])
    kept = bool(frame["mask"][i]) if method in THRESHOLDED else None
    right = guess == truth if truth >= 0 else None
    words = [f"image {i}: taken for {names[guess]}, {100 * float(frame['weak_probs'][i].max()):.0f} %"]
    words += [] if kept is None else ["kept" if kept else "not kept"]
    words += [] if right is None else ["right" if right else f"wrong, it is {names[truth]}"]
    return Cell(", ".join(words), kept, right)


@lru_cache(maxsize=16)
def _sprite(run_id: str, numbers: tuple[int, ...]) -> bytes:
    step = replay.steps(run_id)[0]
    frame = queries.keyframe(run_id, step)
    assert frame is not None
    return images.sprite([frame["weak_images"][i] for i in numbers], SPRITE)


def _one(run: Run, step: int, life: History, number: int, names: tuple[str, ...], theme: str) -> None:
    one = biography.biography(life, number)
    left, right = st.columns([1, 6], vertical_alignment="center")
    with left:
        pictures([_portrait(run.id, run.method, step, number, theme, names)], key="time_portrait", least=120, most=150)
    with right:
        st.markdown(facts(one, names, run.method))
        figure = time_charts.cursor(_ribbon(life, number, names, run.steps), step)
        _chart(run, "ribbon", figure, HEIGHT + 10)


@lru_cache(maxsize=KEPT)
def _ribbon(life: History, number: int, names: tuple[str, ...], steps: int) -> charts.Figure:
    return time_charts.ribbon(biography.biography(life, number), names, steps)


@lru_cache(maxsize=KEPT)
def _portrait(
    run_id: str, method: str, step: int, number: int, theme: str, names: tuple[str, ...]
) -> tuple[bytes, str]:
    frame = queries.keyframe(run_id, step)
    assert frame is not None
    tile = panel_images.tiles_of(frame, method, names, [number])[0]
    return images.contact_sheet([tile], 1, theme), images.describe([tile])


def facts(one: biography.Biography, names: tuple[str, ...], method: str) -> str:
    """One sentence of facts about an image's life."""
    truth = f"truth **{text.escape(names[one.truth])}**" if one.truth >= 0 else "truth not known"
    parts = [f"Image {one.number}", truth]
    if method in THRESHOLDED:
        never = text_time.NEVER[bool(one.kept.any())]
        parts.append(never if one.first_kept < 0 else f"first kept at step {text.number(one.first_kept)}")
    parts.append(f"class changed {text.plural(one.flips, 'time')}")
    if one.truth >= 0:
        parts.append("wrong now" if one.right_since is None else f"right since step {text.number(one.right_since)}")
    return " · ".join(parts)
