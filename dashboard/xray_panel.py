"""The X-ray, drawn: one image, eight boxes. The arithmetic is `xray.py`'s, the formulas are `formulas.py`'s."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import formulas, guide, guide_tour, images, pseudo_steps, text, text_pseudo, theme, xray, xray_subject
from dashboard.bars import Bar, bars
from dashboard.pseudo_steps import BIND
from dashboard.xray import Knobs, Ray
from dashboard.xray_subject import Shown
from sslcore.events import Run

SIDE = 180  # pixels of a picture
COLUMN = 250  # least width of a box


def draw(run: Run, steps: Sequence[int], wanted: int) -> None:
    """Draw the X-ray at the keyframe or checkpoint nearest to the wanted step."""
    shown = xray_subject.pick(run, steps, wanted)
    if shown is None:
        return
    above, before = st.container(), st.container()  # filled once the knobs below are known
    with st.container(border=True, key="box"):
        st.markdown(f"**{text_pseudo.BOX}**")
        with st.grid(3, min_column_width=COLUMN, gap="medium"):
            with st.container():
                knobs = _knobs(run, shown)
            counts = shown.counts(knobs.tau)
            ray = xray.trace(shown.subject, knobs, counts)
            with st.container():
                _gate_bars(shown, knobs, ray)
            with st.container():
                _gate_formula(shown, knobs, ray, counts)
    with above:
        xray_subject.strip(shown, knobs)
    with before:
        _before(shown, ray)
    _after(shown, knobs, ray)
    with st.expander("Show the numbers", icon=":material/table:"):
        st.dataframe(_table(shown, ray), hide_index=True, alt="Every number of the X-ray by class")


def _card(title: str, help: str | None = None) -> st.delta_generator.DeltaGenerator:
    box = st.container(border=True, height="stretch", gap="small")
    box.markdown(f"**{title}**", help=help)
    return box


def _before(shown: Shown, ray: Ray) -> None:
    """Boxes 1 to 3: the weak view, its logits and their softmax; the same for every method."""
    subject = shown.subject
    probs = xray.softmax(subject.weak_logits[0])
    guess = int(probs.argmax())
    with st.grid(3, min_column_width=COLUMN):
        with _card(text_pseudo.WEAK):
            st.caption(text_pseudo.WEAK_TEXT)
            st.image(images.row([subject.weak[0]], SIDE), width=SIDE, alt="Weak view of the image")
            truth = f"Truth: **{_name(shown, subject.truth)}**" if subject.truth >= 0 else "Truth: unknown, also to us"
            st.markdown(truth if shown.reveal else "Truth: hidden")
        with _card(text_pseudo.LOGITS, text_pseudo.LOGITS_HELP):
            st.caption(text_pseudo.LOGITS_SHIFTED if subject.shifted else text_pseudo.LOGITS_TEXT)
            _logit_bars(shown, ray, subject.weak_logits[0], guess)
        with _card(text_pseudo.SOFTMAX, text_pseudo.SOFTMAX_HELP):
            st.caption(text_pseudo.SOFTMAX_TEXT)
            _prob_bars(shown, ray, probs, "bars_softmax", guess)
            st.latex(formulas.softmax(subject.weak_logits[0], guess))


def _knobs(run: Run, shown: Shown) -> Knobs:
    """Draw the method toggle and the knobs of its box; the run's own values are the first ones."""
    first = run.method if run.method in xray.METHODS else "fixmatch"
    names = list(xray.METHODS)
    method = st.segmented_control(
        "Method", names, default=first, required=True, format_func=text.METHODS.__getitem__, key=f"box.{first}", bind=BIND,
        label_visibility="collapsed", on_change=guide_tour.note, args=(guide.SWITCHED_METHOD,),
    )  # fmt: skip
    method = method if method in names else first
    st.caption(text_pseudo.BOX_TEXT[method])
    if method == "mixmatch":
        own = float(pseudo_steps.own(run, "temperature", 0.5))
        top = max(2.0, own)
        temperature = st.slider(
            "Temperature T", 0.0, top, own, step=0.05, key=f"temperature.{own:g}", bind=BIND, help=text_pseudo.T_HELP
        )
        most = len(shown.subject.weak_logits)
        views = min(int(pseudo_steps.own(run, "views", 2)), most)
        if most > 1:
            views = st.slider("Views K", 1, most, views, key=f"views.{most}", bind=BIND, help=text_pseudo.K_HELP)
        return Knobs(method, views=int(views), temperature=float(temperature))
    tau = pseudo_steps.tau(run)
    if method == "fixmatch":
        return Knobs(method, tau=tau)
    mapping, warmup = pseudo_steps.mapping(run)
    st.caption(text_pseudo.STATUS["recorded" if shown.recorded else "probe"])
    return Knobs(method, tau=tau, mapping=mapping, warmup=warmup)


def _gate_bars(shown: Shown, knobs: Knobs, ray: Ray) -> None:
    """The method's box in bars: sharpening with the mean as a ghost, or the thresholds as lines across the probabilities."""
    if knobs.method == "mixmatch":
        pictures = shown.subject.weak[: knobs.views]
        st.image(images.row(pictures, 64, 8), width=72 * len(pictures) - 8, alt=f"{len(pictures)} weak views")
        _prob_bars(shown, ray, ray.target, "bars_box", ray.guess, ghost=ray.probs)
        st.caption("Bars: sharpened guess q. Dashed: the mean before.")
        return
    assert ray.thresholds is not None
    _prob_bars(shown, ray, ray.probs, "bars_box", ray.guess, ticks=ray.thresholds)
    st.caption(
        "Bars: probabilities. Lines: the threshold" + (" of each class." if knobs.method == "flexmatch" else ".")
    )


