"""The part of the Train page that shows images: the gallery of pseudo-labels, MixMatch's guesses, the confusion matrix.

All of it is drawn from the newest keyframe; sheets are kept by (run, step, view), so that only a new keyframe costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import streamlit as st

from dashboard import cell_images, charts_classes, charts_guess, gallery, images, pseudo_steps, queries, text, widgets
from dashboard.live_chart import encode, live_chart
from dashboard.live_feed import frame_watch
from dashboard.queries import Columns
from sslcore.events import Run

PAGE, STRIP = 16, 4  # images on a page of the gallery, and in one picture: two stand side by side, or one on a phone
MATRIX_HEIGHT, GUESS_HEIGHT = 430, 300
CELL_COLUMNS, CELL_ROWS = 8, 3
THRESHOLDED = ("fixmatch", "flexmatch")
ANY = "any class"


def show(run: Run, theme: str, young: bool = False) -> None:
    """Draw everything that the newest keyframe has to say; of a young run only the cards, so that its first curve comes first."""
    step = None if young else queries.last_keyframe(run.id)
    frame = queries.keyframe(run.id, step) if step is not None else None
    names = queries.class_names(run, frame["weak_probs"].shape[1] if frame else 0)
    order = sheet(run, theme, step or 0, frame, names)
    if run.method == "mixmatch":
        guesses(run, step or 0, frame, names, order)
    confusion(run, step or 0, frame, names)
    frame_watch(step, view=run.id)


def sheet(run: Run, theme: str, step: int, frame: Columns | None, names: Sequence[str]) -> list[int]:
    """Draw the gallery of the probe images with its filters; return the places of the images that pass them."""
    with st.container(border=True, gap="xsmall", key="card_sheet"):
        st.markdown(
            f"**{text.SHEET_TITLE.format(pseudo_steps.probed(run).capitalize())}**"
            + (f", at step {text.number(step)}" if frame else "")
        )
        st.caption(sheet_text(run) if frame else widgets.awaited(run, text.SHEET_WAIT))
        options = list(gallery.FILTERS) if run.method in THRESHOLDED else list(gallery.PLAIN)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            wanted = st.selectbox(
                "Show", options, format_func=gallery.FILTERS.__getitem__, key="show", bind="query-params", width=290
            )
            guess = st.selectbox("Guessed class", [ANY, *names], key="guess", bind="query-params", width=200)
            found = gallery.order(frame, wanted, names.index(guess) if guess in names else None) if frame else []
            pages = max(1, -(-len(found) // PAGE))
            page = st.pagination(pages, key="images", bind="query-params") if pages > 1 else 1
        if frame is None:
            return []
        first = (min(page, pages) - 1) * PAGE
        strips = _strips(run.id, run.method, step, theme, tuple(names), tuple(found[first : first + PAGE]))
        with st.grid(2, min_column_width=320):
            for picture, about in strips:
                st.image(picture, width="stretch", alt=about)
        shown = (
            f"{len(found)} of {len(frame['pseudo'])} images. " if found else "No image is of this kind at this step. "
        )
        st.caption(shown + text.SHEET_KEY)
    return found


def sheet_text(run: Run) -> str:
    """What the two views of a sheet are, and what the method does with them."""
    return text.SHEET_TEXT.get("labelled" if pseudo_steps.all_labelled(run) else run.method, "")


@lru_cache(maxsize=64)
def _strips(
    run_id: str, method: str, step: int, theme: str, names: tuple[str, ...], order: tuple[int, ...]
) -> tuple[tuple[bytes, str], ...]:
    frame = queries.keyframe(run_id, step)
    shown = tiles_of(frame, method, names, order) if frame else []
    strips = [shown[first : first + STRIP] for first in range(0, PAGE, STRIP)]
    return tuple((images.contact_sheet(strip, STRIP, theme, slots=STRIP), images.describe(strip)) for strip in strips)


def tiles_of(frame: Columns, method: str, names: Sequence[str], order: Sequence[int]) -> list[images.Tile]:
    """Turn places of a keyframe into tiles: what is kept and the threshold only where the method has them."""
    found = []
    for i in order:
        guess, truth = int(frame["pseudo"][i]), int(frame["unlabeled_truth"][i])
        found.append(
            images.Tile(
                frame["weak_images"][i], frame["strong_images"][i], guess, names[guess], float(frame["weak_probs"][i].max()),
                threshold=float(frame["threshold"][guess]) if method in THRESHOLDED else None,
                kept=bool(frame["mask"][i]) if method != "supervised" else None,
                right=guess == truth if truth >= 0 else None,
            )
        )  # fmt: skip
    return found


def guesses(run: Run, step: int, frame: Columns | None, names: Sequence[str], order: Sequence[int]) -> None:
    """Draw MixMatch's guesses before and after sharpening, for the first images of the gallery."""
    with st.container(border=True, gap="xsmall", key="card_guess"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.markdown(f"**{text.CHARTS['guess'][0]}**", width="content", help=text.SHARPEN_HELP)
            sharpened = st.toggle("Show sharpened", value=True, key="sharpened", bind="query-params")
        st.caption(text.CHARTS["guess"][1])
        drawn = tuple(order[: charts_guess.IMAGES]) if frame and "view_probs" in frame else ()
        figure = _guesses(run.id, step, tuple(names), drawn, sharpened)
        live_chart(
            figure,
            key="chart_guess",
            view=run.id,
            height=GUESS_HEIGHT,
            alt=text.CHART_ALT["guess"],
            wait=widgets.awaited(run, text.SHEET_WAIT),
        )


@lru_cache(maxsize=16)
def _guesses(run_id: str, step: int, names: tuple[str, ...], order: tuple[int, ...], sharpened: bool) -> bytes:
    frame = queries.keyframe(run_id, step) or {} if order else {}
    return encode(charts_guess.sharpening(frame, names, order if frame else (), sharpened=sharpened))


def confusion(run: Run, step: int, frame: Columns | None, names: Sequence[str]) -> None:
    """Draw the confusion matrix and, beside it, the test images of the cell that was clicked or chosen."""
    known = frame is not None and "confusion" in frame
    grid = st.grid(2, min_column_width=340)
    with grid.cell(), st.container(border=True, gap="xsmall", key="card_confusion"):
        st.markdown(f"**{text.CHARTS['confusion'][0]}**" + (f", at step {text.number(step)}" if known else ""))
        st.caption(text.CHARTS["confusion"][1])
        figure = _confusion(run.id, step if known else -1, tuple(names))
        live_chart(
            figure, key="chart_confusion", view=run.id, height=MATRIX_HEIGHT, alt=text.CHART_ALT["confusion"],
            wait=widgets.awaited(run, "Begins with the first evaluation"), on_click=_clicked,
        )  # fmt: skip
    with grid.cell(), st.container(border=True, gap="xsmall", height="stretch", key="card_cell"):
        st.markdown(f"**{text.CELL_TITLE}**")
        st.caption(text.CELL_TEXT)
        with st.container(horizontal=True):
            truth = st.selectbox(
                "Truth", list(names), index=None, key="truth", bind="query-params", placeholder="class"
            )
            taken = st.selectbox(
                "Taken for", list(names), index=None, key="taken", bind="query-params", placeholder="class"
            )
        st.session_state["class_names"] = list(names)
        if frame is not None and known and truth in names and taken in names:
            _cell(run, frame, names.index(truth), names.index(taken))


def _clicked() -> None:
    """Open the cell that was clicked: the two lists beside the matrix are set to it."""
    across, down = st.session_state["chart_confusion"]["click"] or (None, None)
    names = st.session_state.get("class_names", [])
    if isinstance(across, int) and isinstance(down, int) and max(across, down) < len(names):
        st.session_state["truth"], st.session_state["taken"] = names[down], names[across]


def _cell(run: Run, frame: Columns, truth: int, taken: int) -> None:
    places = cell_images.in_cell(frame, truth, taken)
    row = int(frame["confusion"][truth].sum())
    share = text.percent(len(places) / row, 0) if row else "no part"
    st.markdown(f"{text.plural(len(places), 'image')}, {share} of the {text.number(row)} of this class")
    shown = places[: CELL_COLUMNS * CELL_ROWS]
    found: np.ndarray | str = cell_images.pictures(run, frame, shown) if len(shown) else np.zeros((0, 1, 1), np.uint8)
    if isinstance(found, str):
        st.info(text.escape(found), icon=":material/hide_image:")
        return
    about = f"{len(shown)} test images of this cell"
    st.image(images.picture_sheet(list(found), CELL_COLUMNS, CELL_ROWS), width="stretch", alt=about)
    if len(places) > len(shown):
        st.caption(f"The first {len(shown)} are shown.")


@lru_cache(maxsize=32)
def _confusion(run_id: str, step: int, names: tuple[str, ...]) -> bytes:
    frame = queries.keyframe(run_id, step) if step >= 0 else None
    counts = frame["confusion"] if frame else np.zeros((0, 0), int)
    return encode(charts_classes.confusion(counts, names))
