"""The Label curves page through Streamlit's test driver, and its charts against cases worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import curve_charts, curve_form, curve_grid, curve_panel, curve_queries, queries, theme
from dashboard import text_curves as words
from sslcore import curve, keyframes, presets, published, recordings, sweep, sweep_plans, sweep_run
from sslcore import events as ev
from sslcore.curve import Point
from sslcore.lab import Lab
from sslcore.per_class import Difference
from sslcore.store import Store
from sslcore.sweep import Cell, Plan
from tests.fill_store import DEAD, fill
from tests.pages import opened
from tests.pages import store as store

ROOT = Path(__file__).resolve().parent.parent
PLAN = Plan("smoke", ("supervised", "flexmatch"), (10, 40), (0, 1))
PARAMS = {"sweep": "Smoke test", "with": ["Supervised", "FlexMatch"], "smoke.counts": "10,40", "seeds": "0,1"}


def page(**params: Any) -> AppTest:
    return opened("views/curves.py", **params)


def said(at: AppTest) -> str:
    return "\n".join(str(part.value) for part in (*at.markdown, *at.caption, *at.subheader, *at.info, *at.warning))


def sent(at: AppTest, name: str) -> dict[str, Any]:
    """The figure of a chart by its name."""
    for part in at.get("bidi_component"):
        head, _, figure = part.proto.bytes.partition(b"\n")
        if figure and json.loads(head).get("name") == name:
            return json.loads(figure)  # type: ignore[no-any-return]
    raise AssertionError(f"no chart {name}")


def grid(at: AppTest) -> list[list[Any]]:
    found = (part.proto.bytes for part in at.get("bidi_component"))
    return next(json.loads(data)["rows"] for data in found if data.startswith(b'{"corner"'))  # type: ignore[no-any-return]


def end(store: Store, cell: Cell, accuracy: float, right: int = 9) -> str:
    """A finished run of a cell, whose ten classes have `right` of ten test images right."""
    run_id = store.create(cell.config, preset="smoke")
    summary = {
        "test_accuracy": accuracy,
        "engine": ev.ENGINE,
        "images_per_step": 30,
        "class_names": [f"<b>{c}</b>" for c in range(10)],
    }
    store.update(run_id, state=ev.FINISHED, step=30, seconds=1.5, summary=summary)
    matrix = np.zeros((10, 10), np.int32)
    for c in range(10):
        matrix[c, c], matrix[c, (c + 1) % 10] = right, 10 - right
    keyframes.write(store.folder(run_id), 30, {"confusion": matrix})
    return run_id


def some(store: Store) -> dict[tuple[str, int, int], str]:
    """Both seeds of both methods with 10 labels, and one run with 40; the others are missing."""
    values = {
        ("supervised", 10, 0): 0.5, ("supervised", 10, 1): 0.7, ("flexmatch", 10, 0): 0.8, ("flexmatch", 10, 1): 0.9, ("supervised", 40, 0): 0.9
    }  # fmt: skip
    cells = {(cell.method, cell.labels, cell.seed): cell for cell in sweep.cells(PLAN)}
    return {place: end(store, cells[place], value, round(10 * value)) for place, value in values.items()}


# -- the page ----------------------------------------------------------------------------------------------------------


def test_before_anything_the_cost_is_said_or_that_it_is_not_known(store: Store) -> None:
    at = page(**PARAMS)
    assert "**8 runs** to go" in said(at) and words.UNKNOWN in said(at) and at.button(key="measure")
    assert [line[0] for line in grid(at)] == ["Supervised", "FlexMatch"]
    assert all(seed[1] == "missing" and not seed[0] for line in grid(at) for cell in line[2] for seed in cell[1])
    assert at.button(key="sweep_start").label == words.START and not at.button(key="sweep_start").disabled
    assert at.button(key="sweep_pause").disabled and "8 not started" in str(at.get("progress")[0].proto)
    assert sent(at, "label_curve")["data"] == []


def test_the_cost_comes_from_measured_speed(store: Store) -> None:
    some(store)  # 1.5 s a run of 30 steps, both methods
    assert "**3 runs** to go, about **4.5 s** of training on this machine" in said(page(**PARAMS))
    scaled = said(page(**PARAMS, **{"smoke.budget": "60"}))
    assert "**8 runs** to go, about **24 s**" in scaled and words.RECKONED in scaled


def test_a_press_of_measure_says_the_cost_and_that_compiling_is_not_in_it(store: Store) -> None:
    plain, compiled = page(**PARAMS), page(**PARAMS, more="train.compile=true")
    assert words.MEASURE_PLAIN not in plain.button(key="measure").help
    assert words.MEASURE_PLAIN in compiled.button(key="measure").help
    told = [said(at.button(key="measure").click().run()) for at in (plain, compiled)]
    assert all("**8 runs** to go, about" in each and words.UNKNOWN not in each for each in told)
    assert [words.UNCOMPILED in each for each in told] == [False, True]


def test_runs_of_what_a_folder_held_before_are_left_out_and_told(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = dataclasses.replace(PLAN, settings={"data.source": f"folder:{tmp_path}"})
    first, second = sweep.cells(plan)[:2]
    for cell, files in ((first, "older"), (second, "now")):
        store.update(fill(store, ev.FINISHED, config=cell.config), summary={"files": files, "test_accuracy": 0.5})
    curve_queries._files.cache_clear()
    monkeypatch.setattr(sweep_run, "files_now", lambda config: "now")
    now = curve_queries.look(plan, store.runs())
    assert (now.finished, now.missing, now.outdated) == (1, 7, 1)
    at = page(**PARAMS, **{"smoke.data": "My own folder", "folder": str(tmp_path)})
    assert words.outdated(1) in said(at) and not at.button(key="sweep_start").disabled
    curve_queries._files.cache_clear()


def test_points_table_and_readings_stand_on_the_page(store: Store) -> None:
    runs = some(store)
    at = page(**PARAMS)
    told = said(at)
    assert (
        "**FlexMatch with 10 labels = Supervised with 32**" in told
    )  # 60 % at 10, 90 % at 40: 85 % is 10 * 4 ** (25 / 30)
    numbers = next(part.proto.body for part in at.get("html") if "training per run" in part.proto.body)
    assert (
        "<td>60.0 \u00b1 14.1 % (n 2, 50.0 to 70.0 %)</td><td>85.0 \u00b1 7.1 % (n 2, 80.0 to 90.0 %)</td>"
        in numbers.replace("\u00a0", " ")
        and "(n\u00a02,\u00a050.0\u00a0to\u00a070.0\u00a0%)" in numbers
    )
    assert (
        "<td>900</td>" in numbers and "<td>1.5 s</td>" in numbers
    )  # images and time of 30 steps beside the equal steps
    assert "Supervised: **40** labels (n 1)" in told and "FlexMatch: **more than 10** labels" in told
    assert "5 of 8" in str(at.get("progress")[0].proto) and at.button(key="sweep_start").label == words.GO_ON
    marks = {line[0]: [[seed[:2] for seed in cell[1]] for cell in line[2]] for line in grid(at)}
    assert marks["FlexMatch"] == [
        [[runs["flexmatch", 10, 0], "finished"], [runs["flexmatch", 10, 1], "finished"]],
        [["", "missing"], ["", "missing"]],
    ]
    link = next(part.proto for part in at.get("page_link") if part.proto.label == words.ASK)
    assert link.help == f"Supervised, 40 labels, seed 0. {words.ASK_BEST['test_accuracy']}"
    assert runs["supervised", 40, 0] in link.query_string and "ask=Your+pictures" in link.query_string
    figure = sent(at, "label_curve")
    mean = next(trace for trace in figure["data"] if trace["name"] == "Supervised")
    assert mean["x"] == [10, 40] and mean["y"] == pytest.approx([0.6, 0.9])


def test_start_pause_and_go_on_move_the_runs_of_the_sweep(store: Store) -> None:
    runs = some(store)
    cell = sweep.cells(PLAN)[-1]
    resting = store.create(cell.config, state=ev.PAUSED)
    at = page(**PARAMS)
    at.button(key="sweep_start").click().run()
    states = [run.state for run in store.runs()]
    assert states.count(ev.QUEUED) == 3 and len(states) == 8 and store.run(resting).state == ev.QUEUED
    assert sweep_plans.kept(store.root) == [PLAN] and "3 waiting" in str(at.get("progress")[0].proto)
    assert "**3 runs** to go" in said(at) and at.button(key="sweep_start").disabled
    assert sweep_run.queue(queries.engine(), PLAN) == 3
    assert len(store.runs()) == 8, "a second press, from another tab, starts nothing twice"
    at.button(key="sweep_pause").click().run()
    assert [run.state for run in store.runs()].count(ev.PAUSED) == 3 and not at.button(key="sweep_start").disabled
    assert {store.run(run).state for run in runs.values()} == {ev.FINISHED}


def test_after_a_restart_the_last_sweep_is_there_and_goes_on(store: Store) -> None:
    some(store)
    sweep_plans.keep(store.root, dataclasses.replace(PLAN, settings={"optim.lr": 0.05}))
    sweep_plans.keep(store.root, PLAN)
    orphan = store.create(sweep.cells(PLAN)[-1].config)
    store.update(orphan, **DEAD)  # queued by a program that is gone
    at = page()
    assert at.selectbox(key="sweep").value == "smoke" and at.text_input(key="smoke.counts").value == "10,40"
    assert at.text_input(key="seeds").value == "0,1" and "**3 runs** to go" in said(at)
    at.button(key="sweep_start").click().run()
    assert not queries.orphaned(store.run(orphan)) and store.run(orphan).state == ev.QUEUED
    at.button(key="earlier_1").click().run()
    assert at.text_input(key="more").value == "optim.lr=0.05" and "**8 runs** to go" in said(at)


def test_failed_cells_are_tried_again_only_when_asked(store: Store) -> None:
    bad = fill(store, ev.FAILED, config=sweep.cells(PLAN)[0].config)
    at = page(**PARAMS)
    at.button(key="sweep_start").click().run()
    assert [run.state for run in store.runs()].count(ev.QUEUED) == 7
    at.button(key="sweep_again").click().run()
    assert [run.state for run in store.runs()].count(ev.QUEUED) == 8 and store.run(bad).state == ev.FAILED


def test_a_cell_is_drawn_in_every_state_and_told_in_words(store: Store) -> None:
    plan = dataclasses.replace(PLAN, methods=("supervised",), labels=(10,), seeds=tuple(range(len(ev.STATES))))
    runs = [
        fill(store, state, config=cell.config, points=10)
        for state, cell in zip(ev.STATES, sweep.cells(plan), strict=True)
    ]
    at = page(**(PARAMS | {"with": "Supervised", "smoke.counts": "10", "seeds": sweep.span(plan.seeds)}))
    marks = grid(at)[0][2][0][1]
    assert [mark[:2] for mark in marks] == [[run, state] for run, state in zip(runs, ev.STATES, strict=True)]
    assert all(
        state in mark[3] and f"seed {seed}" in mark[3]
        for seed, (state, mark) in enumerate(zip(ev.STATES, marks, strict=True))
    )
    assert "1 of 10" in str(at.get("progress")[0].proto) and words.ELSEWHERE not in said(at)


def test_what_cannot_be_swept_is_one_sentence_and_nothing_is_lost(store: Store) -> None:
    at = page(**PARAMS)
    for key, typed, problem in (
        ("smoke.counts", "10,x", "Label counts must be whole numbers such as 10,20,40 or 0-9"),
        ("smoke.counts", "0", "data.labels must be"),
        ("seeds", "0-900", "at most 2,000 runs"),
        ("more", "train.seed=3", "train.seed can't be set for a whole sweep, which varies it"),
        ("more", "optim.nothing=3", "unknown setting 'optim.nothing'"),
        ("more", "nothing", "a setting must be written NAME=VALUE"),
        ("more", "'a", "must be written NAME=VALUE"),
        ("more", "train.steps=3", "train.steps has a field of its own above"),
    ):
        before = at.text_input(key=key).value
        at.text_input(key=key).set_value(typed).run()
        assert not at.exception and problem in at.error[0].value.replace("\\", ""), typed
        assert not at.get("progress") and at.text_input(key=key).value == typed
        at.text_input(key=key).set_value(before).run()
        assert not at.error and "**8 runs** to go" in said(at)
    lost = page(**PARAMS, **{"smoke.data": "My own folder", "folder": "/no <b>such</b>"})
    assert "There is no folder /no <b>such</b>" in lost.error[0].value.replace("\\", "")


def test_numbers_are_put_in_order(store: Store) -> None:
    at = page(**(PARAMS | {"smoke.counts": "40,10,40", "seeds": "1,0,1"}))
    assert not at.error and [len(line[2]) for line in grid(at)] == [2, 2] and len(grid(at)[0][2][0][1]) == 2


def test_published_numbers_come_with_their_warnings(store: Store) -> None:
    some(store)
    at = page(**PARAMS, beside=["The tutorial's table", "The papers' numbers"])
    warned = [part.value for part in at.warning]
    assert (
        any("other images" in value for value in warned)
        and any("20,480" in value for value in warned)
        and any("1,048,576" in value for value in warned)
    )
    assert "2110.08263" in said(at).replace("\\", "") and "one run each" in said(at)
    names = [trace.get("name") for trace in sent(at, "label_curve")["data"]]
    assert "FlexMatch, tutorial" in names and "Supervised, paper" in names and "MixMatch, paper" not in names


def test_recorded_runs_are_drawn_beside_a_sweep_and_taken_in(store: Store) -> None:
    some(store)
    at = page(**PARAMS, beside=[published.GROUPS["recorded"]])
    trace = next(one for one in sent(at, "label_curve")["data"] if one.get("name") == "FlexMatch, recorded")
    run = next(one.run for one in recordings.found() if one.run["method"] == "flexmatch")
    assert (trace["x"], trace["y"]) == ([500], [run["summary"]["test_accuracy"]])
    assert "NVIDIA H200" in said(at) and "stopped at step" in said(at)
    before = len(store.runs())
    at.button(key="open_recorded").click().run()
    assert not at.exception and len(store.runs()) == before + len(recordings.found())
    at.button(key="open_recorded").click().run()
    assert len(store.runs()) == before + len(recordings.found()), "those that are here aren't taken in again"


def test_classes_are_compared_within_each_seed(store: Store) -> None:
    some(store)
    at = page(**PARAMS, view="By class", at="10 labels")
    bar, dots = sent(at, "class_chart")["data"]
    assert bar["x"] == pytest.approx([0.25] * 10) and len(dots["x"]) == 20  # 8 - 5 and 9 - 7 of ten
    assert bar["error_x"]["array"] == pytest.approx([math.sqrt(0.005)] * 10)
    assert "2 seeds paired" in said(at)
    assert sent(at, "class_chart")["layout"]["yaxis"]["ticktext"][0] == "&lt;b&gt;0&lt;/b&gt;"
    assert sent(page(**PARAMS, view="By class", at="40 labels"), "class_chart")["data"] == []


def test_a_race_is_started_shown_and_steered(store: Store) -> None:
    at = page(**PARAMS, view="Race")
    assert words.RACE_EMPTY in said(at)
    at.selectbox(key="race_labels").set_value(40).run()
    at.button(key="race_start").click().run()
    runs = store.runs()
    assert {(run.method, run.labels, run.seed) for run in runs} == {("supervised", 40, 0), ("flexmatch", 40, 0)}
    assert len({run.summary["race"] for run in runs}) == 1 and at.query_params["race"] == runs[0].summary["race"]
    assert not at.exception and "**Supervised**" in said(at)
    names = [button.label for button in at.main.button]
    assert len(names) == len(set(names)) and not any(
        button.key in ("sweep_start", "sweep_pause") for button in at.button
    )
    at.button(key="race_pause").click().run()
    assert [run.state for run in store.runs()] == [ev.PAUSED] * 2
    at.button(key="race_resume").click().run()
    assert [run.state for run in store.runs()] == [ev.QUEUED] * 2
    found = sweep.assign(sweep.cells(PLAN), store.runs())
    assert {run.id for run in found.values()} == {run.id for run in runs}, "the runs of a race are runs of the sweep"


def test_a_running_and_a_failed_race_are_drawn(store: Store) -> None:
    for state, method in ((ev.RUNNING, "supervised"), (ev.FAILED, "fixmatch"), (ev.FINISHED, "flexmatch")):
        run = fill(store, state, method)
        store.update(run, summary=store.run(run).summary | {"race": "abc"})
    waits = fill(store, ev.RUNNING, "mixmatch", points=2)
    store.update(waits, summary=store.run(waits).summary | {"race": "abc"})
    at = page(**PARAMS, view="Race")
    assert [metric.value for metric in at.metric if metric.label == "Test, EMA"].count(":small[first at step 27]") == 1
    accuracy = sent(at, "race_0")["data"]
    assert [trace["name"] for trace in accuracy] == ["Supervised", "FixMatch", "FlexMatch"]
    assert [trace["line"]["color"] for trace in accuracy] == [
        theme.METHOD_COLORS[m] for m in ("supervised", "fixmatch", "flexmatch")
    ]
    assert r"RuntimeError\: out of \*memory\* \<b\>" in said(at)


# -- what is pure ------------------------------------------------------------------------------------------------------


def point(method: str, labels: int, *values: float) -> Point:
    return Point(method, labels, values, 1.0, 900.0)


def test_the_curve_has_a_log_axis_bars_and_single_runs() -> None:
    points = [point("supervised", 10, 0.5, 0.7), point("supervised", 1000, 0.9)]
    figure = curve_charts.curve(points, (10, 100, 1000))
    dots, mean, sd, n = figure["data"]
    assert dots["x"] == [10, 10] and dots["y"] == [0.5, 0.7]
    assert mean["y"] == pytest.approx([0.6, 0.9]) and mean["error_y"]["array"] == pytest.approx([math.sqrt(0.02), 0.0])
    assert sd["y"] == ["", ""] or sd["y"][0] == pytest.approx(math.sqrt(0.02))
    assert n["y"] == [2, 1] and not n["visible"]
    axis = figure["layout"]["xaxis"]
    assert (
        axis["type"] == "log" and axis["tickvals"] == [10, 100, 1000] and axis["range"] == pytest.approx([0.88, 3.12])
    )
    assert figure["layout"]["yaxis"]["range"][0] == pytest.approx(0.4)
    assert "60.0 +- 14.1 % (n 2, 50.0 to 70.0 %)" in mean["customdata"][0] and mean["customdata"][1].endswith(
        "90.0 % (n 1)"
    )
    assert curve_charts.curve([], (10, 20))["data"] == []


def test_a_reading_is_drawn_from_curve_to_curve() -> None:
    base, other = [point("supervised", 10, 0.6), point("supervised", 1000, 0.8)], point("fixmatch", 10, 0.7)
    reading = curve.equal(base, other)
    assert reading is not None
    figure = curve_charts.curve([*base, other], (10, 1000), level=curve_charts.Level(0.7, 10, reading[0]), goal=0.75)
    rule, line = figure["layout"]["shapes"]
    assert rule["y0"] == 0.75 and (line["x0"], line["x1"], line["y0"]) == (10, pytest.approx(100), 0.7)
    (note,) = figure["layout"]["annotations"]
    assert (note["text"], note["x"], note["xanchor"], note["yanchor"]) == ("10 = 100", 1.0, "left", "top"), (
        "where no curve is"
    )


def test_axis_labels_keep_their_distance() -> None:
    axis = curve_charts.curve([], (10, 12, 20, 40, 50, 100))["layout"]["xaxis"]
    assert axis["tickvals"] == [10, 20, 40, 100]


def test_published_numbers_widen_the_axis_and_carry_their_source() -> None:
    beside = published.series(("papers",), ("fixmatch",))
    figure = curve_charts.curve([point("fixmatch", 500, 0.5)], (500,), beside)
    shown = figure["data"][-1]
    assert shown["x"] == [40, 250, 4000] and figure["layout"]["xaxis"]["tickvals"] == [40, 250, 500, 4000]
    assert "2001.07685" in shown["customdata"][0] and "1,048,576 steps" in shown["customdata"][0]


def test_of_many_classes_the_extremes_are_drawn() -> None:
    many = [Difference(f"class {k}", (k / 100, k / 100)) for k in range(50)]
    figure = curve_charts.classes(many, "flexmatch", "supervised")
    assert len(figure["data"][0]["x"]) == curve_charts.MOST_CLASSES
    assert figure["data"][0]["x"][0] == 0.0 and figure["data"][0]["x"][-1] == pytest.approx(0.49)
    assert curve_charts.classes([], "flexmatch", "supervised")["data"] == []


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        (0.0, ["\u22125%", "0", "+5%"]),
        (0.12, ["\u221215%", "\u221210%", "\u22125%", "0", "+5%", "+10%", "+15%"]),
        (0.2, ["\u221220%", "\u221210%", "0", "+10%", "+20%"]),
        (0.63, ["\u221260%", "\u221240%", "\u221220%", "0", "+20%", "+40%", "+60%"]),
        (1.0, ["\u2212100%", "\u221250%", "0", "+50%", "+100%"]),
    ],
)
def test_a_difference_has_a_sign_and_a_zero_none(reach: float, words: list[str]) -> None:
    figure = curve_charts.classes(
        [Difference("a", (reach, reach)), Difference("b", (-0.0004, 0.0))], "flexmatch", "supervised"
    )
    axis = figure["layout"]["xaxis"]
    assert axis["ticktext"] == words and axis["tickvals"][0] == -axis["tickvals"][-1]
    bars, dots = figure["data"]
    assert "<br>0.0 points" in bars["customdata"][1] and dots["customdata"][2:] == ["0.0 points"] * 2
    assert dots["customdata"][0] == (f"+{100 * reach:.1f} points" if reach else "0.0 points")


def test_readings_in_words() -> None:
    wanted = curve_panel.Reading("fixmatch", 40, "supervised", 0.9, ())
    base = [point("supervised", 10, 0.58, 0.62), point("supervised", 1000, 0.78, 0.82)]
    one = point("fixmatch", 40, 0.74, 0.76)
    equal = curve.equal(base, one)
    assert equal is not None
    told = curve_panel.equal_sentence(one, equal, wanted)
    assert told == "**FixMatch with 40 labels = Supervised with 320** (160 to 630, one standard error either way)"
    assert curve_panel.goal_sentence("supervised", base, 0.95) == "Supervised: **more than 1,000** labels (n 2)"
    assert curve_panel.goal_sentence("supervised", base, 0.7) == "Supervised: **100** labels (63 to 160; n 2)"
    assert curve_panel.goal_sentence("mixmatch", [], 0.9) == "MixMatch: not known yet"


def test_a_cell_says_how_many_seeds_it_rests_on() -> None:
    assert curve_grid.told(None, 3) == "\u2013"
    assert curve_grid.told(point("fixmatch", 10, 0.5), 3) == "50.0 % (n 1)"
    assert curve_grid.told(point("fixmatch", 10, 0.5, 0.7), 2) == "60.0 \u00b1 14.1 %"


def test_the_form_takes_every_kept_plan_back() -> None:
    for name in curve_form.BASES:
        plan = curve_form.base_plan(name)
        assert sweep.cells(plan) and curve_form.describe(plan)
    assert set(curve_form.TITLES) == set(curve_form.BASES) and len(set(curve_form.TITLES.values())) == len(
        curve_form.BASES
    )
    assert {sweep.NAMED[n].plan.preset for n in sweep.NAMED} | set(curve_form.BASES) >= set(presets.PRESETS)


def test_pausing_takes_the_waiting_first_so_that_none_gets_the_free_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = sweep.cells(PLAN)
    fill(store, ev.RUNNING, config=cells[0].config, points=2, frames=False)
    queries.engine().start(cells[1].config)
    asked: list[str] = []
    lab = queries.engine()
    monkeypatch.setattr(Lab, "pause", lambda self, run_id: asked.append(store.run(run_id).state))
    sweep_run.pause(lab, PLAN)
    assert asked == [ev.QUEUED, ev.RUNNING]
    assert curve_queries.look(PLAN, store.runs()).waiting == 1
