"""The Guide: what it takes to have done a step, the methods in their own words, every link, and the page itself."""

from __future__ import annotations

import ast
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import sslcore
from dashboard import guide, guide_tour, notes, queries, set_lines, sketch, story, text, text_guide
from dashboard.guide import STEPS, Seen
from dashboard.guide_panels import PAD
from sslcore import events as ev
from sslcore import presets
from sslcore.config import METHOD_NAMES, replace
from sslcore.lab import Lab
from sslcore.store import Store
from tests.fill_store import fill
from tests.pages import APP, opened
from tests.pages import store as store
from tests.test_dashboard import page as train_page
from tests.test_dashboard import words

VIEW = "views/guide.py"


def page(view: str = VIEW, **params: str) -> AppTest:
    return opened(view, **params)


def seen(store: Store, **more: object) -> Seen:
    runs = store.runs()
    return Seen(runs, {run.id: store.events(run.id) for run in runs}, **more)  # type: ignore[arg-type]


def done(store: Store, step: str) -> bool:
    return next(one for one in STEPS if one.id == step).done(seen(store))


def broken(store: Store, state: str, name: str = "break-tau-zero") -> str:
    """A run of a broken preset, after some points."""
    run_id = fill(store, state, config=presets.build(name, "", {"train.steps": 80}))
    store._connection().execute("UPDATE runs SET preset = ? WHERE id = ?", (name, run_id))
    return run_id


def test_a_sweep_counts_with_two_counts_of_supervised_and_of_another_method(store: Store) -> None:
    def end(method: str, labels: int, state: str = ev.FINISHED) -> None:
        fill(store, state, config=presets.build("smoke", method, {"train.steps": 80, "data.labels": labels}))

    end("supervised", 10)
    end("flexmatch", 10)
    end("flexmatch", 40)
    end("supervised", 40, ev.RUNNING)
    assert not done(store, "labels")
    end("supervised", 20)
    assert done(store, "labels")


def test_nothing_is_done_at_first(store: Store) -> None:
    assert not any(step.done(seen(store)) for step in STEPS)


def test_a_started_flexmatch_run_counts_and_a_waiting_or_broken_one_does_not(store: Store) -> None:
    fill(store, ev.QUEUED, "flexmatch")
    fill(store, ev.RUNNING, "fixmatch")
    broken(store, ev.RUNNING, "break-mask-by-class")
    assert not done(store, "start")
    fill(store, ev.RUNNING, "flexmatch")
    assert done(store, "start")


def test_supervised_counts_once_finished_with_the_same_labels_and_seed(store: Store) -> None:
    lesson = presets.build("smoke", "flexmatch", {"train.steps": 80})
    baseline = presets.build("smoke", "supervised", {"train.steps": 80})
    fill(store, ev.RUNNING, config=lesson)
    for other in ({"train.seed": 1}, {"data.labels": 30}):
        fill(store, ev.FINISHED, config=replace(baseline, other))
    fill(store, ev.RUNNING, config=baseline)
    assert not done(store, "supervised")
    fill(store, ev.FINISHED, config=baseline)
    assert done(store, "supervised")


def test_a_step_of_a_paused_run_is_told_from_a_resume(store: Store) -> None:
    run_id = fill(store, ev.PAUSED)
    engine = Lab(store)
    engine.resume(run_id)
    assert not done(store, "step")
    other = fill(store, ev.PAUSED)
    engine.step(other)
    assert done(store, "step")


def test_a_broken_preset_counts_once_it_trains(store: Store) -> None:
    fill(store, ev.FINISHED)
    assert not done(store, "break")
    broken(store, ev.RUNNING)
    assert done(store, "break")


def test_a_run_with_wrong_labels_or_a_fault_is_not_sound(store: Store) -> None:
    skewed = {
        "data.labeled_gamma": 10.0,
        "data.unlabeled_gamma": 0.1,
        "data.foreign_classes": 2,
        "data.wrong_share": 0.5,
    }
    for settings in ({"data.wrong": 1}, {"method.fault": "confidence-as-mask-rate"}, skewed, {}):
        fill(store, ev.FINISHED, config=presets.build("smoke", "flexmatch", {"train.steps": 80, **settings}))
    assert [guide.sound(run) for run in reversed(store.runs())] == [False, False, False, True]
    told = [notes.purpose(run) for run in reversed(store.runs())]
    assert told[0] == "Broken on purpose: 1 labelled image given a wrong class." and not told[3]
    assert "mean confidence" in told[1]
    assert told[2] == (
        "Broken on purpose: 10 labelled images given a wrong class; the first class has 10 times as many labelled images as the last; "
        "the last class has 10 times as many unlabelled images as the first; 2 foreign classes in the unlabelled pool."
    )