def _gate_formula(shown: Shown, knobs: Knobs, ray: Ray, counts: np.ndarray) -> None:
    if knobs.method == "mixmatch":
        st.latex(formulas.mean(ray))
        st.latex(formulas.sharpened(ray, knobs.temperature))
        before, after = xray.entropy(ray.probs), xray.entropy(ray.target)
        st.markdown(f"Entropy **{before:.3f}** \u2192 **{after:.3f}** nats", help=text_pseudo.ENTROPY_HELP)
        return
    st.markdown(f"Guess: **{_name(shown, ray.guess)}**, confidence **{ray.confidence:.3f}**")
    st.latex(formulas.gate(ray, knobs.tau) if knobs.method == "fixmatch" else formulas.class_gate(ray, knobs, counts))
    if ray.kept:
        st.badge("kept", icon=":material/check:", color="green")
    else:
        st.badge("not kept", icon=":material/block:", color="orange")


def _after(shown: Shown, knobs: Knobs, ray: Ray) -> None:
    """Boxes 5 to 8: the target, the view that must agree with it, its prediction, and the loss."""
    mixmatch = knobs.method == "mixmatch"
    kind = "weak" if mixmatch else "strong"
    target = ray.target if ray.kept else np.zeros_like(ray.target)
    with st.grid(4, min_column_width=COLUMN):
        with _card(text_pseudo.TARGET):
            st.caption(text_pseudo.TARGET_TEXT["soft" if mixmatch else "hard" if ray.kept else "none"])
            _prob_bars(shown, ray, target, "bars_target", ray.guess)
        with _card(text_pseudo.SECOND[kind]):
            st.caption(text_pseudo.SECOND_TEXT[kind])
            pictures = shown.subject.weak[: knobs.views] if mixmatch else (shown.subject.strong,)
            side = SIDE if len(pictures) == 1 else 64
            st.image(
                images.row(pictures, side, 8), width=(side + 8) * len(pictures) - 8, alt=f"{kind} view of the image"
            )
        with _card(text_pseudo.PREDICTION):
            st.caption(text_pseudo.PREDICTION_TEXT[kind])
            _prob_bars(shown, ray, ray.predicted[0], "bars_prediction", int(ray.predicted[0].argmax()), ghost=target)
        with _card(text_pseudo.LOSS):
            st.caption(text_pseudo.LOSS_TEXT["mixmatch" if mixmatch else "gate"])
            st.latex(formulas.loss(ray, knobs))
            st.markdown(f"Loss $\\mathbf{{{formulas.num(ray.loss)}}}$")


def _name(shown: Shown, c: int) -> str:
    return text.escape(shown.names[c])


def _rows(shown: Shown, ray: Ray, make: Callable[[int], Bar]) -> list[Bar]:
    return [make(c) for c in xray.shown_classes(ray, shown.subject.truth)]


def _note(shown: Shown, c: int) -> str:
    return "\u2713" if shown.reveal and c == shown.subject.truth else ""


def _prob_bars(
    shown: Shown,
    ray: Ray,
    probs: np.ndarray,
    key: str,
    strong: int,
    *,
    ghost: np.ndarray | None = None,
    ticks: np.ndarray | None = None,
) -> None:
    """Draw probabilities (C,); of many classes those that matter here, and the rest in one row."""

    names = text.told_apart(shown.names)

    def make(c: int) -> Bar:
        return Bar(
            names[c], float(probs[c]), f"{probs[c]:.3f}", theme.class_color(c), strong=c == strong, note=_note(shown, c),
            ghost=None if ghost is None else float(ghost[c]), tick=None if ticks is None else float(ticks[c]),
        )  # fmt: skip

    rows = _rows(shown, ray, make)
    hidden = len(probs) - len(rows)
    if hidden:
        rest = float(probs.sum() - sum(bar.end for bar in rows))
        rows.append(Bar(f"{hidden} others", rest, f"{max(rest, 0):.3f}", theme.TEXT))
    best = int(probs.argmax())
    bars(rows, key=key, alt=f"Probabilities of the classes; the largest is {shown.names[best]} with {probs[best]:.3f}")


def _logit_bars(shown: Shown, ray: Ray, logits: np.ndarray, guess: int) -> None:
    low, high = min(0.0, float(logits.min())), max(0.0, float(logits.max()))
    span = max(high - low, 1e-9)

    names = text.told_apart(shown.names)

    def make(c: int) -> Bar:
        return Bar(
            names[c], (float(logits[c]) - low) / span, f"{logits[c]:.2f}", theme.class_color(c), start=-low / span, strong=c == guess,
            note=_note(shown, c),
        )  # fmt: skip

    bars(
        _rows(shown, ray, make),
        key="bars_logits",
        alt="Logits of the classes, bars to the left of the middle are negative",
    )


def _table(shown: Shown, ray: Ray) -> pd.DataFrame:
    """Return every number by class."""
    subject = shown.subject
    columns = {
        "class": [text_pseudo.cell(name) for name in shown.names],
        "logit, weak view": subject.weak_logits[0],
        "softmax": xray.softmax(subject.weak_logits[0]),
        "guess": ray.probs,
        "target": ray.target if ray.kept else np.zeros_like(ray.target),
        "prediction": ray.predicted[0],
    }
    return pd.DataFrame(columns | ({"threshold": ray.thresholds} if ray.thresholds is not None else {}))
