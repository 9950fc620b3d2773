"""The three exhibits of the Augmentations page: weak and strong views, one operation, MixUp. Thin: ask, draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import streamlit as st

from dashboard import augmenting, drawn_words, sheet_files, text
from dashboard import exhibits_augment as exhibits
from dashboard import text_augment as words
from dashboard.augment_knobs import Asked, Knobs
from dashboard.augmenting import Still, Views
from dashboard.drawn_words import CUTOUT, NOISE
from dashboard.exhibits_augment import View
from dashboard.live_chart import live_chart
from dashboard.picture_picker import Picked, browse

BIND: Final = "query-params"

DRAWS = 4000  # shares in the histogram
BLENDS = 8
CHART_HEIGHT = 264


def weak_and_strong(picture: Still, picked: Picked, knobs: Knobs, asked: Asked, seed: int) -> None:
    """The picture, its weak views, its strong views with what was drawn, and the model's opinion of each."""
    count = knobs.count
    views = augmenting.views(picture, knobs.config, knobs.flip, count, seed)
    changed = any(told.ops or told.box for told in views.strong_told)
    which = min(int(st.session_state.get(f"aug_which_{count}") or 1), count) - 1 if changed else -1
    names, expected = class_names(picked, asked), None
    truth = picked.truth if list(names) == list(picked.images.class_names) else None
    whole = opinions(asked, np.concatenate([picture.pixels[None], views.weak, views.strong]))
    if whole is not None:
        expected = int(whole[0].argmax())
    weak = [
        View(pixels, tuple(drawn_words.weak(told)), probs=None if whole is None else whole[1 + i])
        for i, (pixels, told) in enumerate(zip(views.weak, views.weak_told, strict=True))
    ]
    strong = [
        View(
            pixels, tuple(drawn_words.strong(told)), faint=", ".join(drawn_words.weak(told)) if told.ops or told.box else "",
            probs=None if whole is None else whole[1 + count + i], marked=i == which,
        )
        for i, (pixels, told) in enumerate(zip(views.strong, views.strong_told, strict=True))
    ]  # fmt: skip
    original = View(picture.pixels, (truth_words(picked),), probs=None if whole is None else whole[0])
    left, right = st.columns([1, 5])
    with left:
        st.markdown(f"**{words.ORIGINAL}**")
        st.html(exhibits.sheet([original], names))
    with right:
        st.markdown(f"**{words.WEAK}**", help=words.WEAK_HELP)
        st.caption(words.WEAK_TEXT)
        st.html(exhibits.sheet(weak, names, expected))
        st.markdown(f"**{words.STRONG}**", help=words.STRONG_HELP)
        st.caption(words.STRONG_TEXT)
        st.html(exhibits.sheet(strong, names, expected))
        if whole is not None and expected is not None:
            st.markdown(verdict(whole[1 : 1 + count], whole[1 + count :], expected, names, views.strong_told, truth))
            st.caption(words.BARS)
        if changed:
            _step_by_step(picture, knobs, asked, seed, names, expected, views)
        told = [*(("weak", about) for about in views.weak_told), *(("strong", about) for about in views.strong_told)]
        with st.container(horizontal=True, gap="small"):
            st.download_button(
                words.SAVE_PNG, lambda: sheet_files.png([[original, *weak], strong], names), "views.png", "image/png", key="aug_png",
                icon=":material/image:", on_click="ignore",
            )  # fmt: skip
            st.download_button(
                words.SAVE_CSV, lambda: sheet_files.table(told, None if whole is None else whole[1:], names), "views.csv", "text/csv", key="aug_csv",
                icon=":material/table:", on_click="ignore",
            )  # fmt: skip


def _step_by_step(
    picture: Still, knobs: Knobs, asked: Asked, seed: int, names: Sequence[str], expected: int | None, views: Views
) -> None:
    """One of the strong views as it comes about, operation by operation."""
    st.markdown(f"**{words.STEPS}**", help=words.STEPS_HELP)
    numbers = list(range(1, knobs.count + 1))
    chosen = st.segmented_control(
        words.WHICH, numbers, default=1, required=True, key=f"aug_which_{knobs.count}", bind=BIND, label_visibility="collapsed", wrap=True
    )  # fmt: skip
    which = (chosen if chosen in numbers else 1) - 1
    pixels = augmenting.stages(picture, knobs.config, knobs.flip, knobs.count, seed, which)
    told = views.strong_told[which]
    cut = drawn_words.cut(told)
    lines = [drawn_words.weak(told), *([drawn_words.operation(op)] for op in told.ops), [cut] if cut else []]
    titles = [words.WEAK_STAGE, *(f"{k}." for k in range(1, len(told.ops) + 1)), words.CUT_STAGE]
    probs = opinions(asked, pixels)
    row = [
        View(pixels[k], tuple(lines[k]), title=titles[k], probs=None if probs is None else probs[k])
        for k in range(len(pixels))
        if lines[k]
    ]
    st.html(exhibits.sheet(row, names, expected, "steps"))


