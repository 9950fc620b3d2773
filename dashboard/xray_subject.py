"""Which image the X-ray shows: a probe image at a keyframe, or any image of the pool at a kept checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from dashboard import images, inspection, pseudo_steps, queries, sandbox, text, text_pseudo, widgets, xray
from dashboard.image_strip import Cell, image_strip
from dashboard.pseudo_steps import BIND
from dashboard.queries import Columns
from dashboard.sandbox import Predictions
from dashboard.xray import Knobs, Subject
from sslcore.events import Run

BLOCK, COLUMNS = 64, 16  # images in the strip, and a row of its picture


@dataclass(frozen=True, eq=False)
class Shown:
    """The image on show, and what the strip above it needs."""

    subject: Subject
    names: list[str]
    reveal: bool
    number: int  # of the probe image, or position in the pool
    total: int
    probe: Predictions  # of the 64 probe images at the nearest keyframe
    recorded: bool  # FlexMatch's learning status comes from the run's own records
    pictures: tuple[np.ndarray, ...]  # of the strip
    first: int  # number of the strip's first image
    pool: bool

    def counts(self, tau: float) -> np.ndarray:
        """Return the learning status (C + 1,): the run's records, else counted from the probe images."""
        if self.recorded and self.subject.counts is not None:
            return self.subject.counts
        return sandbox.learning_status(self.probe, tau)


def pick(run: Run, steps: Sequence[int], wanted: int) -> Shown | None:
    """Draw the controls and return the image; None, and one sentence, where there is nothing to show."""
    kept = queries.checkpoints(run.id)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        names = list(text_pseudo.SOURCES)
        picked = st.segmented_control(
            "Image from", names, default="probe", required=True, format_func=text_pseudo.SOURCES.__getitem__, key="source", bind=BIND,
            help=text_pseudo.SOURCE_HELP,
        )  # fmt: skip
        rest = st.container(horizontal=True, vertical_alignment="bottom", gap="medium", width="content")
    pool = picked == "pool" and bool(kept) and not pseudo_steps.all_labelled(run)
    if picked == "pool" and not pool:
        st.caption(text_pseudo.NO_CHECKPOINT if not kept else text_pseudo.NO_POOL)
    step = pseudo_steps.nearest(steps, wanted)
    at = pseudo_steps.nearest(list(kept), wanted) if pool else step
    frame = queries.keyframe(run.id, step)
    if frame is None:
        st.info(text.escape(queries.keyframe_problem(run.id, step)) or text_pseudo.GONE, icon=":material/info:")
        return None
    names = queries.class_names(run, frame["weak_probs"].shape[1])
    probe = sandbox.from_keyframe(frame, "probe")
    assert probe is not None
    with st.container():
        newest = at == (list(kept)[-1] if pool else steps[-1])
        pseudo_steps.about(run, at, newest)
    with rest:
        if pool:
            return _from_pool(kept[at], probe, names)
        return _from_probe(run, frame, probe, names)


def _reveal() -> bool:
    return st.toggle("Show the truth", key="reveal", bind=BIND, help=text_pseudo.REVEAL_HELP)


def _from_probe(run: Run, frame: Columns, probe: Predictions, names: list[str]) -> Shown:
    total = len(frame["weak_images"])
    number = int(st.number_input("Image", 0, total - 1, 0, key="image", bind=widgets.bind("image"), width=120))
    unsure = int(probe.confidence[:total].argmin())
    st.button(
        text_pseudo.UNSURE, key="unsure", icon=":material/help:", help=text_pseudo.UNSURE_HELP, on_click=_show, args=(unsure,)
    )  # fmt: skip
    recorded = pseudo_steps.recorded(run, frame.get("count"))
    subject = xray.from_keyframe(frame, number, recorded)
    return Shown(subject, names, _reveal(), number, total, probe, recorded, tuple(frame["weak_images"]), 0, False)


def _show(number: int) -> None:
    st.session_state["image"] = number


def _from_pool(path: Path, probe: Predictions, names: list[str]) -> Shown | None:
    try:
        with st.spinner("Reading the checkpoint", show_time=False):
            inspector = inspection.open_checkpoint(path)
    except (ValueError, OSError) as problem:
        st.error(text.escape(str(problem)), icon=":material/error:")
        return None
    total = len(inspector.pool)
    number = int(
        st.number_input("Image", 0, total - 1, 0, key=f"pool.{total}", bind=widgets.bind(f"pool.{total}"), width=120)
    )
    chance = int(
        st.number_input(
            "Draw", 0, 9999, 0, key="draw", bind=widgets.bind("draw"), width=120, help=text_pseudo.DRAW_HELP
        )
    )
    first = number // BLOCK * BLOCK
    pictures = inspection.originals(inspector, first, BLOCK)
    subject = inspection.subject(inspector, number, chance)
    recorded = subject.counts is not None
    return Shown(subject, names, _reveal(), number, total, probe, recorded, pictures, first, True)


def strip(shown: Shown, knobs: Knobs) -> None:
    """Draw the images to pick from, with what the gate makes of each."""

    def choose(cell: int) -> None:
        st.session_state[f"pool.{shown.total}" if shown.pool else "image"] = shown.first + cell

    image_strip(
        _sprite(shown.pictures), COLUMNS, cells(shown, knobs), shown.number - shown.first, key="strip", on_pick=choose,
        alt="Images to pick from",
    )  # fmt: skip
    st.caption(text_pseudo.POOL_STRIP if shown.pool else text_pseudo.STRIP)


def cells(shown: Shown, knobs: Knobs) -> list[Cell]:
    """Return what is said of each image of the strip; of the pool's nothing is known before they are looked at."""
    if shown.pool:
        return [Cell(f"image {shown.first + i}") for i in range(len(shown.pictures))]
    probe = shown.probe
    keep = sandbox.kept(probe, xray.class_thresholds(knobs, shown.counts(knobs.tau), len(shown.names)))
    found = []
    for i in range(len(shown.pictures)):
        about = f"image {i}: {shown.names[probe.predicted[i]]}, {text.percent(float(probe.confidence[i]), 0)}, {'kept' if keep[i] else 'not kept'}"
        right = bool(probe.right[i]) if shown.reveal and probe.known[i] else None
        if right is not None:
            about += f", {'right' if right else 'wrong: it is ' + shown.names[probe.truth[i]]}"
        found.append(Cell(about, bool(keep[i]), right))
    return found


def _sprite(pictures: tuple[np.ndarray, ...]) -> bytes:
    return _sprite_of(pictures[0].shape, b"".join(picture.tobytes() for picture in pictures), len(pictures))


@lru_cache(maxsize=8)
def _sprite_of(shape: tuple[int, ...], pixels: bytes, count: int) -> bytes:
    return images.sprite(list(np.frombuffer(pixels, np.uint8).reshape(count, *shape)), COLUMNS)
