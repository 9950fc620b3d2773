"""The part of the Runs page that asks the selected run: about pictures of one's own, about its pool, about what to label next.

Pictures that a person drops stay in the session's memory and are gone with it; nothing of them is written anywhere.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import streamlit as st

from dashboard import asking, images, queries, text, widgets
from dashboard import text_images as words
from dashboard.bars import bars
from dashboard.picture_picker import KINDS
from dashboard.text_augment import INVERT_HELP
from sslcore.config import ConfigError
from sslcore.events import Run

if TYPE_CHECKING:
    from sslcore.labelling import Labeller

BIND: Final = "query-params"
MOST = 24  # pictures answered at once
SIDE, SHOWN = 192, 96  # pixels of a picture, and on the page


def show(run: Run) -> None:
    """Draw the questions and, for the one that is chosen, the answers."""
    with st.container(border=True, key="card_ask"):
        st.markdown(f"**{words.ASK_TITLE}**")
        path = queries.store().folder(run.id) / "last.pt"
        if not path.exists():
            st.caption(words.ASK_NOT_YET)
            return
        what = st.segmented_control(
            words.ASK_TITLE, list(words.ASK), format_func=words.ASK.__getitem__, key="ask", bind=BIND, label_visibility="collapsed"
        )  # fmt: skip
        if what is None:
            return
        try:
            with st.spinner(words.ASKING, show_time=True):
                model = asking.labeller(path)
        except (ValueError, OSError) as problem:  # CheckpointError, DataError, ConfigError
            st.error(text.escape(str(problem)), icon=":material/error:")
            return
        st.caption(words.ASK_TEXT.format(step=text.number(model.step)))
        {"pictures": _pictures, "next": _next, "pseudo": _pseudo}[what](run, model)


def _sure(model: Labeller) -> float:
    from sslcore.labelling import usual_threshold

    usual = usual_threshold(model.config)
    return float(st.slider(words.SURE, 0.0, 1.0, usual, 0.01, key="sure", bind=BIND, help=words.SURE_HELP, width=340))


def _pictures(run: Run, model: Labeller) -> None:
    from sslcore.data import upload

    channels = model.predictor.shape[2]
    sure = _sure(model)
    invert = channels == 1 and st.toggle("Invert", key="ask_invert", bind=BIND, help=INVERT_HELP)
    files: Any = st.file_uploader(
        words.DROP, type=KINDS, accept_multiple_files=True, max_upload_size=upload.MAX_MEGABYTES, key="ask_files",
        help=words.DROP_HELP.format(mb=upload.MAX_MEGABYTES),
    )  # fmt: skip
    kept = st.session_state.setdefault("ask_kept", {})
    found = {(file.file_id, *model.predictor.shape): file for file in files[:MOST]}
    for gone in set(kept) - set(found):
        del kept[gone]
    if len(files) > MOST:
        st.caption(words.DROP_MOST.format(most=MOST))
    with st.grid(3, min_column_width=300):
        for i, (key, file) in enumerate(found.items()):
            if key not in kept:
                try:
                    kept[key] = upload.picture(file.getvalue(), *model.predictor.shape[1:])
                except upload.UploadError as problem:
                    kept[key] = str(problem)
            with st.container(border=True, gap="xsmall", key=f"ask_{i}"):
                _answer(i, file.name, kept[key], model, sure, invert)


def _answer(place: int, name: str, picture: Any, model: Labeller, sure: float, invert: bool) -> None:
    """One picture with its verdict and the likeliest classes; or why it can't be read."""
    if isinstance(picture, str):
        st.error(f"**{text.escape(text.shorten(name))}**  \n{text.escape(picture)}", icon=":material/error:")
        return
    pixels = 255 - picture.pixels if invert else picture.pixels
    found, names = asking.probs(model, pixels), model.images.class_names
    best = int(found.argmax())
    verdict = f"**{text.escape(names[best])}**" if found[best] >= sure else f"**{words.NOT_SURE}**"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.image(images.row([pixels], SIDE), width=SHOWN, alt=f"{name}: {names[best]}")
        with st.container(gap="xsmall", width="stretch"):
            st.markdown(f"{verdict} · {text.percent(float(found[best]))}")
            bars(
                asking.bars_of(found, names, sure), key=f"ask_bars_{place}",
                alt=f"{name}: " + ", ".join(f"{names[c]} {100 * found[c]:.0f} %" for c in np.argsort(-found)[: asking.BARS]),
            )  # fmt: skip
    notes = " ".join(text.escape(note) for note in picture.notes)
    st.caption(f"{text.escape(text.shorten(name, 40))}. {notes}")


def _next(run: Run, model: Labeller) -> None:
    from sslcore.labelling import SHORTLIST

    st.caption(words.NEXT_TEXT)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = int(
            st.number_input(words.NEXT_COUNT, 1, 96, 24, key="next_count", bind=widgets.bind("next_count"), width=130)
        )
        diverse = st.toggle(
            words.NEXT_DIVERSE,
            value=True,
            key="next_diverse",
            bind=BIND,
            help=words.NEXT_DIVERSE_HELP.format(times=SHORTLIST),
        )
        try:
            with st.spinner(words.ASKING, show_time=True):
                strips = asking.next_strips(model, count, diverse, st.context.theme.type or "light")
        except ConfigError as problem:
            st.info(text.escape(str(problem)), icon=":material/info:")
            return
        st.download_button(
            words.NEXT_SAVE, functools.partial(asking.next_csv, model, count, diverse), f"{run.id}-next.csv", "text/csv", key="save_next",
            on_click="ignore", icon=":material/csv:",
        )  # fmt: skip
    with st.grid(2, min_column_width=320):
        for png, guesses in strips:
            st.image(png, width="stretch", alt=words.NEXT_ALT.format(guesses=guesses))


def _pseudo(run: Run, model: Labeller) -> None:
    sure = _sure(model)
    try:
        with st.spinner(words.ASKING, show_time=True):
            found = asking.pool(model)
    except ConfigError as problem:
        st.info(text.escape(str(problem)), icon=":material/info:")
        return
    kept = int((found.confidence >= sure).sum())
    st.markdown(
        words.PSEUDO_TEXT.format(kept=f"{kept:,}", all=f"{len(found.paths):,}", sure=text.escape(f"{100 * sure:.0f} %"))
    )
    st.download_button(
        words.PSEUDO_SAVE, functools.partial(asking.pseudo_csv, model, sure), f"{run.id}-pseudo-labels.csv", "text/csv", key="save_pseudo",
        on_click="ignore", icon=":material/csv:",
    )  # fmt: skip
