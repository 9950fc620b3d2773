"""The Time machine page through Streamlit's own test driver, and the reads behind it: no browser, no training."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import biography, fork_form, queries, replay, text_time, time_panels, timeline, widgets
from sslcore import config as cfg
from sslcore import events as ev
from sslcore import fork, keyframes, presets
from sslcore.config import METHOD_NAMES
from sslcore.store import Store
from tests.fill_store import CLASSES, add_keyframe, fill
from tests.pages import opened
from tests.pages import store as store
from tests.test_dashboard import charts, words

VIEW = "views/time.py"


def travelled(
    store: Store, state: str = ev.FINISHED, method: str = "flexmatch", steps: tuple[int, ...] = (20, 40, 60)
) -> str:
    """A run with keyframes at 0, `steps` and 80, whole ones: also what the model made of the test images."""
    run_id = fill(store, state, method)
    folder = store.folder(run_id)
    for step in (*steps, 80):
        add_keyframe(folder, step, method, constants=False)
        draw = np.random.default_rng(step)
        more = {
            "count": np.arange(CLASSES + 1, dtype=np.float32), "confusion": draw.integers(0, 40, (CLASSES, CLASSES)).astype(np.int32),
            "hist_right": draw.integers(0, 40, 20).astype(np.int32), "hist_wrong": draw.integers(0, 9, 20).astype(np.int32),
        }  # fmt: skip
        keyframes.write(folder, step, keyframes.load(folder, step) | more)
    return run_id


def page(**params: str) -> AppTest:
    return opened(VIEW, **params)


def slider(at: AppTest) -> dict[str, Any]:
    """What the slider was given: steps, at, marks."""
    found = [json.loads(component.proto.json or "{}") for component in at.get("bidi_component")]
    return next(data for data in found if "steps" in data)


def strip(at: AppTest) -> list[str]:
    found = [json.loads(component.proto.json or "{}") for component in at.get("bidi_component")]
    return [cell["about"] for data in found for cell in data.get("cells", [])]


def button(at: AppTest, name: str) -> Any:
    return at.button(key=f"time_{name}")


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_everything_shows_the_step_of_the_url(store: Store, method: str) -> None:
    run_id = travelled(store, method=method)
    at = page(run=run_id, step="40")
    assert slider(at)["at"] == 40 and slider(at)["steps"] == [0, 20, 40, 60, 80]
    assert "Step **40** of 80" in words(at)
    drawn = charts(at)
    expected = {"loss", "accuracy", "confusion", "histogram", "ribbon"}
    expected |= {"supervised": set(), "flexmatch": {"mask", "lanes"}}.get(method, {"mask", "pseudo"})
    assert set(drawn) == {f"time_{kind}" for kind in expected}
    assert all(data["alt"] and data["figure"]["data"] for data in drawn.values())
    for kind in expected & {"loss", "accuracy", "mask", "ribbon"}:
        lines = [
            shape
            for shape in drawn[f"time_{kind}"]["figure"]["layout"]["shapes"]
            if shape.get("line", {}).get("width", 0) > 2
        ]
        assert [line["x0"] for line in lines] == [40], kind
    frame = queries.keyframe(run_id, 40)
    assert frame is not None
    assert drawn["time_confusion"]["figure"]["data"][0]["customdata"] == frame["confusion"].tolist()
    guess = int(frame["weak_probs"][7].argmax())
    assert strip(at)[7].startswith(f"image 7: taken for {guess}, ")


def test_without_a_step_it_stands_at_the_front_and_the_buttons_move_it(store: Store) -> None:
    travelled(store)
    at = page()
    assert slider(at)["at"] == 80 and "step" not in at.query_params
    assert button(at, "next").disabled and button(at, "live").disabled and not button(at, "previous").disabled
    at = page(step="20")
    assert at.query_params["step"] == ["20"] or at.query_params["step"] == "20"
    assert not button(at, "next").disabled
    at = page(step="0")
    assert button(at, "previous").disabled and slider(at)["at"] == 0


def test_a_click_that_is_delivered_twice_is_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer's request can take a click along, and its own request brings it again: Play must not pause, Next not go two on."""
    clock = [5.0]
    monkeypatch.setattr(widgets, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    travelled(store)
    at = page(step="20")
    button(at, "next").click().run()
    assert slider(at)["at"] == 40
    button(at, "next").click().run()
    assert slider(at)["at"] == 40
    button(at, "play1").click().run()
    button(at, "play1").click().run()
    assert button(at, "play1").label == "Pause"
    clock[0] += 0.6
    button(at, "play1").click().run()
    assert button(at, "play1").label == "Play x1"


@pytest.mark.parametrize(
    ("typed", "step"), [("33", 40), ("30", 20), ("9999", 80), ("-4", 80), ("x", 80), ("", 80), ("\u0663", 80)]
)
def test_a_step_without_a_keyframe_is_the_nearest_one(store: Store, typed: str, step: int) -> None:
    travelled(store)
    assert slider(page(step=typed))["at"] == step


def test_where_the_slider_stands() -> None:
    at = (0, 10, 20, 40)
    assert timeline.moment(None, at, None) == 40, "nothing wanted: the front"
    assert timeline.moment(20, at, None) == 20
    assert timeline.moment(20, at, 20) == 40, "who stood at the front follows it"
    assert timeline.moment(27, at, 40) == 20 and timeline.moment(30, at, 40) == 20 and timeline.moment(31, at, 40) == 40
    assert [timeline.beside(10, at, by) for by in (-1, 1, -5, 9)] == [0, 20, 0, 40]


def test_a_run_with_one_keyframe_can_be_looked_at(store: Store) -> None:
    fill(store, ev.RUNNING, points=0)
    at = page()
    assert slider(at)["steps"] == [0] and slider(at)["at"] == 0
    assert all(button(at, name).disabled for name in ("previous", "next", "play1", "play4"))
    assert "wrong for ever 0, flip-floppers 0, late bloomers 0" in words(at)
    ribbon = biography.biography(replay.history(store.runs()[0].id, (0,)), 0)  # type: ignore[arg-type]
    kept_at_0 = time_panels.facts(ribbon, tuple("0123456789"), "flexmatch")
    assert bool(ribbon.kept[0]) == ("once training had begun" in kept_at_0) and "never kept" in kept_at_0


def test_while_it_trains_the_button_says_live(store: Store) -> None:
    travelled(store, ev.RUNNING)
    at = page()
    assert button(at, "live").label == text_time.LIVE and not button(at, "live").disabled
    travelled(store, ev.FINISHED)
    assert button(page(run=store.runs()[0].id), "live").label == text_time.END


@pytest.mark.parametrize("state", [ev.QUEUED, ev.FAILED, ev.PAUSED])
def test_a_run_without_a_keyframe_says_so(store: Store, state: str) -> None:
    fill(store, state, frames=False)
    at = page()
    assert not charts(at) and at.info


def test_the_lists_are_those_of_the_definitions(store: Store) -> None:
    run_id = travelled(store)
    life = replay.history(run_id, (0, 20, 40, 60, 80))
    assert life is not None
    found = {name: pick(life) for name, pick in biography.LISTS.items()}
    assert found["flips"], "random guesses flip"
    at = page(run=run_id)
    assert f"flip-floppers {len(found['flips'])}, late bloomers {len(found['late'])}" in words(at)
    assert len(strip(at)) == 64 and text_time.LIST_HELP["all"] in words(at)
    at.get_by_key("list").set_value("flips").run()
    assert [about.split(":")[0] for about in strip(at)] == [f"image {i}" for i in found["flips"]]
    assert text_time.LIST_HELP["flips"] in words(at)
    assert f"Image {found['flips'][0]} · truth" in words(at), "the first of the list is told about"
    at = page(run=run_id, image="12")
    one = biography.biography(life, 12)
    assert f"Image 12 · truth **{one.truth}**" in words(at)
    ribbon = charts(at)["time_ribbon"]["figure"]
    assert {trace["name"] for trace in ribbon["data"] if trace["type"] == "bar"} == {f"guess {c}" for c in one.guess}


def test_a_history_reads_each_keyframe_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = travelled(store)
    read: list[int] = []
    load = keyframes.load
    monkeypatch.setattr(
        keyframes, "load", lambda folder, step, only=None: (read.append(step), load(folder, step, only))[1]
    )
    replay.history(run_id, (0, 20, 40))
    life = replay.history(run_id, (0, 20, 40, 60))
    assert read == [0, 20, 40, 60] and life is not None and life.steps.tolist() == [0, 20, 40, 60]
    (store.folder(run_id) / keyframes.FOLDER / "000000080.npz").write_bytes(b"half")
    cut = replay.history(run_id, (0, 20, 80))
    assert cut is not None and cut.steps.tolist() == [0, 20], "one that can't be read is passed over"


def test_the_cost_on_the_disk_is_that_of_the_files(store: Store) -> None:
    first, second = travelled(store), travelled(store, method="fixmatch")
    (store.folder(first) / "last.pt").write_bytes(b"x" * 5000)
    (store.folder(second) / "step-000000020.pt").hardlink_to(store.folder(first) / "last.pt")  # as a fork shares files
    sizes = {
        run: sum(path.stat().st_size for path in (store.folder(run) / "keyframes").iterdir()) for run in (first, second)
    }
    found = replay.disk(first)
    assert found == {"keyframes": sizes[first], "checkpoints": 5000, "all": sizes[first] + sizes[second] + 5000}
    assert "5 keyframes" in words(page(run=first)) and "5 kB" in words(page(run=first))
    assert [text_time.size(n) for n in (999, 41_200, 999_499, 3_240_000, 150_000_000, 1_500_000_000)] == [
        "999 bytes", "41 kB", "999 kB", "3.2 MB", "150 MB", "1.5 GB"
    ]  # fmt: skip


def test_what_a_setting_was_at_a_step(store: Store) -> None:
    run_id = travelled(store)
    first = store.run(run_id).config["method"]["threshold"]
    for step, value in ((30, 0.5), (50, 0.6)):
        store.add_event(run_id, step, "set", {"method.threshold": value})
    config = cfg.to_dict(cfg.replace(cfg.from_dict(store.run(run_id).config), {"method.threshold": 0.6}))
    store.update(run_id, config=config, changed=True)
    run = store.run(run_id)
    assert [replay.setting(run, "method.threshold", at) for at in (0, 30, 31, 50, 51, 80)] == [
        first,
        first,
        0.5,
        0.5,
        0.6,
        0.6,
    ]
    assert replay.setting(run, "method.lambda_u", 40) == run.config["method"]["lambda_u"]


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_fork_dialog_offers_only_what_a_fork_may_change(method: str) -> None:
    config = presets.build("digits-lesson", method)
    offered = fork_form.knobs(config)
    assert set(offered) <= set(fork.changeable(config)) and len(offered) == len(set(offered))
    live = {name for name, spec, _ in cfg.walk(config) if spec.metadata["live"]}
    assert set(offered) > live


def test_the_fork_dialog_opens_at_the_nearest_checkpoint(store: Store) -> None:
    run_id = travelled(store)
    at = page(run=run_id, step="40")
    at.button(key="fork").click().run()
    assert not at.exception and text_time.NO_FORK in words(at)
    for step in (10, 35, 70):
        (store.folder(run_id) / f"step-{step:09d}.pt").write_bytes(b"x")
    at = page(run=run_id, step="40")
    at.button(key="fork").click().run()
    assert not at.exception
    assert next(box for box in at.selectbox if box.label == text_time.FORK_FROM).value == 35
    assert {knob.key for knob in at.number_input} >= {"fork.method.threshold", "fork.optim.lr", "fork.train.steps"}


def test_a_fork_from_the_end_is_offered_only_where_there_is_nothing_before() -> None:
    """The slider begins at the end, where nothing is left to train: the dialog would open with an error."""
    assert fork_form.nearest(70, (0, 35, 70), 70) == 35
    assert fork_form.nearest(70, (0, 35, 70), 100) == 70
    assert fork_form.nearest(1, (0, 35, 70), 70) == 0
    assert fork_form.nearest(70, (70,), 70) == 70


def test_a_fork_says_where_it_comes_from(store: Store) -> None:
    run_id = travelled(store)
    assert fork_form.line(store.run(run_id)) == ""
    made = {"run": "a_b<i>", "step": 20, "changes": {"method.threshold": 0.8}, "before": {"method.threshold": 0.9}}
    store.update(run_id, summary=store.run(run_id).summary | {"fork": made})
    store.add_event(run_id, 20, "fork", {"run": "a_b<i>", "step": 20, "method.threshold": 0.8})
    said = next(part.value for part in page(run=run_id).caption if "Forked from" in part.value)
    assert r"a\_b\<i\> at step 20: `method.threshold` 0.9" in said and said.endswith("0.8")
    assert ["forked here, at step 20", "fork"] in [mark[1:] for mark in slider(page(run=run_id))["marks"]]
    assert replay.setting(store.run(run_id), "method.threshold", 10) == 0.9
    assert (20, "fork") in queries.snapshot(store.run(run_id)).marks
    queued = ev.Event(20, 0.0, "state", {"state": ev.QUEUED})
    assert queries.marks([ev.Event(20, 0.0, "fork", {}), queued, queued]) == ((20, "fork"), (20, "resume"))


def test_two_runs_alike_have_two_names_in_the_list(store: Store) -> None:
    first, second = travelled(store), travelled(store)
    options = page(run=first).selectbox(key="pick_run").options
    assert len(set(options)) == 2 and {option[-6:] for option in options} == {first[-6:], second[-6:]}


def test_a_deleted_run_leads_to_another(store: Store, tmp_path: Path) -> None:
    gone, left = travelled(store), travelled(store, method="mixmatch")
    at = page(run=gone)
    store.delete(gone)
    at.run()
    assert not at.exception and slider(at)["at"] == 80
    assert at.selectbox(key="pick_run").value == left
