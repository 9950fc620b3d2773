"""The part of the Images page where a person labels by clicking pictures. The choice stands in the URL as numbers."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import guide, guide_tour, own_images, text, widgets
from dashboard import images as pictures
from dashboard import text_images as words
from dashboard.curve_panel import html_table
from dashboard.image_strip import Cell, image_strip

if TYPE_CHECKING:
    from sslcore.data import ImageSet

HAND = "hand"  # name in the URL
PAGE, COLUMNS = 64, 16  # images of a class shown at once, and squares a row of the sprite


def show(images: ImageSet, size: int) -> None:
    """Draw the class, its images, what is chosen, and where to go on with it."""
    with st.container(border=True, key="card_hand"):
        st.markdown(f"**{words.HAND_TITLE}**", help=words.HAND_HONEST)
        st.caption(words.HAND_TEXT)
        with st.expander(words.WORTH_TITLE, icon=":material/balance:"):
            st.markdown(words.WORTH_TEXT)
            st.html(html_table(words.WORTH_HEAD, words.WORTH))
            st.markdown(words.WORTH_SAYS)
            st.code(words.WORTH_COMMAND, language="bash", wrap_lines=True)
        hand, problem = own_images.read_hand(st.query_params.get(HAND, ""))
        if problem:
            st.warning(text.escape(problem), icon=":material/link_off:")
        _begin(images)
        _strip(images, hand)
        _chosen(images, size, hand)


def _write(hand: tuple[int, ...]) -> None:
    if hand:
        guide_tour.note(guide.CHOSE_LABELS)
        st.query_params[HAND] = ",".join(map(str, hand))
    else:
        st.query_params.pop(HAND, None)


def _begin(images: ImageSet) -> None:
    """A first choice to go on from."""

    def fill() -> None:
        seed = st.session_state["hand_seed"] = st.session_state.get("hand_seed", -1) + 1
        _write(own_images.suggest(images, st.session_state["hand_begin"], int(st.session_state["hand_each"]), seed))

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox(
            words.BEGIN_LABEL, list(words.BEGIN), format_func=words.BEGIN.__getitem__, key="hand_begin", width=190
        )
        st.number_input(words.EACH_LABEL, 1, 40, 1, key="hand_each", width=130)
        st.button("Fill in", icon=":material/auto_awesome:", key="hand_fill", on_click=fill, help=words.HAND_HONEST)
        st.button("Clear", icon=":material/deselect:", type="tertiary", key="hand_clear", on_click=_write, args=((),))


def _strip(images: ImageSet, hand: tuple[int, ...]) -> None:
    labels = images.train_labels
    counts = Counter(int(labels[number]) for number in hand if number < len(labels))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        label = st.selectbox(
            words.CLASS_LABEL, range(images.num_classes), format_func=images.class_names.__getitem__, key="hand_class", width=220
        )  # fmt: skip
        found = own_images.members(images, label)
        pages = max(1, -(-len(found) // PAGE))
        page = st.pagination(pages, key="hand_page") if pages > 1 else 1
        # Not within the list, whose words would be those of before.
        st.caption(f"{text.number(counts[label])} chosen", width="content")
    first = (min(page, pages) - 1) * PAGE
    shown = found[first : first + PAGE].tolist()

    def toggle(cell: int) -> None:
        number = shown[cell]
        if widgets.again(f"hand {number}", 0.2):
            return
        _write(tuple(n for n in hand if n != number) if number in hand else (*hand, number))

    # A chosen one is framed and has a tick.
    cells = [
        Cell(f"image {number}, chosen", kept=True, right=True) if number in hand else Cell(f"image {number}")
        for number in shown
    ]
    with st.container(width=720):
        image_strip(
            _sprite(images, tuple(shown)), COLUMNS, cells, -1, key="hand_strip", alt=words.STRIP_ALT, on_pick=toggle
        )


@lru_cache(maxsize=8)
def _sprite(images: ImageSet, numbers: tuple[int, ...]) -> bytes:
    return pictures.sprite(list(images.train_images[list(numbers)].numpy()), COLUMNS)


def _chosen(images: ImageSet, size: int, hand: tuple[int, ...]) -> None:
    if not hand:
        st.caption(words.CHOSEN_NONE)
        return
    problem = own_images.check_hand(images, hand)
    known = [number for number in hand if number < len(images.train_labels) and images.train_labels[number] >= 0]
    by_class: dict[int, list[int]] = {}
    for number in known:
        by_class.setdefault(int(images.train_labels[number]), []).append(number)
    each = sorted({len(by_class.get(c, ())) for c in range(images.num_classes)})
    spread = f"{each[0]} of each class" if len(each) == 1 else f"{each[0]} to {each[-1]} of each class"
    st.markdown(words.CHOSEN.format(count=f"{len(hand):,}", each=spread))
    with st.grid(3, min_column_width=270):
        for label, numbers in sorted(by_class.items())[: own_images.CLASSES]:
            with st.container(gap="xxsmall"):
                name = images.class_names[label]
                st.caption(f"{text.escape(name)}: {len(numbers)}")
                row = own_images.chosen_row(images, tuple(numbers[: own_images.SAMPLES]))
                st.image(row, width="stretch", alt=words.CHOSEN_ALT.format(name=name))
    missing = [name for c, name in enumerate(images.class_names) if c not in by_class]
    if missing and len(known) == len(hand):
        names = ", ".join(map(text.escape, missing[:12])) + (
            f" and {len(missing) - 12} more" if len(missing) > 12 else ""
        )
        st.info(words.MISSING.format(names=names), icon=":material/info:")
        return
    if problem:
        st.warning(text.escape(problem), icon=":material/warning:")
        return
    st.page_link(
        "views/train.py", label=words.TO_TRAIN_HAND, icon=":material/play_arrow:", query_params=own_images.train_params(images, size, hand)
    )  # fmt: skip
    with st.expander(words.HAND_COMMAND, icon=":material/terminal:"):
        st.code(own_images.command(images, size, hand), language="bash", wrap_lines=True)
        st.caption(words.HAND_NUMBERS)