def test_a_step_that_was_done_stays_done_in_its_tab(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, ev.FINISHED)
    at = page()
    told = at.get("progress")[0].proto.text
    assert told.startswith("1 of"), told
    monkeypatch.setattr(queries, "runs", list)  # its run was deleted, or there are more than are looked through
    at.run()
    assert at.get("progress")[0].proto.text == told
    assert page().get("progress")[0].proto.text.startswith("0 of"), "another tab sees what is there now"


@pytest.mark.parametrize("id", ["views", "xray", "time", "images"])
def test_to_look_at_a_page_is_not_to_do_its_step(store: Store, id: str) -> None:
    fill(store, ev.FINISHED)
    step = next(one for one in STEPS if one.id == id)
    at = page(guide.PAGES[step.page][1], **step.params)
    assert guide_tour.DEEDS not in at.session_state
    if id == "xray":
        at.get_by_key("box.flexmatch").set_value("mixmatch").run()
    else:
        at.button(key={"views": "aug_again", "time": "time_previous", "images": "hand_fill"}[id]).click().run()
    assert step.done(Seen(deeds=at.session_state[guide_tour.DEEDS]))


def test_every_step_is_one_sentence_with_a_question_and_leads_somewhere() -> None:
    assert len({step.id for step in STEPS}) == len(STEPS)
    for step in STEPS:
        assert step.do.count(".") == 1 and step.do.endswith("."), step.do
        assert step.question.endswith("?") and 0 <= step.right < len(step.choices) == len(set(step.choices))
        assert step.page in guide.PAGES and (step.page == "guide") == bool(step.part)
        assert step.part in ("", *guide.PARTS)
        assert (
            set(step.params) <= {"method", "preset", "sweep.counts", "images_from"}
            and step.params.get("method", "FixMatch") in text.METHODS.values()
        )
    assert {step.page for step in STEPS} == set(guide.PAGES), "all pages are passed"


def test_the_pages_are_those_of_the_app() -> None:
    source = APP.read_text(encoding="utf-8")
    for name, (path, file, title) in guide.PAGES.items():
        assert f'"{file}"' in source and f'title="{title}"' in source and (APP.parent / file).exists()
        assert path == ("" if name == "train" else Path(file).stem)
    assert source.count('"views/') == len(guide.PAGES), "the Guide knows them all"


@pytest.mark.parametrize("name", presets.BROKEN)
def test_a_card_opens_its_preset_with_its_method(store: Store, name: str) -> None:
    params = guide.break_params(name)
    at = train_page(**params)
    at.button(key="start").click().run()
    (run,) = store.runs()
    assert run.preset == name and run.config == json.loads(json.dumps(_plain(presets.build(name))))
    assert text_guide.DIAGNOSES[name]


def _plain(config: object) -> object:
    from sslcore.config import to_dict

    return to_dict(config)  # type: ignore[arg-type]


def test_the_docstring_is_told_whole_and_in_order() -> None:
    found = guide.parse("First\nline.\n\n    a = b   c\n    d\n\nText over\ntwo lines.\n\n    e\n")
    assert found == guide.Told("First line.", ((True, "a = b   c\nd"), (False, "Text over two lines."), (True, "e")))
    assert guide.parse("").first == ""


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_methods_page_is_its_files_docstring(method: str) -> None:
    path = Path(sslcore.__file__).parent / "methods" / f"{method}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = guide.told(method)
    joined = " ".join([found.first, *(block for _, block in found.blocks)])
    assert joined.split() == docstring.split(), "every word, and in order"
    assert any(formula and "loss" in block for formula, block in found.blocks) or method == "flexmatch"


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_formula_loses_nothing_when_it_is_set(method: str) -> None:
    for formula, block in guide.told(method).blocks:
        if formula:
            shown = html.unescape(re.sub("<[^>]*>", " ", set_lines.page(block).removeprefix(set_lines.STYLE)))
            assert shown.split() == block.split()


def test_a_formula_goes_on_below_its_right_side_and_its_note_stands_apart() -> None:
    shown = set_lines.page("q_b    = a < b,  c = d      Eq. 6, 7\nand so on").removeprefix(set_lines.STYLE)
    assert shown == (
        '<div class="set-lines"><div><span style="--in: 9ch">q_b    = a &lt; b,  c = d</span><i>Eq. 6, 7</i></div>'
        '<div><span style="--in: 0ch">and so on</span></div></div>'
    )


