"""The live part of the Train page beside its curves: progress, verdict, tiles and the sheet of images of one run.

Everything is drawn at every tick in the same order and at the same height, so that nothing jumps; figures and sheets
are kept by (run, version, view), so that a tick without news, or another tab, costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import streamlit as st

from dashboard import images, notes, queries, text, widgets
from dashboard.live_chart import preload
from dashboard.live_tiles import Tile, live_tiles
from dashboard.queries import Snapshot
from sslcore.events import Run

SHEET = 16  # images shown; the first of the probe, always the same ones
STRIP = 4  # images in one picture: two pictures stand side by side, or one below the other on a phone
THRESHOLDED = ("fixmatch", "flexmatch")


def progress(run: Run, now: Snapshot) -> None:
    """A bar, and below it step, time, time left and speed."""
    with st.container(gap="xsmall"):
        _progress(run, now)


def _progress(run: Run, now: Snapshot) -> None:
    share = min(run.step / max(run.steps, 1), 1.0)
    loading = run.summary.get("loading")
    if run.step == 0 and loading:
        what, done, total = loading
        st.progress(min(done / max(total, 1), 1.0))
        st.caption(f"{text.escape(str(what))}: {done:,} of {total:,}")
        return
    st.progress(share)
    parts = [f"step **{text.number(run.step)}** of {text.number(run.steps)}", text.duration(run.seconds)]
    left = queries.time_left(run, now.train) if run.state == "running" else None
    if left is not None:
        parts.append(f"about {text.duration(left)} left")
    speed = run.summary.get("images_per_s") if run.state == "finished" else now.last("perf/images_per_s")
    if speed:
        parts.append(f"{text.number(speed)} images/s")
    device = run.summary.get("device_name", run.summary.get("device"))
    if device:
        threads = run.summary.get("threads")
        parts.append(
            text.escape(str(device).upper() if len(str(device)) <= 4 else str(device))
            + (f", {text.plural(threads, 'thread')}" if device == "cpu" and threads else "")
        )
    st.caption(" · ".join(parts))


def tiles(run: Run, now: Snapshot) -> None:
    """Five numbers with their course."""
    wanted = [("Test accuracy", "eval/test/accuracy", "test"), ("Raw weights", "eval/test/accuracy/raw", "raw")]
    if run.method in THRESHOLDED:
        wanted += [("Mask rate", "train/mask_rate", "mask"), ("Purity", "train/purity", "purity")]
    elif run.method == "mixmatch":
        wanted += [("Purity", "train/purity", "purity"), ("Confidence", "train/confidence", "confidence")]
    else:
        wanted += [("Labelled images", "eval/train/accuracy", "labeled")]
    wanted.append(("Loss", "train/loss", "loss"))
    found = []
    for label, name, about in wanted:
        value = now.last(name)
        shown = (None if value is None else f"{value:.3f}") if about == "loss" else text.percent(value)
        course = tuple(round(point, 4) for point in now.history(name))
        found.append(Tile(label, shown or "\u2013", text.TILE_HELP[about], course, None if about == "loss" else 1.0))
    live_tiles(found, key="tiles")


def sheet(run: Run, theme: str) -> None:
    """The unlabelled images at the newest keyframe."""
    with st.container(border=True, gap="xsmall", key="card_sheet"):
        step = queries.last_keyframe(run.id)
        frame = queries.keyframe(run.id, step) if step is not None else None
        classes = frame["weak_probs"].shape[1] if frame else 0
        strips = (
            _strips(run.id, run.method, step, theme, tuple(queries.class_names(run, classes)))
            if frame and step is not None
            else ()
        )
        st.markdown(f"**{text.SHEET_TITLE}**" + (f", at step {text.number(step or 0)}" if strips else ""))
        st.caption(text.SHEET_TEXT.get(run.method, "") if strips else text.SHEET_WAIT)
        with st.grid(2, min_column_width=320):
            for picture, about in strips:
                st.image(picture, width="stretch", alt=about)
        if strips:
            st.caption(text.SHEET_KEY)


@lru_cache(maxsize=8)
def _strips(run_id: str, method: str, step: int, theme: str, names: tuple[str, ...]) -> tuple[tuple[bytes, str], ...]:
    frame = queries.keyframe(run_id, step)
    shown = tiles_of(frame, method, names) if frame else []
    strips = [shown[first : first + STRIP] for first in range(0, len(shown), STRIP)]
    return tuple((images.contact_sheet(strip, STRIP, theme), images.describe(strip)) for strip in strips)


def tiles_of(frame: queries.Columns, method: str, names: Sequence[str], most: int = SHEET) -> list[images.Tile]:
    """Turn a keyframe into tiles: what is kept and the threshold only where the method has them."""
    found = []
    for i in range(min(most, len(frame["weak_images"]), len(frame["strong_images"]))):
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


def verdict(run: Run, now: Snapshot) -> None:
    """One sentence: what to look for while it trains, how it ended, or what went wrong and what to do."""
    if run.state in ("running", "finished"):
        kind, sentence = notes.note(run, now)
        show, icon = {
            "info": (st.info, ":material/visibility:"), "warning": (st.warning, ":material/warning:"), "success": (st.success, ":material/flag:")
        }[kind]  # fmt: skip
        show(sentence, icon=icon)
    elif run.state in ("failed", "diverged"):
        lines = run.error.strip().splitlines() or ["No reason was recorded."]
        st.error(text.escape(lines[-1]), title=widgets.state_line(run), icon=":material/error:")
        if len(lines) > 1:
            with st.expander("Traceback", icon=":material/bug_report:"):
                st.code(run.error, language=None)
    else:
        st.info(widgets.state_line(run), icon=":material/info:")


def empty() -> None:
    """What a person sees before the first run: what will appear here."""
    with st.container(border=True, key="empty"):
        st.markdown(text.EMPTY_TEXT)
        with st.grid(2, min_column_width=300):
            for icon, title, about in text.EMPTY_ITEMS:
                with st.container(border=True, height="stretch"):
                    st.markdown(f"{icon} **{title}**  \n{about}")
    preload()
