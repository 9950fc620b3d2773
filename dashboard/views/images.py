"""The Images page: a person's own folder or zip looked through before training, and the labelled images chosen by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import augmenting, hand_panel, own_images, set_lines, text, widgets
from dashboard import text_images as words

if TYPE_CHECKING:
    from sslcore.data import ImageSet

BIND: Final = "query-params"
READY = "images_ready"  # in the session: the folder of a zip that was just unpacked
# Not "folder" as on the pages that the links lead to: Streamlit takes the parameter of a field that is gone out of the address,
# and with it the path that the link had just written there for a field of the same name.
FOLDER = "images_folder"


def chosen() -> tuple[str, int]:
    """Draw where the images come from; return the data source, "" if there is none yet, and the side of the images."""
    if ready := st.session_state.pop(READY, ""):
        st.session_state["images_from"], st.session_state[FOLDER] = "folder", ready
    with st.spinner(words.LOADING):  # the first look imports torch
        options = [*words.FROM, *(name for name in augmenting.sources() if name != "folder")]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        kind = st.selectbox(
            "Images", options, format_func=lambda name: words.FROM.get(name) or text.DATA[name], key="images_from", bind=BIND,
            help=words.FROM_HELP, width=250,
        )  # fmt: skip
        path = ""
        if kind == "folder":
            path = st.text_input(
                "Path of the folder",
                key=FOLDER,
                bind=BIND,
                placeholder="/home/me/pets",
                help=words.PATH_HELP,
                width=380,
            ).strip()
        size = 32
        if kind in words.FROM:
            size = int(
                st.number_input(
                    "Size",
                    8,
                    256,
                    32,
                    key="images_size",
                    bind=widgets.bind("images_size"),
                    help=words.SIZE_HELP,
                    width=110,
                )
            )
    if kind == "zip":
        upload()
        return "", size
    return ("folder:" + path if path else "") if kind == "folder" else str(kind), size


def upload() -> None:
    """Take in a zip; a bad one is one sentence and leaves nothing behind."""
    most = int(st.get_option("server.maxUploadSize"))
    file: Any = st.file_uploader(
        words.ZIP_LABEL, type="zip", max_upload_size=most, key="images_zip", help=words.ZIP_HELP.format(mb=most)
    )
    if file is None:
        return
    refused, why = st.session_state.get("zip_refused", ("", ""))
    if file.file_id != refused:
        try:
            with st.spinner(words.UNPACKING, show_time=True):
                done = own_images.unpack(file, file.name)
        except ValueError as problem:  # TransferError
            why = str(problem)
            st.session_state["zip_refused"] = (file.file_id, why)  # not tried again whenever the page is drawn
        else:
            st.session_state[READY], st.session_state["zip_notes"] = str(done.folder), (str(done.folder), done.notes)
            st.rerun()
    st.error(text.escape(why), icon=":material/error:")


def load(source: str, size: int) -> ImageSet | None:
    folder = source.removeprefix("folder:")
    if source.startswith("folder:") and not Path(folder).expanduser().is_dir():
        st.error(f"There is no folder {text.escape(text.shorten(folder, 120))}\\.", icon=":material/error:")
        return None
    try:
        with st.spinner(words.LOADING, show_time=True):
            return augmenting.image_set(source, size)
    except (ValueError, OSError) as problem:  # DataError and ConfigError are ValueErrors
        st.error(text.escape(str(problem)), icon=":material/error:")
        return None


def overview(images: ImageSet, source: str, size: int) -> None:
    """Title, warnings, counts and the sample sheet."""
    found = own_images.health(images)
    told = [
        text.plural(images.num_classes, "class").replace("classs", "classes"),
        text.plural(sum(found.train), "labelled training image"),
    ]
    told += [f"{found.unlabeled:,} unlabelled"] if found.unlabeled else []
    told.append(text.plural(sum(found.test), "test image"))
    st.markdown(f"**{text.escape(images.title)}** \u00b7 " + " \u00b7 ".join(told))
    warnings = found.warnings()
    for sentence in warnings:
        st.warning(text.escape(sentence), icon=":material/warning:")
    if not warnings:
        st.success(words.HEALTHY, icon=":material/check_circle:")
    folder, notes = st.session_state.get("zip_notes", ("", ()))
    notes = (*(notes if source == f"folder:{folder}" else ()), *images.notes)
    if notes:
        st.caption("  \n".join(text.escape(note) for note in notes))
    with st.container(horizontal=True, gap="medium"):
        st.page_link(
            "views/train.py",
            label=words.TO_TRAIN,
            icon=":material/play_arrow:",
            query_params=own_images.train_params(images, size),
        )
        st.page_link(
            "views/curves.py",
            label=words.TO_CURVES,
            icon=":material/stacked_line_chart:",
            query_params=own_images.curve_params(images, size),
        )
    left, right = st.columns([2, 5])
    with left:
        st.markdown(f"**{words.COUNTS}**")
        # The counts first: long names would push them out of sight.
        table = {"train": list(found.train), "test": list(found.test), "class": text.told_apart(found.class_names)}
        st.dataframe(table, hide_index=True, height=min(520, 35 * (images.num_classes + 1) + 3), alt=words.COUNTS_ALT)
    with right:
        st.markdown(f"**{words.SHEET}**")
        pages = -(-images.num_classes // own_images.CLASSES)
        page = st.pagination(pages, key="images_page", bind=BIND) if pages > 1 else 1
        first = (min(page, pages) - 1) * own_images.CLASSES
        with st.grid(2, min_column_width=300):
            for label in range(first, min(first + own_images.CLASSES, images.num_classes)):
                with st.container(gap="xxsmall"):
                    name = found.class_names[label]
                    st.caption(f"{text.escape(name)}: {text.plural(found.train[label], 'image')}")
                    st.image(
                        own_images.sample_row(images, label), width="stretch", alt=words.SHEET_ALT.format(name=name)
                    )


st.subheader("Images", anchor=False)
st.caption(words.INTRO)
source, size = chosen()
images = load(source, size) if source else None
if images is None:
    if not source:
        with st.container(border=True):
            st.markdown(words.LAYOUT)
            st.html(set_lines.page(words.FOLDERS))
            st.markdown(words.OWN_TEST)
else:
    overview(images, source, size)
    hand_panel.show(images, size)
