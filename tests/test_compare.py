"""Runs side by side: colours that stay, labels that differ, curves thinned and put over the right axis, settings compared."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dashboard import compare, compare_panel, theme
from dashboard.compare import Column, Curve
from sslcore import config as cfg
from sslcore import events as ev
from sslcore import presets
from sslcore.events import Run
from sslcore.palette import run_mark, run_slots
from sslcore.store import Store
from tests.fill_store import fill


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def made(store: Store, method: str = "fixmatch", **settings: object) -> Run:
    config = presets.build(
        "smoke", method, {"train.steps": 80, **{name.replace("__", "."): value for name, value in settings.items()}}
    )
    return store.run(fill(store, ev.FINISHED, method, points=2, frames=False, config=config))


def decoded(values: dict[str, str]) -> list[float]:
    assert values["dtype"] == "f4"
    return np.frombuffer(base64.b64decode(values["bdata"]), "<f4").tolist()


def test_a_run_keeps_its_colour_while_others_come_and_go() -> None:
    first = run_slots({}, {"a": "fixmatch", "b": "fixmatch", "c": "fixmatch"})
    assert first == {"a": 0, "b": 2, "c": 3}  # 1 is dashed, as FixMatch itself is
    without = run_slots(first, {"a": "fixmatch", "c": "fixmatch"})
    assert without == {"a": 0, "c": 3}
    again = run_slots(without, {"d": "mixmatch", "c": "fixmatch", "a": "fixmatch", "e": "mixmatch", "b": "fixmatch"})
    assert again == {"d": 0, "c": 3, "a": 0, "e": 1, "b": 2}


def test_a_method_that_is_chosen_has_its_colour_and_no_other_method_ever_has_it() -> None:
    chosen = {"a": "flexmatch", "b": "flexmatch", "c": "mixmatch", "d": "flexmatch", "e": "of another version"}
    slots: dict[str, int] = {}
    for gone in (None, "b", "a", "c", "d"):
        chosen.pop(gone, None)
        slots = run_slots(slots, chosen)
        marks = {run: run_mark(method, slots[run]) for run, method in chosen.items()}
        assert len(set(marks.values())) == len(chosen)
        for run, (color, dash) in marks.items():
            owner = next((method for method, own in theme.METHOD_COLORS.items() if own == color), None)
            assert owner in (None, chosen[run])
            if owner:
                assert dash == theme.METHOD_DASHES[owner]
        for method in set(chosen.values()) & set(theme.METHOD_COLORS):
            assert [color for color, _ in marks.values()].count(theme.METHOD_COLORS[method]) == 1


@pytest.mark.parametrize(
    "methods", [[method] * 10 for method in cfg.METHOD_NAMES] + [[*cfg.METHOD_NAMES * 2, "x", "x"]]
)
def test_ten_runs_can_be_told_apart_and_two_of_a_method_without_colour_too(methods: list[str]) -> None:
    runs = {str(place): method for place, method in enumerate(methods)}
    marks = {run: run_mark(runs[run], slot) for run, slot in run_slots({}, runs).items()}
    assert len(set(marks.values())) == len(runs)
    for method in theme.METHOD_DASHES:
        mine = [marks[run][1] for run in runs if runs[run] == method]
        assert mine.count(theme.METHOD_DASHES[method]) == min(len(mine), 1)


def test_of_many_runs_the_first_are_drawn(store: Store) -> None:
    run = made(store)
    drawn = compare.slots({}, [dataclasses.replace(run, id=str(place)) for place in range(30)])
    assert list(drawn) == [str(place) for place in range(compare.MOST)]


def test_labels_are_short_and_all_different(store: Store) -> None:
    a, b, c = made(store), made(store), made(store, train__seed=3)
    named = dataclasses.replace(a, id="x", name="Mine")
    assert compare.labels([a, c, named]) == ["FixMatch 20 s0", "FixMatch 20 s3", "Mine"]
    assert compare.labels([a, b]) == [f"FixMatch 20 s0 \u00b7 {a.id[-6:]}", f"FixMatch 20 s0 \u00b7 {b.id[-6:]}"]


def points(n: int) -> dict[str, np.ndarray]:
    step = np.arange(1, n + 1)
    return {"step": step, "seconds": step * 0.5, "train/loss": step * 2.0}


@pytest.mark.parametrize(("axis", "factor"), [("step", 1.0), ("seconds", 0.5), ("images", 30.0)])
def test_a_curve_over_each_axis(axis: str, factor: float) -> None:
    one = compare.curve(points(20), "a", "fixmatch", 3, "train/loss", axis, 30.0, 100)
    assert one is not None and (one.label, one.method, one.slot) == ("a", "fixmatch", 3)
    assert one.x.tolist() == [factor * step for step in range(1, 21)]
    assert one.y.tolist() == [2.0 * step for step in range(1, 21)]


def test_what_a_run_has_not_measured_is_no_curve() -> None:
    data = points(4) | {"train/purity": np.array([np.nan, 0.5, np.nan, 0.7]), "train/mask_rate": np.full(4, np.nan)}
    assert compare.curve(data, "a", "fixmatch", 0, "eval/test/accuracy", "step", 1.0, 100) is None
    assert compare.curve(data, "a", "fixmatch", 0, "train/mask_rate", "step", 1.0, 100) is None
    assert compare.curve(data, "a", "fixmatch", 0, "train/loss", "images", 0.0, 100) is None  # images a step not known
    gaps = compare.curve(data, "a", "fixmatch", 0, "train/purity", "step", 1.0, 100)
    assert gaps is not None and gaps.x.tolist() == [2, 4] and gaps.y.tolist() == [0.5, 0.7]


@pytest.mark.parametrize("n", [1, 2, 99, 100, 101, 400, 799, 800])
def test_thinned_curves_keep_both_ends_and_do_not_wobble_as_they_grow(n: int) -> None:
    one = compare.curve(points(n), "a", "fixmatch", 0, "train/loss", "step", 1.0, 100)
    assert one is not None and len(one.x) <= 102
    assert one.x[0] == 1 and one.x[-1] == n and len(set(one.x.tolist())) == len(one.x)
    grown = compare.curve(points(n + 1), "a", "fixmatch", 0, "train/loss", "step", 1.0, 100)
    assert grown is not None
    if len(grown.x) >= len(one.x):  # the stride did not double: only the last point moved on
        assert set(one.x[:-1].tolist()) <= set(grown.x.tolist())


def test_the_overlay_has_a_line_a_run_with_its_own_colour_dash_and_name() -> None:
    x = np.array([0.0, 1.0])
    figure = compare.overlay(
        [Curve("<b>a</b>", "mixmatch", 0, x, x), Curve("b", "mixmatch", 4, x, x / 2)], "train/loss", "step", 80
    )
    assert [trace["name"] for trace in figure["data"]] == ["&lt;b&gt;a&lt;/b&gt;", "b"]
    assert [(t["line"]["color"], t["line"]["dash"]) for t in figure["data"]] == [
        run_mark("mixmatch", 0),
        run_mark("mixmatch", 4),
    ]
    assert [t["marker"]["symbol"] for t in figure["data"]] == ["diamond", "diamond"]
    assert decoded(figure["data"][1]["y"]) == [0.0, 0.5]
    assert figure["layout"]["xaxis"]["range"] == [0, 80] and figure["layout"]["yaxis"]["range"] == [0, 1]
    share = compare.overlay([Curve("a", "fixmatch", 0, x, x)], "eval/test/accuracy", "seconds", 3.0)["layout"]
    assert share["yaxis"]["range"] == [0, 1.03] and share["xaxis"]["title"]["text"].startswith("seconds")
    assert compare.overlay([], "train/loss", "step", 1.0)["data"] == []


def test_a_fork_is_marked_where_it_left_its_original(store: Store) -> None:
    plain = store.run(fill(store, ev.FINISHED))
    points = {"step": np.array([2, 10, 20, 30]), "seconds": np.array([0.1, 0.5, 1.5, 2.0])}
    assert compare.fork_at(points, plain, "step") is None
    made = {"fork": {"run": plain.id, "step": 20, "changes": {}, "before": {}}, "images_per_step": 8}
    store.update(plain.id, summary=plain.summary | made)
    run = store.run(plain.id)
    assert [compare.fork_at(points, run, axis) for axis in ("step", "seconds", "images")] == [20, 1.5, 160]
    assert compare.fork_at({}, run, "seconds") is None
    layout = compare.overlay([], "train/loss", "step", 80.0, (20.0,))["layout"]
    assert [rule["x0"] for rule in layout["shapes"]] == [20] and [note["text"] for note in layout["annotations"]] == [
        "fork"
    ]


def test_the_axis_holds_every_run_and_moves_in_few_strides(store: Store) -> None:
    run = made(store)
    long = dataclasses.replace(run, id="long", steps=1_000_000, step=5_000, seconds=37.0)
    assert compare.axis_end([run], "step") == 80
    assert compare.axis_end([run, long], "step") == 7812.5  # of the long run the part it has reached
    assert compare.axis_end([run], "images") == 80 * run.summary["images_per_step"]
    assert compare.axis_end([run, long], "seconds") == 40.0
    assert compare.axis_end([], "step") == 1.0
    for state, end in ((ev.FAILED, 3.0), (ev.STOPPED, 3.0), (ev.PAUSED, 900.0), (ev.RUNNING, 900.0)):
        short = dataclasses.replace(run, steps=900, step=3, state=state)
        assert compare.axis_end([short], "step") == end, "what will never come needs no room"


def test_only_the_settings_that_differ_are_marked_and_in_the_order_of_the_config(store: Store) -> None:
    a, b = made(store, optim__lr=0.05, train__seed=1), made(store, "mixmatch", train__seed=2)
    found = compare.differences(compare.columns([a, b], ["a", "b"]))
    by_name = {one.name: one for one in found}
    assert by_name["train.seed"].values == ("1", "2") and by_name["train.seed"].differs
    assert by_name["data.source"].values == ("digits", "digits") and not by_name["data.source"].differs
    assert by_name["method.threshold"].values == ("0.95", "\u2013") and by_name["method.threshold"].differs
    assert by_name["method.alpha"].values == ("\u2013", "0.75")
    assert by_name["train.ema_warmup"].values == ("yes", "yes") and by_name["augment.num_ops"].values[0] == "(preset's)"
    assert by_name["optim.lr"].help == cfg.find(cfg.RunConfig(), "optim.lr").metadata["help"]
    sections = [one.name.split(".")[0] for one in found]
    assert sections == sorted(sections, key=cfg.SECTIONS.index)
    everything = {name for run in (a, b) for name, _, _ in cfg.walk(cfg.from_dict(run.config))}
    assert set(by_name) == everything


def test_a_single_run_is_compared_with_its_preset(store: Store) -> None:
    run = made(store, optim__lr=0.05)
    sides = compare.columns([run], ["mine"])
    assert [side.title for side in sides] == ["mine", "preset smoke"]
    differing = {one.name: one.values for one in compare.differences(sides) if one.differs}
    assert differing == {"optim.lr": ("0.05", "0.03"), "train.steps": ("80", "30")}
    assert len(compare.columns([dataclasses.replace(run, preset="gone")], ["mine"])) == 1
    assert len(compare.columns([dataclasses.replace(run, method="gone")], ["mine"])) == 1


def test_a_setting_that_did_not_exist_yet_had_its_default(store: Store) -> None:
    run = made(store)
    assert run.config["optim"]["momentum"] == cfg.OptimConfig().momentum
    older = dataclasses.replace(
        run, config={**run.config, "optim": {k: v for k, v in run.config["optim"].items() if k != "momentum"}}
    )
    assert not any(one.differs for one in compare.differences(compare.columns([run, older], ["a", "b"])))
    broken = dataclasses.replace(run, config={"train": {"steps": -1}})
    assert compare.columns([broken, run], ["a", "b"])[0].config == {"train": {"steps": -1}}


def test_settings_of_another_version_are_shown_not_refused() -> None:
    sides = [Column("old", {"train": {"steps": 5}, "ancient": {"x": 1}}), Column("new", {"train": {"steps": 5}})]
    found = {one.name: one for one in compare.differences(sides)}
    assert found["ancient.x"].values == ("1", "\u2013") and not found["train.steps"].differs


def test_the_table_of_settings_is_only_text() -> None:
    hostile = '<img src=x onerror=alert(1)> "&'
    sides = [Column(hostile, {"data": {"source": f"folder:{hostile}"}}), Column("b", {"data": {"source": "digits"}})]
    marks = [run_mark("fixmatch", 0), run_mark("fixmatch", 2)]
    html = compare_panel.table(sides, compare.differences(sides), marks)
    assert "<img" not in html and html.count("&lt;img src=x onerror=alert(1)&gt; &quot;&amp;") == 2
    assert marks[1][0] in html and 'class="differs"' in html
