"""The parts of the Label curves page: grid, curve with what is read off it, classes. Controls stand outside what is drawn anew."""

from __future__ import annotations

import functools
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from dashboard import curve_charts, curve_queries, queries, text, text_images, widgets
from dashboard import text_curves as words
from dashboard.compare_panel import STYLE
from dashboard.curve_grid import curve_grid, rows
from dashboard.curve_queries import Look
from dashboard.live_chart import encode, live_chart
from sslcore import curve, per_class, published, recordings, report_sweep, sweep
from sslcore.curve import Point
from sslcore.sweep import Plan

BIND: Final = "query-params"
HEIGHT, TALL = 440, 400
BASELINE = "supervised"


@dataclass(frozen=True)
class Reading:
    """What is to be read off the curve: `first` with `labels` labels against `second`, and the accuracy wanted."""

    first: str
    labels: int
    second: str
    goal: float
    beside: tuple[str, ...]


def reading_controls(plan: Plan) -> Reading:
    """Draw what the reader chooses about the curve."""
    others = [method for method in plan.methods if method != BASELINE] or list(plan.methods)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="reading"):
        first = _pick("Read", "read", plan.methods, others[-1])
        labels = _pick_count("at", plan.labels)
        second = _pick("against", "against", plan.methods, plan.methods[0])
        goal = st.number_input(
            f"{words.GOAL} (%)", 1.0, 100.0, 90.0, step=1.0, format="%g", key="goal", bind=BIND, width=150, help=words.GOAL_HELP
        )  # fmt: skip
        beside = st.pills(
            words.BESIDE, list(published.GROUPS), selection_mode="multi", format_func=published.GROUPS.__getitem__, key="beside", bind=BIND,
            help=words.BESIDE_HELP, wrap=True,
        )  # fmt: skip
    return Reading(first, labels, second, float(goal) / 100, tuple(beside or ()))


def _pick(label: str, key: str, methods: Sequence[str], usual: str) -> str:
    options = list(methods)
    _keep_possible(key, options)
    picked = st.selectbox(
        label, options, index=options.index(usual), format_func=words.method, key=key, bind=BIND, width=140
    )
    return picked if picked in options else usual


def _pick_count(key: str, counts: Sequence[int]) -> int:
    options = list(counts)
    _keep_possible(key, options)
    picked = st.selectbox(
        "with", options, format_func=lambda count: text.plural(count, "label"), key=key, bind=BIND, width=130
    )
    return picked if picked in options else options[0]


def _keep_possible(key: str, options: Sequence[object]) -> None:
    """A choice that the sweep no longer has is forgotten before its list is drawn."""
    if key in st.session_state and st.session_state[key] not in options:
        del st.session_state[key]


def grid(now: Look) -> None:
    with st.container(border=True, gap="xsmall", key="grid_card"):
        st.caption(words.GRID_TEXT)
        lines = rows(now.plan, now.grid, now.found, now.points)
        curve_grid(lines, now.plan.labels, key="sweep_grid", on_open=_open)


def _open() -> None:
    if run := st.session_state["sweep_grid"].get("open"):
        st.session_state["open_run"] = str(run)


