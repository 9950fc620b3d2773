"""The threshold sandbox, drawn: knobs, four numbers, three charts. The arithmetic is `sandbox.py`'s."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard import pseudo_steps, queries, sandbox, sandbox_charts, text, text_pseudo
from dashboard.charts_classes import MOST_CLASSES
from dashboard.figures import Figure
from dashboard.live_chart import live_chart
from dashboard.pseudo_steps import BIND
from dashboard.queries import Columns
from dashboard.sandbox import Outcome, Predictions
from sslcore.events import Run

HEIGHT = 300
TAUS = np.linspace(0.0, 1.0, 201)


def draw(run: Run, steps: Sequence[int], wanted: int) -> None:
    """Draw the sandbox over the keyframe nearest to the wanted step."""
    step = pseudo_steps.nearest(steps, wanted)
    pseudo_steps.about(run, step, step == steps[-1])
    frame = queries.keyframe(run.id, step)
    if frame is None:
        st.info(text.escape(queries.keyframe_problem(run.id, step)) or text_pseudo.GONE, icon=":material/info:")
        return
    names = queries.class_names(run, frame["weak_probs"].shape[1])
    left, right = st.columns([1, 2], gap="medium")
    with left, st.container(border=True):
        predictions = _population(run, frame)
        first = "flexmatch" if run.method == "flexmatch" else "fixmatch"
        gate = _choose("Gate", text_pseudo.GATES, first, f"gate.{first}", text_pseudo.GATE_HELP)
        tau = pseudo_steps.tau(run) if gate != "hand" else pseudo_steps.own_tau(run)
        thresholds = _thresholds(run, frame, predictions, gate, tau, names)
    line = None if gate == "hand" else tau  # by hand no single tau is in force
    result = sandbox.outcome(predictions, thresholds)
    with right:
        _tiles(run, frame, predictions, result)
        keep = sandbox.kept(predictions, thresholds)
        counts = sandbox.histogram(predictions, keep)
        _chart("histogram", sandbox_charts.histogram(counts, line), run, movable=line is not None)
    with st.grid(2, min_column_width=320):
        _chart("classes", sandbox_charts.classes(result.by_class, thresholds, names), run)
        lines = sandbox.trade_off(predictions, TAUS)
        _chart("trade", sandbox_charts.trade_off(TAUS, *lines, line), run, movable=line is not None)


def _choose(label: str, options: dict[str, str], first: str, key: str, about: str) -> str:
    picked = st.segmented_control(
        label, list(options), default=first, required=True, format_func=options.__getitem__, key=key, bind=BIND, help=about, wrap=True
    )  # fmt: skip
    return picked if picked in options else first


def _population(run: Run, frame: Columns) -> Predictions:
    probe, test = sandbox.from_keyframe(frame, "probe"), sandbox.from_keyframe(frame, "test")
    assert probe is not None
    if test is None:
        st.caption(text_pseudo.ONLY_PROBE)
        return probe
    sizes = {"probe": len(probe.confidence), "test": len(test.confidence)}
    kind = pseudo_steps.probed(run).capitalize()
    options = {name: f"{label.format(kind)} ({sizes[name]:,})" for name, label in text_pseudo.POPULATION.items()}
    return {"probe": probe, "test": test}[_choose("Predictions of", options, "probe", "of", text_pseudo.POPULATION_HELP)]  # fmt: skip


def _thresholds(
    run: Run, frame: Columns, predictions: Predictions, gate: str, tau: float, names: Sequence[str]
) -> np.ndarray:
    """Draw the knobs of the gate and return the class thresholds (C,)."""
    if gate == "fixmatch":
        return np.full(len(names), tau)
    if gate == "hand":
        return _by_hand(names, tau)
    mapping, warmup = pseudo_steps.mapping(run)
    counts = sandbox.learning_status(predictions, tau)
    source = "counted"
    if pseudo_steps.recorded(run, frame.get("count")):
        source = _choose("Learning status", text_pseudo.STATUS_NAMES, "recorded", "status", text_pseudo.STATUS_HELP)
        counts = frame["count"].astype(float) if source == "recorded" else counts
    st.caption(text_pseudo.STATUS[source])
    return sandbox.flex_thresholds(counts, tau, mapping, warmup)


def _by_hand(names: Sequence[str], tau: float) -> np.ndarray:
    """Draw a small slider for each class, of many for the chosen ones; the others keep tau."""
    shown: Sequence[int] = range(len(names))
    if len(names) > MOST_CLASSES:
        shown = st.multiselect(
            "Classes to set", list(shown), default=list(range(3)), format_func=lambda c: names[c], key="hand", max_selections=MOST_CLASSES
        )  # fmt: skip
    thresholds = np.full(len(names), tau)
    with st.grid(2, min_column_width=120, gap="small"):
        for c in shown:
            thresholds[c] = st.slider(
                text.escape(names[c]), 0.0, 1.0, round(tau, 2), step=0.01, key=f"hand.{c}.{tau:g}", bind=BIND
            )
    return thresholds


def _tiles(run: Run, frame: Columns, predictions: Predictions, result: Outcome) -> None:
    """Four numbers; below two of them how far they are from what the run's own gate does with the same predictions."""
    own = None
    if run.method in ("fixmatch", "flexmatch"):
        own = sandbox.outcome(predictions, frame["threshold"].astype(float))
    pool, known = int(run.summary.get("num_unlabeled", 0)), int(predictions.known.sum())
    wrong = sandbox.expected_wrong(result, known, pool) if pool else None
    help = text_pseudo.TILE_HELP
    with st.grid(4, min_column_width=140, key="sandbox_tiles"):
        for label, name, value, before in (
            ("Coverage", "coverage", result.coverage, own.coverage if own else None),
            ("Purity", "purity", result.purity, own.purity if own else None),
        ):
            delta = text_pseudo.points(value, before)
            st.metric(
                label,
                text.percent(value) or "\u2013",
                delta,
                delta_color="off",
                delta_arrow="off" if delta == text_pseudo.AS_OWN else "auto",
                border=True,
                height="stretch",
                help=help[name],
            )
        st.metric(f"Kept of {result.total:,}", f"{result.kept:,}", border=True, height="stretch", help=help["kept"])
        shown = text.number(round(wrong[0])) if wrong else "\u2013"
        st.metric("Wrong labels", shown, border=True, height="stretch", help=help["wrong"])
    if wrong:
        st.caption(text_pseudo.interval(wrong[1], wrong[2], pool, known) + (" " + text_pseudo.POINTS if own else ""))


def _chart(kind: str, figure: Figure, run: Run, movable: bool = False) -> None:
    title, about = text_pseudo.CHARTS[kind]
    about += text_pseudo.MOVABLE if movable else ""

    def move() -> None:
        at = (st.session_state[f"chart_{kind}"].get("click") or [None])[0]
        if isinstance(at, (int, float)):
            pseudo_steps.set_tau(run, at)

    with st.container(border=True, gap="xsmall", key=f"card_{kind}", height="stretch"):
        st.markdown(f"**{title}**")
        st.caption(about)
        alt = text_pseudo.CHART_ALT[kind]
        live_chart(figure, key=f"chart_{kind}", view=run.id, height=HEIGHT, alt=alt, on_click=move if movable else None)
