"""The live part of the Train page above its curves: progress, verdict and tiles of one run.

Everything is drawn at every tick in the same order and at the same height, so that nothing jumps.
"""

from __future__ import annotations

import streamlit as st

from dashboard import alerts, live_settings, notes, queries, text, widgets
from dashboard.live_chart import preload
from dashboard.live_feed import Parts
from dashboard.live_tiles import Tile, tile_parts
from dashboard.queries import Snapshot
from sslcore.events import Run

THRESHOLDED = ("fixmatch", "flexmatch")


def progress(run: Run, now: Snapshot) -> None:
    """A bar, and below it step, time, time left and speed."""
    share = min(run.step / max(run.steps, 1), 1.0)
    loading = run.summary.get("loading")
    if run.step == 0 and loading:
        what, done, total = loading
        st.progress(min(done / max(total, 1), 1.0))
        st.caption(f"{text.escape(str(what))}: {text.number(done)} of {text.number(total)}")
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
    if run.config["train"].get("compile"):
        took = run.summary.get("compile_seconds")
        st.caption(text.COMPILING if took is None else text.COMPILED.format(text.duration(took)))
    if changed := live_settings.told(now):
        st.caption(changed)


def tiles(run: Run, now: Snapshot) -> Parts:
    """Return five numbers with their course, for the feed."""
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
        shown = (None if value is None else text.loss(value)) if about == "loss" else text.percent(value)
        wait = widgets.first_accuracy(run) if shown is None and name.startswith("eval/") else ""
        course = tuple(round(point, 4) for point in now.history(name))
        found.append(
            Tile(
                label,
                text.TILE_HELP[about],
                None if about == "loss" else 1.0,
                course,
                shown or wait or "\u2013",
                bool(wait),
            )
        )
    return tile_parts(found)


def verdict(run: Run, now: Snapshot) -> None:
    """One sentence: what to look for while it trains, how it ended, or what went wrong and what to do."""
    if purpose := notes.purpose(run):
        st.warning(purpose, icon=":material/handyman:")
    if run.state in ("running", "finished"):
        kind, sentence = notes.note(run, now)
        show, icon = {
            "info": (st.info, ":material/visibility:"), "warning": (st.warning, ":material/warning:"), "success": (st.success, ":material/flag:")
        }[kind]  # fmt: skip
        show(sentence, icon=icon)
        if run.state == "finished" and (found := alerts.alerts(run, now)):
            st.warning("  \n".join(alert.told() for alert in found), icon=":material/warning:")
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