def draw_curve(now: Look, reading: Reading) -> None:
    """The curve, and what is read off it in words."""
    beside = published.series(reading.beside, now.plan.methods)
    found = {method: curve.of_method(now.points, method) for method in now.plan.methods}
    point = next((one for one in found.get(reading.first, []) if one.labels == reading.labels), None)
    equal = curve.equal(found[reading.second], point) if point and reading.second != reading.first else None
    level = curve_charts.Level(point.mean, float(point.labels), equal[0]) if point and equal else None
    with st.container(border=True, gap="xsmall", key="curve_card"):
        st.markdown("**Accuracy against number of labels**")
        st.caption(f"{told_with(now)} {words.CURVE_TEXT}")
        figure = curve_charts.curve(now.points, now.plan.labels, beside, level, reading.goal)
        view = f"{now.plan.labels} {reading.beside}"
        live_chart(
            encode(figure), key="label_curve", view=view, height=HEIGHT, alt=words.CURVE_ALT, wait=words.CURVE_WAIT
        )
        if now.points and len(now.plan.seeds) == 1:
            st.caption(words.ONE_SEED)
        if caveats := published.caveats(beside, now.grid[0].config):
            st.warning("  \n".join(caveats), icon=":material/balance:")
    if beside:
        sources(beside)
    left, right = st.columns(2, gap="small")
    with left, st.container(border=True, gap="xsmall", height="stretch"):
        st.markdown(f"**{words.EQUAL_TITLE}**", help=words.EQUAL_HELP)
        st.markdown(equal_sentence(point, equal, reading) if point and equal else words.EQUAL_NONE)
        if found[reading.second]:
            st.caption(words.EQUAL_TABLE.format(words.method(reading.second)))
            st.html(worth(now.plan, found, reading.second))
    with right, st.container(border=True, gap="xsmall", height="stretch"):
        st.markdown(f"**{words.GOAL_TITLE.format(f'{100 * reading.goal:g} %')}**", help=words.GOAL_HELP)
        st.markdown("\n".join(f"- {goal_sentence(method, found[method], reading.goal)}" for method in now.plan.methods))
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{words.NUMBERS}**")
        st.html(table(now))
        _ask_best(now)


def _ask_best(now: Look) -> None:
    """Where to go on from a curve: the best run answers about a person's own pictures."""
    chosen = curve.best(now.found)
    if chosen is None:
        return
    run, by = chosen
    st.page_link(
        "views/runs.py", label=words.ASK, icon=":material/image_search:", help=f"{words.told_run(run.method, run.labels, run.seed)}. {words.ASK_BEST[by]}",
        query_params={"select": run.id, "ask": text_images.ASK["pictures"]},
    )  # fmt: skip


def told_with(now: Look) -> str:
    """What the curve must be told with: data, steps, seeds and how many of them have ended."""
    config = now.grid[0].config
    title = next(
        (run.summary["title"] for run in now.found.values() if run.summary.get("title")),
        text.data_name(config.data.source),
    )
    n = sorted({point.n for point in now.points}) or [0]
    share = f" ({published.budget(config)})" if published.budget(config) else ""
    counted = f"n {n[0]}" if len(n) == 1 else f"n {n[0]} to {n[-1]}"
    return (
        f"**{text.escape(str(title))}**, {config.train.steps:,} steps{share}, {words.seeds(now.plan.seeds)}, {counted}."
    )


def equal_sentence(point: Point, equal: tuple[curve.Reading, curve.Reading, curve.Reading], reading: Reading) -> str:
    best, fewest, most = equal
    return words.equal(point.method, point.labels, reading.second, str(best), curve.between(fewest, most), point.n > 1)


