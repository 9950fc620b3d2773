"""The race: several methods on the same split and seed, a few steps of each in turn, live side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import streamlit as st

from dashboard import curve_charts, curve_queries, queries, text, theme, widgets
from dashboard import text_curves as words
from dashboard.figures import smoothed
from dashboard.live_chart import encode, live_chart
from dashboard.queries import Snapshot
from sslcore import events as ev
from sslcore.sweep import Plan

BIND: Final = "query-params"
HEIGHT = 280
CHARTS = (  # metric, title, whether it is a fraction
    ("eval/test/accuracy", "Test accuracy, EMA", True),
    ("train/mask_rate", "Mask rate", True),
    ("train/purity", "Purity of the kept guesses", True),
    ("train/loss_x", "Loss on the labelled images", False),
)

_MASK = ("train/mask_rate", "Mask rate", text.TILE_HELP["mask"], True)
SECOND = {  # method -> metric, label, help, whether it is a fraction: its second number
    "supervised": ("train/loss", "Loss", text.TILE_HELP["loss"], False),
    "mixmatch": ("train/purity", "Purity", text.TILE_HELP["purity"], True),
    "fixmatch": _MASK, "flexmatch": _MASK,
}  # fmt: skip


def controls(plan: Plan | None, races: dict[str, list[ev.Run]]) -> str:
    """Draw what to race over, Start and the list of races; return the name of the race to show, empty if there is none."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        if plan is not None:
            labels = st.selectbox(
                "Labels", list(plan.labels), format_func="{:,}".format, key="race_labels", bind=BIND, width=120
            )
            seed = st.selectbox("Seed", list(plan.seeds), key="race_seed", bind=BIND, width=100)
            begin = widgets.pressed("Start the race", "race_start", icon=":material/flag:", help=words.RACE_START_HELP)
            if begin and not widgets.again("race_start"):
                _start(plan, labels, seed)
        shown = st.query_params.get("race", "")
        shown = shown if shown in races else next(iter(races), "")
        if len(races) > 1:
            if st.session_state.get("race_pick") != shown:
                st.session_state["race_pick"] = shown
            st.selectbox(
                "Race",
                list(races),
                format_func=lambda race: _title(races[race], race),
                key="race_pick",
                on_change=_picked,
                width=330,
            )
        if shown:
            resting = [run for run in races[shown] if run.state in ev.RESUMABLE]
            working = [
                run for run in races[shown] if run.state in (ev.QUEUED, *ev.ACTIVE) and not queries.orphaned(run)
            ]
            resting += [run for run in races[shown] if queries.orphaned(run)]
            st.button(
                "Pause the race",
                icon=":material/pause:",
                key="race_pause",
                disabled=not working,
                on_click=_each,
                args=("pause", working),
            )
            st.button(
                "Go on with the race",
                icon=":material/play_arrow:",
                key="race_resume",
                disabled=not resting,
                on_click=_each,
                args=("resume", resting),
            )
    return shown


def _start(plan: Plan, labels: int, seed: int) -> None:
    configs = [cell.config for cell in curve_queries.cells(plan) if (cell.labels, cell.seed) == (labels, seed)]
    engine = queries.engine()
    made = engine.race(configs, plan.preset)
    widgets.started(made)
    st.query_params["race"] = str(queries.store().run(made[0]).summary["race"])
    st.rerun()


def _picked() -> None:
    st.query_params["race"] = st.session_state["race_pick"]


def _each(action: str, runs: Sequence[ev.Run]) -> None:
    for run in runs:
        widgets.attempt(lambda run=run: getattr(queries.engine(), action)(run.id))  # type: ignore[misc]


def _title(runs: Sequence[ev.Run], race: str) -> str:
    one = runs[0]
    return (
        f"{text.data_name(one.data)} \u00b7 {text.plural(one.labels, 'label')} \u00b7 seed {one.seed} \u00b7 {race[:6]}"
    )


def draw(runs: Sequence[ev.Run]) -> None:
    """The lanes of a race as they are now."""
    if not runs:
        st.info(words.RACE_EMPTY, icon=":material/flag:")
        return
    now = [queries.snapshot(run) for run in runs]
    one = runs[0]
    titled = text.escape(str(one.summary.get("title", text.data_name(one.data))))
    st.markdown(
        f"**{titled}**, {text.plural(one.labels, 'label')}, seed {one.seed}, {one.steps:,} steps. {words.RACE_ONE}"
    )
    lanes = st.grid(len(runs), min_column_width=200)
    for run, snapshot in zip(runs, now, strict=True):
        with lanes.cell(), st.container(border=True, gap="xsmall", key=f"lane_{run.method}"):
            _lane(run, snapshot)
    reached = max(run.step for run in runs)
    charts = st.grid(2, min_column_width=340)
    for place, (metric, title, share) in enumerate(CHARTS):
        drawn = [_points(run, snapshot, metric) for run, snapshot in zip(runs, now, strict=True)]
        with charts.cell(), st.container(border=True, gap="xsmall", key=f"race_card_{place}"):
            st.markdown(f"**{title}**")
            figure = curve_charts.race([lane for lane in drawn if lane is not None], one.steps, reached, share)
            alt = f"{title} of {text.plural(len(runs), 'method')} over the steps of a race"
            live_chart(
                encode(figure),
                key=f"race_{place}",
                view=str(one.summary.get("race")),
                height=HEIGHT,
                alt=alt,
                wait="Nothing measured yet",
            )


def _points(run: ev.Run, snapshot: Snapshot, metric: str) -> curve_charts.Lane | None:
    points = snapshot.evals if metric.startswith("eval/") else snapshot.train
    values = points.get(metric)
    if values is None or np.isnan(values).all():
        return None
    shown = values if metric.startswith("eval/") else smoothed(values)
    return curve_charts.Lane(run.method, points["step"], shown)


def _awaited(run: ev.Run) -> str:
    """What stands in the place of an accuracy that isn't known yet."""
    first = widgets.first_accuracy(run)
    return f":small[{first}]" if first else "\u2013"


def _lane(run: ev.Run, snapshot: Snapshot) -> None:
    color = theme.METHOD_COLORS.get(run.method, "currentColor")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"**{words.method(run.method)}**", width="content")
        widgets.state_pill(run)
    st.html(f'<div style="height: 4px; border-radius: 2px; background: {color}"></div>')
    st.progress(min(run.step / max(run.steps, 1), 1.0), text=f"step {run.step:,} of {run.steps:,}")
    metric, label, about, share = SECOND.get(run.method, SECOND["fixmatch"])
    accuracy, second = snapshot.last("eval/test/accuracy"), snapshot.last(metric)
    told = None if second is None else text.percent(second) if share else text.loss(second)
    with st.container(horizontal=True):
        st.metric("Test, EMA", text.percent(accuracy) or _awaited(run), help=text.TILE_HELP["test"])
        st.metric(label, told or "\u2013", help=about)
    st.caption(f"{text.duration(run.seconds)} of its own training")
    if run.state in (ev.FAILED, ev.DIVERGED):
        st.caption(text.escape(run.error.strip().splitlines()[-1] if run.error.strip() else ""))