def test_the_distance_of_two_curves() -> None:
    share = np.linspace(0, 1, 30)
    assert guide.distance([0.0, 1.0], share, share) == pytest.approx(0)
    assert guide.distance([0.5] * 11, share, np.full(30, 0.2)) == pytest.approx(0.3)
    assert guide.distance([0.0, 1.0], share, np.zeros(30)) == pytest.approx(0.5)
    half = guide.distance([0.0, 1.0], share / 2, np.zeros(30))  # a run at half its length is judged over that half
    assert half == pytest.approx(0.25)
    gaps = np.where(np.arange(30) % 2, np.nan, share)
    assert guide.distance([0.0, 1.0], share, gaps) == pytest.approx(0, abs=1e-9)
    assert guide.distance([0.0, 1.0], share, np.full(30, np.nan)) is None


def test_what_the_browser_draws_is_checked() -> None:
    assert sketch.checked([0.5] * sketch.COUNT) == (0.5,) * sketch.COUNT
    for wrong in (None, [0.5], [2.0] * sketch.COUNT, ["x"] * sketch.COUNT, [float("nan")] * sketch.COUNT, {"a": 1}):
        assert sketch.checked(wrong) is None


def test_what_stands_in_the_address() -> None:
    assert [guide.step_number(text) for text in ("3", "0", "99", "x", "", "-1", "٣")] == [3, *[None] * 6]
    assert guide.hidden("controls,menu,everything") == {"controls", "menu"} and not guide.hidden("")
    here = "http://127.0.0.1:8501/guide?part=x"
    assert guide.address(here, "time", ["controls", "menu"]) == "http://127.0.0.1:8501/time?hide=controls,menu"
    assert guide.address("http://a/lab/", "train", []) == "http://a/lab/"
    assert guide_tour.PARTS.keys() == guide.HIDEABLE.keys()


def test_the_picture_tells_its_steps_to_everybody() -> None:
    for name, (_, boxes) in story.STORY.items():
        drawing = story.picture(name, text_guide.METHODS_ALT[name])
        assert drawing.count("<rect") == len(boxes) and 'role="img"' in drawing and "currentColor" in drawing
        assert all(f"{i}. {box.title}" in drawing for i, box in enumerate(boxes, 1) if "&" not in box.title)
    assert story.page([("fixmatch", "x")]).count("<svg") == 1
    assert [len(boxes) for _, boxes in story.STORY.values()] == [8, 4, 4]


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("part", guide.PARTS)
def test_every_part_shows_with_and_without_runs(store: Store, part: str, filled: bool) -> None:
    if filled:
        for state in (ev.QUEUED, ev.RUNNING, ev.FINISHED, ev.FAILED, ev.INTERRUPTED):
            fill(store, state)
    at = page(part=guide.PARTS[part])
    assert text_guide.INTRO[part] in words(at)
    if part == "draw":
        assert at.button(key="guide_reveal").disabled, "nothing is drawn yet"
    if part == "break":
        assert len(at.expander) == len(presets.BROKEN)


def test_a_tour_goes_on_over_the_pages(store: Store) -> None:
    at = page(tour="2")
    assert "Draw what you expect" in words(at)
    at.radio(key="answer_draw").set_value(0).run()
    assert STEPS[1].answer in at.info[0].value
    at.radio(key="answer_draw").set_value(STEPS[1].right).run()
    assert STEPS[1].answer in at.success[0].value
    at.run()
    at.button(key="tour_next").click().run()
    at.switch_page("views/augment.py").run()
    assert f"**Guide, step 3 of {len(STEPS)}:**" in words(at)
    at.button(key="aug_again").click().run()
    at.switch_page(VIEW).run()
    assert f"1 of {len(STEPS)} steps done" in at.get("progress")[0].proto.text, "the deed was seen"
    at.button(key="tour_end").click().run()
    at.switch_page("views/runs.py").run()
    assert "Guide, step" not in words(at)


def test_the_real_curve_is_laid_over_the_drawn_one(store: Store) -> None:
    fill(store, ev.FINISHED, "fixmatch")
    at = page(part=guide.PARTS["draw"])
    at.session_state[f"{PAD}_drawn"] = sketch.FLAT  # the test driver has no hand
    at.run()
    at.button(key="guide_reveal").click().run()
    rates = queries.snapshot(store.runs()[0]).train["train/mask_rate"]
    apart = guide.distance(sketch.FLAT, np.linspace(2, 80, 40) / 80, rates)
    assert apart is not None and f"**{100 * apart:.0f} percentage points**" in words(at)
    shown = at.dataframe[0].value
    assert len(shown) == sketch.COUNT and shown["real"].iloc[-1] == pytest.approx(rates[-1])
    at.run()
    assert guide.DREW_CURVE in at.session_state[guide_tour.DEEDS]


@pytest.mark.parametrize("view", [view for _, view, _ in guide.PAGES.values()])
def test_hiding_works_on_every_page(store: Store, view: str) -> None:
    at = page(view, hide="controls,menu")
    styles = "".join(part.proto.body for part in at.get("html"))
    assert "stSidebar" in styles and "stHeader" in styles and ".st-key-toolbar" not in styles