def worth(plan: Plan, found: dict[str, list[Point]], second: str) -> str:
    """Every point's worth in labels of the method `second`, as HTML: a row a count, a column a method."""
    methods = [method for method in plan.methods if method != second]
    rows = []
    for labels in plan.labels:
        cells = []
        for method in methods:
            point = next((one for one in found[method] if one.labels == labels), None)
            equal = curve.equal(found[second], point) if point else None
            cells.append(str(equal[0]) if equal else "-")
        rows.append([f"{labels:,}", *cells])
    return html_table(["labels", *map(words.method, methods)], rows)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself where it is too wide; every word in it is escaped."""
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>{"".join(f"<td>{html.escape(cell)}</td>" for cell in cells)}</tr>' for first, *cells in rows
    )  # fmt: skip
    return f'{STYLE}<div class="ssl-diff" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def goal_sentence(method: str, points: Sequence[Point], goal: float) -> str:
    """Write the smallest count of one method for an accuracy, with its ends and the number of seeds."""
    found = curve.needed(points, goal)
    if found is None:
        return f"{words.method(method)}: not known yet"
    best, fewest, most = found
    n = min(point.n for point in points)
    ends = curve.between(fewest, most)
    doubt = f"({ends}; n {n})" if n > 1 and ends != str(best) else f"(n {n})"
    return f"{words.method(method)}: **{best}** labels {doubt}"


def table(now: Look) -> str:
    """Means with spread and n as HTML, then what the equal steps cost each method."""
    methods = now.plan.methods
    by_place = {(point.method, point.labels): point for point in now.points}
    rows = []
    for labels in now.plan.labels:
        cells = [report_sweep.told(by_place.get((method, labels))) for method in methods]
        rows.append([f"{labels:,}", *(_unbroken(cell.replace("+-", "\u00b1")) for cell in cells)])
    for name, label in (("images", "images per run"), ("seconds", "training per run")):
        cells = []
        for method in methods:
            mean = curve.mean_cost(curve.of_method(now.points, method), name)
            cells.append("-" if mean is None else text.duration(mean) if name == "seconds" else text.number(mean))
        rows.append([label, *cells])
    return html_table(["labels", *map(words.method, methods)], rows)


def _unbroken(cell: str) -> str:
    """Let a cell break before its brackets alone."""
    head, bracket, inside = cell.partition("(")
    return head + bracket + inside.replace(" ", "\u00a0")


def sources(beside: Sequence[published.Series]) -> None:
    with st.expander(words.BESIDE_SOURCES):
        st.markdown(
            "\n".join(
                f"- **{words.method(one.method)}**: {text.escape(one.source)}; {one.steps:,} steps; {text.escape(one.told)}" for one in beside
            )
        )  # fmt: skip

        if any(one.group == "recorded" for one in beside):
            st.button(words.OPEN_RECORDED, key="open_recorded", help=words.OPEN_RECORDED_HELP, on_click=_take_in)


def _take_in() -> None:
    def work() -> None:
        taken = recordings.take_in(queries.store())
        st.toast(words.RECORDED_TAKEN.format(len(taken)), icon=":material/check_circle:")

    widgets.attempt(work)


def class_controls(plan: Plan) -> tuple[str, str, int]:
    """Draw the choice of two methods and a count."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        first = _pick("Recall of", "read", plan.methods, plan.methods[-1])
        second = _pick("minus that of", "against", plan.methods, plan.methods[0])
        labels = _pick_count("at", plan.labels)
    return first, second, labels


def classes(now: Look, first: str, second: str, labels: int) -> None:
    found = (
        per_class.paired(queries.store().root, now.grid, now.found, first, second, labels) if first != second else []
    )
    with st.container(border=True, gap="xsmall", key="class_card"):
        st.markdown(
            f"**Recall by class: {words.method(first)} minus {words.method(second)}, {text.plural(labels, 'label')}**"
        )
        st.caption(words.CLASSES_TEXT)
        figure = curve_charts.classes(found, first, second)
        live_chart(
            encode(figure), key="class_chart", view=f"{first} {second} {labels}", height=TALL, alt=words.CLASSES_ALT, wait=words.CLASSES_WAIT
        )  # fmt: skip
        if found:
            n = len(found[0].values)
            st.caption(f"{text.plural(n, 'seed')} paired." if n > 1 else words.CLASSES_ONE)


def save_menu(plan: Plan, beside: tuple[str, ...]) -> None:
    """Tables and report of the sweep; a file is made when its button is pressed."""
    with st.popover("Save", icon=":material/download:", key="save_sweep"):
        for label, made, name, kind, about in (
            ("Report (HTML)", functools.partial(_report, plan, beside), "label-curves.html", "text/html", words.SAVE_REPORT_HELP),
            ("Runs (CSV)", functools.partial(_csv, plan), "label-curves.csv", "text/csv", words.SAVE_CSV_HELP),
            ("Classes (CSV)", functools.partial(_classes_csv, plan), "label-curves-classes.csv", "text/csv", words.SAVE_CLASSES_HELP),
        ):  # fmt: skip
            st.download_button(
                label, made, name, kind, key=f"save_{name}", on_click="ignore", icon=":material/download:", help=about, width="stretch"
            )  # fmt: skip


def _look(plan: Plan) -> Look:
    return curve_queries.look(plan, queries.store().runs())


def _report(plan: Plan, beside: tuple[str, ...]) -> bytes:
    return report_sweep.html(queries.store().root, plan, _look(plan).found, beside).encode()


def _csv(plan: Plan) -> bytes:
    now = _look(plan)
    return sweep.to_csv(now.grid, now.found, plan.preset).encode()


def _classes_csv(plan: Plan) -> bytes:
    now = _look(plan)
    return per_class.to_csv(queries.store().root, now.grid, now.found).encode()
