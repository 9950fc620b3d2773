"""Pick a picture: out of a data set, by upload or with the camera. What the person brings stays in the session's memory.

All of it but a person's own picture stands in the URL: data set, class, number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import augmenting, text, widgets
from dashboard import text_augment as words
from dashboard.augmenting import Still

if TYPE_CHECKING:
    from sslcore.data import ImageSet

BIND: Final = "query-params"
KINDS = ["jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff", "avif", "mpo", "jfif"]


@dataclass(frozen=True, eq=False)
class Picked:
    """The picture (None: not chosen yet), the data set whose size and classes hold, and what is known of it."""

    still: Still | None
    images: ImageSet
    source: str
    at: int | None  # number in the training part; None: the person's own
    truth: int | None  # class; None: unknown


def pick(slot: DeltaGenerator, wanted: str = "") -> Picked | None:
    """Draw the controls and return what was picked; None where the data can't be had (said on the page).

    `slot`: where the controls of a data set go; `wanted`: the data source to begin with, when the URL doesn't name one.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        how = st.segmented_control(
            "Picture", list(words.PICKED), default="set", required=True, format_func=words.PICKED.__getitem__, key="aug_from", bind=BIND,
            help=words.PICKED_HELP,
        )  # fmt: skip
        source = _source(wanted)
        size = 32
        if source.startswith("folder:"):
            size = int(
                st.number_input(
                    "Size", 8, 256, 32, key="aug_size", bind=widgets.bind("aug_size"), help=words.SIZE_HELP, width=110
                )
            )
    images = _load(source, size)
    if images is None:
        return None
    if how in ("upload", "camera"):
        return Picked(_own(how, images), images, source, None, None)
    with slot:
        at = browse(images, "aug_image", "aug_class")
    label = int(images.train_labels[at])
    return Picked(augmenting.still(images, at), images, source, at, label if label >= 0 else None)


def _source(wanted: str) -> str:
    options = augmenting.sources()
    kind = wanted.partition(":")[0]
    picked = st.selectbox(
        "Data", options, index=options.index(kind) if kind in options else 0, format_func=text.DATA.__getitem__, key="aug_data", bind=BIND,
        help=words.DATA_HELP, width=170,
    )  # fmt: skip
    if picked != "folder":
        return str(picked)
    path = st.text_input(
        "Path of the folder", value=wanted.removeprefix("folder:") if kind == "folder" else "", key="aug_folder", bind=BIND,
        placeholder="/home/me/leaves", help=text.DATA_HELP["folder"], width=280,
    )  # fmt: skip
    return "folder:" + path.strip()


def _load(source: str, size: int) -> ImageSet | None:
    if source == "folder:":
        st.info("Type the path of your folder of images.", icon=":material/folder:")
        return None
    folder = source.removeprefix("folder:")
    if source.startswith("folder:") and not Path(folder).expanduser().is_dir():
        st.error(f"There is no folder {text.escape(text.shorten(folder, 120))}\\.", icon=":material/error:")
        return None
    try:
        with st.spinner("Loading the pictures", show_time=True):
            return augmenting.image_set(source, size)
    except (ValueError, OSError) as problem:  # DataError and ConfigError are ValueErrors
        st.error(text.escape(str(problem)), icon=":material/error:")
        return None


def browse(
    images: ImageSet, key: str, class_key: str = "", label: str = "Number", about: str = "", start: int = 0
) -> int:
    """Draw the number of a training image with Previous, Next and Random, and its class filter; return the number."""
    labels = images.train_labels.numpy()
    wanted: int | None = None
    if class_key:
        wanted = st.selectbox(
            "Class", range(images.num_classes), index=None, format_func=lambda c: images.class_names[c], placeholder="any", key=class_key, bind=BIND,
            help=words.CLASS_HELP, on_change=_first_of_class, args=(labels, key, class_key), width=140,
        )  # fmt: skip
    help_text = about or words.NUMBER_HELP.format(last=f"{len(labels) - 1:,}")
    at = int(
        st.number_input(label, 0, len(labels) - 1, start, key=key, bind=widgets.bind(key), width=120, help=help_text)
    )
    with st.container(horizontal=True, gap="xsmall", width="content"):
        for name, step in (("Previous", -1), ("Next", 1), ("Random", 0)):
            st.button(name, key=f"{key}_{name}", on_click=_go, args=(labels, key, at, wanted, step))
    return at


def _go(labels: np.ndarray, key: str, at: int, wanted: int | None, step: int) -> None:
    begin = at if step else int(np.random.default_rng().integers(len(labels)))
    st.session_state[key] = augmenting.seek(labels, begin, wanted, step or 1)


def _first_of_class(labels: np.ndarray, key: str, class_key: str) -> None:
    wanted = st.session_state[class_key]
    if wanted is not None:
        st.session_state[key] = augmenting.seek(labels, int(st.session_state.get(key, 0)), wanted, 0)


def _own(how: str, images: ImageSet) -> Still | None:
    """The person's own picture in the size and colours of the data set, with what was changed written below."""
    from sslcore.data import upload

    height, _, channels = (int(length) for length in images.train_images.shape[1:])
    with st.container(width=460):
        about = words.UPLOAD_HELP.format(mb=upload.MAX_MEGABYTES, mp=upload.MAX_MEGAPIXELS)
        if how == "upload":
            file: Any = st.file_uploader(
                "Your picture", type=KINDS, max_upload_size=upload.MAX_MEGABYTES, key="aug_file", help=about
            )
        else:
            file = st.camera_input("Your camera", key="aug_camera", resolution="480p", help=about)
        invert = channels == 1 and st.toggle("Invert", key="aug_invert", bind=BIND, help=words.INVERT_HELP)
    if file is None:
        st.session_state.pop("aug_own", None)
        return None
    wanted = (file.file_id, height, channels)
    kept = st.session_state.get("aug_own")
    if kept is None or kept[0] != wanted:
        try:
            made = upload.picture(file.getvalue(), height, channels)
            kept = (wanted, made.pixels, made.notes, "")
        except upload.UploadError as problem:
            kept = (wanted, None, (), str(problem))
        st.session_state["aug_own"] = kept
    _, pixels, notes, problem_text = kept
    if pixels is None:
        st.error(text.escape(problem_text), icon=":material/error:")
        return None
    if notes:
        st.caption(" ".join(text.escape(note) for note in notes))
    return Still.of(255 - pixels if invert else pixels)