def verdict(
    weak: np.ndarray, strong: np.ndarray, expected: int, names: Sequence[str], told: Sequence[object], truth: int | None
) -> str:
    """How many views keep the class, which strong view hurts most, and whether the class is right, as markdown; weak and strong (n, C)."""
    name = text.escape(str(names[expected]))
    kept_weak, kept_strong = ((part.argmax(axis=1) == expected).sum() for part in (weak, strong))
    worst = int(strong[:, expected].argmin())
    error = ""
    if truth is not None and truth != expected:
        error = (
            f" Here that label is wrong, and consistency would teach the error: it is **{text.escape(names[truth])}**."
        )
    how = text.escape(", ".join(drawn_words.strong(told[worst])))  # type: ignore[arg-type]
    return (
        f"The model says **{name}** on {kept_weak} of {len(weak)} weak and {kept_strong} of {len(strong)} strong views. "
        f"It is least sure of it ({100 * strong[worst, expected]:.0f} %) after: {how}. "
        "Training on consistency would push that view back to the weak view's label." + error
    )


def one_operation(picture: Still, picked: Picked, knobs: Knobs, asked: Asked, seed: int) -> None:
    """One operation at the magnitude of the slider, and at a row of those that training draws."""
    op = str(st.pills(words.OP[0], augmenting.operations(), default="Rotate", required=True, key="aug_op", bind=BIND, help=words.OP[1]))  # fmt: skip
    std = 255 * float(np.mean(picked.images.std))
    st.caption(f"**{op}**: {words.OP_HELP[op].format(std=0.15 * std)}")
    span = augmenting.drawn_range(op, knobs.config, picture.shape, std)
    chosen = magnitude_slider(op, picture.shape, std, span) if span else 0.0
    values = augmenting.ladder(op, span) if span else ()
    fill = augmenting.fill_of(knobs.config, cutout=op == CUTOUT)
    changed = augmenting.tried(picture, op, (chosen, *values), fill, seed)
    names = class_names(picked, asked)
    whole = opinions(asked, np.concatenate([picture.pixels[None], changed]))
    expected = None if whole is None else int(whole[0].argmax())
    probs = [None] * (len(changed) + 1) if whole is None else list(whole)

    title = f"{op} {drawn_words.magnitude(op, chosen if span else None)}".strip()
    pair = [View(picture.pixels, probs=probs[0], title=words.ORIGINAL), View(changed[0], probs=probs[1], title=title)]
    left, right = st.columns([2, 3])
    with left:
        st.html(exhibits.sheet(pair, names, expected, "large"))
    if not span:
        st.caption(words.NO_MAGNITUDE)
        return
    with right:
        if whole is not None:
            st.markdown(f"**{words.BREAKS}**")
            live_chart(
                exhibits.break_chart(np.array(values), whole[2:], names, f"magnitude of {op}", chosen), key="aug_break",
                view=f"{op} {picked.source} {picked.at}", height=CHART_HEIGHT, alt=words.BREAK_ALT,
            )  # fmt: skip
    nearest = int(np.abs(np.array(values) - chosen).argmin())
    row = [
        View(changed[1 + i], (drawn_words.magnitude(op, value),), probs=probs[2 + i], marked=i == nearest)
        for i, value in enumerate(values)
    ]
    if op in (CUTOUT, NOISE):
        st.caption(words.OP_TEXT_UNDRAWN)
    else:
        st.caption(words.OP_TEXT + (f" {words.OFF_RANGE}" if knobs.config.preset == "off" else ""))
    st.html(exhibits.sheet(row, names, expected, "narrow"))


def magnitude_slider(op: str, shape: tuple[int, int, int], std: float, span: tuple[float, float]) -> float:
    """Draw the slider of an operation's magnitude; it reaches as far as the knobs can."""
    low, high, start, step = augmenting.slider_range(op, shape, std)
    about = words.DRAWN_FROM.format(low=drawn_words.magnitude(op, span[0]), high=drawn_words.magnitude(op, span[1]))
    return float(
        st.slider(
            words.MAGNITUDE, low, high, start, step, key=f"aug_{op}", bind=BIND, format="%.0f" if step == 1 else "%.2f",
            help=words.NOT_DRAWN if op in (CUTOUT, NOISE) else about,
        )
    )  # fmt: skip


