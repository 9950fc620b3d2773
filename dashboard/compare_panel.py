"""The lower part of the Runs page: curves of the selected runs in the same charts, and their settings side by side."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import streamlit as st

from dashboard import compare, queries, text
from dashboard.live_chart import encode, live_chart
from dashboard.queries import Snapshot
from sslcore import events as ev
from sslcore.events import Run
from sslcore.palette import run_mark

HEIGHT = 300
BIND: Final = "query-params"
OTHER = "eval/train/accuracy"  # the metric that is chosen at first, beside those that are always drawn
STYLE = """<style>
.ssl-diff { overflow-x: auto; } .ssl-diff table { border-collapse: collapse; font-size: .875rem; margin: 0; }
.ssl-diff :is(th, td) { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border: 0; border-bottom: 1px solid rgba(128, 128, 128, .3); }
.ssl-diff td { overflow-wrap: anywhere; max-width: 22rem; min-width: 6rem; font-variant-numeric: tabular-nums; }
.ssl-diff tbody th { font-weight: 500; position: sticky; left: 0; background: inherit; } .ssl-diff .differs td { font-weight: 600; }
.ssl-diff .line { display: inline-block; width: 1.6rem; height: 0; vertical-align: middle; margin-right: .4rem; border-top: 3px solid; }
@media (max-width: 640px) { .ssl-diff table { font-size: .78rem; } .ssl-diff :is(th, td) { padding-right: .35rem; } .ssl-diff td { min-width: 3.8rem; } }
</style>"""
BORDERS = {"solid": "solid", "dash": "dashed", "dot": "dotted", "dashdot": "dashed", "longdash": "dashed"}


def curves(runs: Sequence[Run], slots: Mapping[str, int]) -> None:
    """Choose axis and metric, and draw; live while one of the runs is at work."""
    drawn = [run for run in runs if run.id in slots]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom", gap="small"):
        with st.container(width="content", gap="xsmall"):
            st.markdown("**Curves**" if len(drawn) == 1 else f"**Curves of {len(drawn)} runs**")
            st.caption(
                text.COMPARE_TEXT
                if len(runs) <= compare.MOST
                else f"{text.COMPARE_TEXT} {text.COMPARE_MOST % compare.MOST}"
            )
        axis = st.segmented_control(
            "Over", list(compare.AXES), default="step", required=True, format_func=compare.AXES.__getitem__, key="over", bind=BIND,
            width="content", help=text.OVER_HELP,
        )  # fmt: skip
    live = any(run.state in ev.ACTIVE for run in drawn)
    st.fragment(_charts, run_every=1.0 if live else None)([run.id for run in drawn], dict(slots), axis or "step")


def _charts(ids: list[str], slots: dict[str, int], axis: str) -> None:
    runs = queries.some(ids)
    shown = ["eval/test/accuracy", "train/loss"]
    if any(run.method in ("fixmatch", "flexmatch") for run in runs):
        shown.append("train/mask_rate")
    if any(run.method != "supervised" for run in runs):
        shown.append("train/purity")
    now = tuple(queries.snapshot(run) for run in runs)
    names = compare.labels(runs)
    lines = tuple(
        (label, run.method, slots[run.id], float(run.summary.get("images_per_step") or 0.0))
        for label, run in zip(names, runs, strict=True)
    )
    end = compare.axis_end(runs, axis)
    left = (compare.fork_at(one.train, run, axis) for one, run in zip(now, runs, strict=True))
    forks = tuple(sorted({at for at in left if at is not None}))
    grid = st.grid(2, min_column_width=340)
    for place, metric in enumerate(shown):
        with grid.cell(), st.container(border=True, gap="xsmall", key=f"compare_card_{place}"):
            st.markdown(f"**{compare.metric_name(metric)}**")
            _draw(place, metric, now, lines, axis, end, forks)
    with grid.cell(), st.container(border=True, gap="xsmall", key="compare_card_other"):
        found = sorted({name for one in now for name in (*one.train, *one.evals)} - {"step", "seconds"} - set(shown))
        options = sorted(dict.fromkeys([OTHER, *found]), key=compare.metric_name)
        metric = st.selectbox(
            "Metric", options, index=options.index(OTHER), format_func=compare.metric_name, key="metric", bind=BIND, label_visibility="collapsed",
        )  # fmt: skip
        _draw("other", metric, now, lines, axis, end, forks)


def _draw(
    place: int | str,
    metric: str,
    now: tuple[Snapshot, ...],
    lines: tuple[tuple[str, str, int, float], ...],
    axis: str,
    end: float,
    forks: tuple[float, ...],
) -> None:
    figure = _figure(metric, now, lines, axis, end, forks)
    alt = f"{compare.metric_name(metric)} of {text.plural(len(lines), 'run')} over {compare.AXES[axis].lower()}"
    live_chart(
        figure, key=f"compare_{place}", view=f"{axis} {metric}", height=HEIGHT, alt=alt, wait="None of these runs has measured this"
    )  # fmt: skip


@lru_cache(maxsize=64)
def _figure(
    metric: str,
    now: tuple[Snapshot, ...],
    lines: tuple[tuple[str, str, int, float], ...],
    axis: str,
    end: float,
    forks: tuple[float, ...],
) -> bytes:
    most = compare.BUDGET // max(len(now), 1)
    found = [
        compare.curve(one.evals if metric in one.evals else one.train, label, method, slot, metric, axis, each, most)
        for one, (label, method, slot, each) in zip(now, lines, strict=True)
    ]
    return encode(compare.overlay([one for one in found if one is not None], metric, axis, end, forks))


def settings(runs: Sequence[Run], slots: Mapping[str, int]) -> None:
    """The settings side by side: where they differ, or all of them."""
    runs = [run for run in runs if run.id in slots] or list(runs)
    sides = compare.columns(runs, compare.labels(runs))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown("**Settings**" if len(runs) == 1 else "**Settings side by side**", width="content")
        everything = st.toggle("Show all settings", key="all_settings", bind=BIND)
    found = compare.differences(sides)
    rows = [one for one in found if everything or one.differs]
    if rows:
        marks = [run_mark(run.method, slots[run.id]) for run in runs if run.id in slots]
        st.html(STYLE + table(sides, rows, marks if len(runs) > 1 else []))
    else:
        st.caption(
            text.SETTINGS_SAME if len(runs) > 1 else text.SETTINGS_PRESET if len(sides) > 1 else text.SETTINGS_ALONE
        )


def table(sides: Sequence[compare.Column], rows: Sequence[compare.Difference], marks: Sequence[tuple[str, str]]) -> str:
    """HTML of the settings; every word in it is escaped."""
    heads = []
    for i, side in enumerate(sides):
        line = (
            f'<span class="line" style="border-top: 3px {BORDERS[marks[i][1]]} {marks[i][0]}"></span>'
            if i < len(marks)
            else ""
        )
        heads.append(f'<th scope="col">{line}{html.escape(side.title)}</th>')
    lines = [
        f'<tr class="{"differs" if one.differs else ""}"><th scope="row" title="{html.escape(one.help)}">{html.escape(one.name)}</th>'
        + "".join(f"<td>{html.escape(value)}</td>" for value in one.values)
        + "</tr>"
        for one in rows
    ]
    return (
        '<div class="ssl-diff" tabindex="0" role="region" aria-label="Settings side by side"><table><thead><tr><th scope="col">Setting</th>'
        f"{''.join(heads)}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