def mixup(picture: Still, picked: Picked, asked: Asked, seed: int) -> None:
    """Two pictures, their blend and its label, and where lambda comes from."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        second_at = browse(
            picked.images, "aug_second", label=words.SECOND[0], about=words.SECOND[1], start=other_class(picked)
        )
        share = float(
            st.slider(words.LAMBDA[0], 0.0, 1.0, 0.7, 0.01, key="aug_lam", bind=BIND, help=words.LAMBDA[1], width=200)
        )
        alpha = float(
            st.slider(words.ALPHA[0], 0.05, 4.0, 0.75, 0.05, key="aug_alpha", bind=BIND, help=words.ALPHA[1], width=200)
        )
    kept = max(share, 1 - share)
    second = augmenting.still(picked.images, second_at)
    draws = augmenting.beta_draws(alpha, DRAWS, seed)
    folded = np.maximum(draws[:BLENDS], 1 - draws[:BLENDS])
    blends = augmenting.blended(picture, second, (kept, *(float(value) for value in folded)))
    names = class_names(picked, asked)
    labels = [picked.truth, int(picked.images.train_labels[second_at])]
    whole = opinions(asked, np.stack([picture.pixels, second.pixels, blends[0]]))
    top = [
        View(picture.pixels, (truth_words(picked),), title=f"{kept:.2f} \u00d7"),
        View(second.pixels, (name_of(picked, labels[1]),), title=f"+ {1 - kept:.2f} \u00d7"),
        View(blends[0], title=f"= blend, \u03bb\u2032 = {kept:.2f}"),
    ]
    left, right = st.columns([3, 2])
    with left:
        st.html(exhibits.sheet(top, names, size="large"))
    with right:
        parts = []
        mixed = mixed_label(labels, kept, len(picked.images.class_names))
        if mixed is not None and list(names) == list(picked.images.class_names):
            parts.append((words.MIXED_LABEL, mixed))
        if whole is not None:
            parts.append((words.MODEL_SAYS, whole[2]))
        st.html(
            exhibits.label_bars(parts, names)
            if parts
            else f'<div class="ssl-labels">{words.MIXED_LABEL}: {words.UNKNOWN}</div>'
        )
    left, right = st.columns(2)
    with left:
        st.markdown(f"**{words.DENSITY}**", help=words.DENSITY_HELP)
        st.caption(words.DENSITY_TEXT.format(n=f"{DRAWS:,}"))
        live_chart(
            exhibits.beta_chart(draws, alpha, share),
            key="aug_beta",
            view=f"{alpha}",
            height=CHART_HEIGHT,
            alt=words.DENSITY_ALT,
        )
    with right:
        st.markdown(f"**{words.DRAWN}**")
        st.caption(words.DRAWN_TEXT)
        drawn = [
            View(pixels, (f"\u03bb = {float(raw):.2f}", f"\u03bb\u2032 = {float(used):.2f}"))
            for pixels, raw, used in zip(blends[1:], draws, folded, strict=False)
        ]
        st.html(exhibits.sheet(drawn, names))


def other_class(picked: Picked) -> int:
    """Number of the first training picture of another class than the very first."""
    labels = picked.images.train_labels
    return int((labels != labels[0]).int().argmax())


def mixed_label(labels: Sequence[int | None], share: float, classes: int) -> np.ndarray | None:
    """Return share * one-hot(first) + (1 - share) * one-hot(second), (classes,); None where a label isn't known."""
    if any(label is None or label < 0 for label in labels):
        return None
    mixed = np.zeros(classes)
    for label, part in zip(labels, (share, 1 - share), strict=True):
        mixed[label] += part
    return mixed


def opinions(asked: Asked, pictures: np.ndarray) -> np.ndarray | None:
    """Class probabilities (n, C) of pictures, None where no model is asked."""
    return None if asked.model is None else augmenting.probs(asked.model, pictures)


def class_names(picked: Picked, asked: Asked) -> tuple[str, ...]:
    """Names of the classes of the bars: the model's where one is asked."""
    return picked.images.class_names if asked.model is None else asked.model.class_names


def name_of(picked: Picked, label: int | None) -> str:
    return f"class {picked.images.class_names[label] if label is not None and label >= 0 else words.UNKNOWN}"


def truth_words(picked: Picked) -> str:
    """The class of the picked picture in words."""
    if picked.at is None:
        return "yours"
    return name_of(picked, picked.truth)
