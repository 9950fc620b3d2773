"""Every page with every kind of run, through Streamlit's own test driver: no browser, no training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import pulse, queries, settings_form, text
from sslcore import events as ev
from sslcore import presets
from sslcore.config import METHOD_NAMES
from sslcore.store import Store
from tests.fill_store import fill
from tests.pages import APP
from tests.pages import store as store

VIEWS = ("views/train.py", "views/time.py", "views/runs.py")
STATES = ("empty", ev.QUEUED, ev.RUNNING, ev.PAUSED, ev.STOPPED, ev.FINISHED, ev.FAILED, ev.DIVERGED, ev.INTERRUPTED)


def page(**params: str) -> AppTest:
    at = AppTest.from_file(str(APP), default_timeout=30)
    for name, value in params.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception, at.exception
    return at


def words(at: AppTest) -> str:
    """All text of a page that isn't an error, in one string."""
    parts = [*at.markdown, *at.caption, *at.subheader, *at.info, *at.success, *at.warning]
    return "\n".join(str(part.value) for part in parts)


def charts(at: AppTest) -> dict[str, Any]:
    """The charts of a page by their name: what the component was given, or the feed told."""
    found: dict[str, Any] = {}
    told = fed(at)
    for component in at.get("bidi_component"):
        head, _, figure = component.proto.bytes.partition(b"\n")
        if component.proto.component_name == "ssl_live_chart" and b'"name"' in head:
            data = json.loads(head)
            if data["fed"]:
                shell, *arrays = told[data["name"]]
                found[data["name"]] = data | {"figure": json.loads(shell) | {"arrays": arrays}}
            else:
                found[data["name"]] = data | {"figure": json.loads(figure)}
    return found


def fed(at: AppTest) -> dict[str, list[str]]:
    """What the feed of a page that was just drawn tells of each chart: everything, it has not told anything before."""
    found: dict[str, list[str]] = {}
    for component in at.get("bidi_component"):
        if component.proto.component_name == "ssl_live_feed":
            said = json.loads(component.proto.bytes)
            assert said["since"] == ""
            found = {name: [rest for _, rest in parts] for name, parts in said["charts"].items()}
    return found


def tiles(at: AppTest) -> dict[str, str]:
    """The tiles of a page: label -> value."""
    return {tile["label"]: tile["value"] for tile in map(json.loads, fed(at)["tiles"])}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("state", STATES)
def test_every_page_draws_every_kind_of_run(store: Store, state: str, view: str) -> None:
    if state != "empty":
        fill(store, state)
    at = page()
    at.switch_page(view).run()
    assert (not at.exception and not at.error) or state in (ev.FAILED, ev.DIVERGED), at.exception
    assert (state == "empty") == ("a network learns from a handful" in words(at) or "There is no run yet" in words(at))


@pytest.mark.parametrize(
    ("state", "enabled"),
    [
        ("empty", {"start"}), (ev.QUEUED, {"start", "pause", "stop"}), (ev.RUNNING, {"start", "pause", "stop"}),
        (ev.PAUSED, {"start", "resume", "step", "stop"}), (ev.FINISHED, {"start"}), (ev.FAILED, {"start", "resume", "step"}),
        (ev.INTERRUPTED, {"start", "resume", "step", "stop"}), (ev.STOPPING, {"start"}),
    ],
)  # fmt: skip
def test_only_buttons_that_make_sense_can_be_pressed(store: Store, state: str, enabled: set[str]) -> None:
    if state != "empty":
        fill(store, state)
    buttons = {button.key: button for button in page().button if button.key in ("start", *text.BUTTONS)}
    assert {key for key, button in buttons.items() if not button.disabled} == enabled
    assert len(buttons) == 4  # the place of every button is always filled, so that nothing jumps


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_method_shows_the_charts_that_mean_something_for_it(store: Store, method: str) -> None:
    fill(store, ev.RUNNING, method)
    drawn = charts(page())
    expected = {"chart_loss", "chart_accuracy", "chart_parts", "chart_recall", "chart_confusion"}
    expected |= {"chart_mask", "chart_pseudo"} if method != "supervised" else set()
    expected |= {"chart_guess"} if method == "mixmatch" else set()
    expected |= {"chart_coverage"} if method in ("fixmatch", "flexmatch") else set()
    expected |= {"chart_threshold", "chart_lanes"} if method == "flexmatch" else set()
    assert set(drawn) == expected
    assert all(data["figure"]["data"] and data["alt"] for data in drawn.values())


def test_the_tiles_say_the_newest_numbers_in_percent(store: Store) -> None:
    fill(store, ev.RUNNING)
    expected = {
        "Test accuracy": "97.0 %",
        "Raw weights": "97.0 %",
        "Mask rate": "90.0 %",
        "Purity": "95.0 %",
        "Loss": "0.165",
    }
    assert tiles(page()) == expected
    fill(store, ev.QUEUED)
    assert set(tiles(page(run=store.runs()[0].id)).values()) == {"\u2013", "first at step 27"}


@pytest.mark.parametrize("state", [ev.RUNNING, ev.FAILED])
def test_before_the_first_evaluation_its_step_is_told_where_it_will_come(store: Store, state: str) -> None:
    config = presets.build("smoke", "flexmatch", {"train.steps": 30_000, "train.evals": 3})
    fill(store, state, points=2, config=config, frames=False)
    told = "first at step 10,000" if state == ev.RUNNING else "\u2013"
    assert [value for label, value in tiles(page()).items() if label in ("Test accuracy", "Raw weights")] == [told] * 2


def test_a_diverged_run_has_a_short_loss_and_waits_for_nothing(store: Store) -> None:
    run_id = fill(store, ev.RUNNING, "mixmatch", points=2, frames=False)
    store.log(run_id, [ev.MetricPoint(ev.TRAIN, 6, 1.0, {"train/loss": 9.2693e19})], [], step=6, seconds=1.0)
    store.move(run_id, ev.DIVERGED, only_from=ev.ACTIVE, error="the loss became nan by step 8")
    at = page()
    assert tiles(at)["Loss"] == "9.3e+19"
    waits = {data["wait"] for data in charts(at).values()}
    assert waits == {"Nothing was measured"} and text.SHEET_WAIT not in words(at)


@pytest.mark.parametrize(
    "state", [ev.RUNNING, ev.PAUSED, ev.STOPPED, ev.INTERRUPTED, ev.FAILED, ev.DIVERGED, ev.FINISHED]
)
def test_settings_of_whatever_can_go_on_can_be_changed(store: Store, state: str) -> None:
    fill(store, state, frames=False)
    assert any(button.key == "apply" for button in page().button) == (state != ev.FINISHED)


def test_start_trains_what_the_form_says_and_shows_it(store: Store) -> None:
    at = page(advanced="true")
    at.number_input(key="labels").set_value(20).run()
    at.number_input(key="seed").set_value(3).run()
    at.get_by_key("method").set_value("fixmatch").run()
    at.number_input(key="fixmatch.threshold").set_value(0.8).run()
    at.button(key="start").click().run()
    assert not at.exception
    (run,) = store.runs()
    assert (run.method, run.labels, run.seed, run.state, run.preset) == ("fixmatch", 20, 3, ev.QUEUED, presets.DEFAULT)
    assert run.config["method"]["threshold"] == 0.8 and run.steps == presets.build(presets.DEFAULT).train.steps
    assert at.query_params["run"] == run.id and "FixMatch" in at.subheader[0].value


def test_event_files_without_their_package_are_refused_before_the_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    at = page(**{"train.tensorboard": "true"})
    assert at.button(key="start").disabled
    assert any("pip install tensorboard".replace("-", "\\-") in str(error.value) for error in at.error), at.error


def test_without_a_change_the_form_is_the_preset(store: Store) -> None:
    for preset, chosen in presets.PRESETS.items():
        for method in [chosen.config.method.name] if chosen.breaks or preset in presets.TUTORIAL else METHOD_NAMES:
            at = page(preset=presets.PRESETS[preset].title, method=text.METHODS[method])  # the URL holds what is read
            at.button(key="start").click().run()
            newest = store.run(str(at.query_params["run"]))
            assert newest.config == json.loads(json.dumps(plain(presets.build(preset, method)))), (preset, method)


def plain(config: Any) -> Any:
    from sslcore.config import to_dict

    return to_dict(config)


def test_the_form_is_in_the_url(store: Store) -> None:
    at = page(
        method="MixMatch", labels="30", seed="5", **{"mixmatch.temperature": "0.25", "augment.preset": "kekmodel"}
    )
    at.button(key="start").click().run()
    config = store.runs()[0].config
    assert (config["method"]["name"], config["data"]["labels"], config["train"]["seed"]) == ("mixmatch", 30, 5)
    assert config["method"]["temperature"] == 0.25 and config["augment"]["preset"] == "kekmodel"


def test_a_method_has_its_own_defaults_and_keeps_what_was_typed(store: Store) -> None:
    at = page(advanced="true")
    at.number_input(key="flexmatch.threshold").set_value(0.7).run()
    at.number_input(key="labels").set_value(50).run()
    at.get_by_key("method").set_value("mixmatch").run()
    assert at.number_input(key="mixmatch.optim.lr").value == presets.build(presets.DEFAULT, "mixmatch").optim.lr
    assert at.number_input(key="labels").value == 50
    at.get_by_key("method").set_value("flexmatch").run()
    assert at.number_input(key="flexmatch.threshold").value == 0.7


def test_advanced_settings_are_drawn_once_they_say_something(store: Store) -> None:
    def boxes(at: AppTest) -> list[str]:
        return [str(box.key) for box in at.number_input if str(box.key).startswith("flexmatch.")]

    assert not boxes(page()) and boxes(page(advanced="true"))
    at = page(**{"flexmatch.threshold": "0.7"})  # closed, but the address asks for something
    assert at.number_input(key="flexmatch.threshold").value == 0.7
    at.button(key="start").click().run()
    assert store.runs()[0].config["method"]["threshold"] == 0.7
    at.number_input(key="flexmatch.optim.lr").set_value(0.5).run()
    at.query_params.clear()
    at.run()
    assert at.number_input(key="flexmatch.optim.lr").value == 0.5, "what was typed is lost"


def test_a_preset_brings_its_own_numbers(store: Store) -> None:
    at = page()
    at.selectbox(key="preset").set_value("smoke").run()
    smoke = presets.build("smoke")
    assert at.number_input(key="smoke.steps").value == smoke.train.steps
    assert at.number_input(key="smoke.labels").value == smoke.data.labels


def test_a_double_click_starts_one_run(store: Store) -> None:
    at = page()
    at.button(key="start").click().run()
    at.button(key="start").click().run()
    assert len(store.runs()) == 1
    at.number_input(key="seed").set_value(1).run()
    at.button(key="start").click().run()
    assert len(store.runs()) == 2


def test_a_press_of_start_is_kept_when_the_page_does_not_get_that_far(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a file is edited: the page is drawn anew, and the button's own value is gone by then."""
    at = page()
    with monkeypatch.context() as patch:
        patch.setattr(settings_form, "settings_form", lambda: 1 / 0)
        at.button(key="start").click().run()
    assert at.exception and not store.runs()
    at.run()
    assert not at.exception and len(store.runs()) == 1
    at.run()
    assert len(store.runs()) == 1


def test_a_setting_that_can_not_be_is_one_sentence_and_nothing_is_lost(store: Store, tmp_path: Path) -> None:
    at = page(labels="30", advanced="true")
    at.selectbox(key="data").set_value("folder").run()
    assert "Type the path" in at.error[0].value and at.button(key="start").disabled
    at.text_input(key="folder").set_value(str(tmp_path / "no *such* folder")).run()
    assert r"no \*such\* folder" in at.error[0].value and len(at.error) == 1 and not at.exception
    assert at.number_input(key="labels").value == 30
    at.text_input(key="folder").set_value(str(tmp_path)).run()
    assert not at.error and not at.button(key="start").disabled
    at.number_input(key="flexmatch.optim.lr").set_value(0.0).run()
    assert at.error[0].value.replace("\\", "").startswith("optim.lr must be a number above 0")


def test_the_run_in_the_url_is_shown_else_the_one_at_work(store: Store) -> None:
    running, finished = fill(store, ev.RUNNING, "fixmatch"), fill(store, ev.FINISHED, "mixmatch")
    assert "FixMatch" in page().subheader[0].value
    assert "MixMatch" in page(run=finished).subheader[0].value
    assert "FixMatch" in page(run="deleted long ago").subheader[0].value
    assert "FixMatch" in page(run=running).subheader[0].value


def test_pause_resume_step_and_stop_reach_the_run(store: Store) -> None:
    run_id = fill(store, ev.PAUSED)
    at = page(run=run_id)
    at.button(key="step").click().run()
    assert (store.run(run_id).state, store.run(run_id).until) == (ev.QUEUED, store.run(run_id).step + 1)
    at.button(key="pause").click().run()
    assert store.run(run_id).state == ev.PAUSED
    at.button(key="resume").click().run()
    assert (store.run(run_id).state, store.run(run_id).until) == (ev.QUEUED, None)
    at.button(key="stop").click().run()
    assert store.run(run_id).state == ev.STOPPED and not at.exception


def test_stopping_a_run_that_may_be_anothers_is_asked_about_first(store: Store) -> None:
    run_id = fill(store, ev.RUNNING)
    at = page(run=run_id)  # as after a reload: a page knows its own runs only as long as it is open
    at.button(key="stop").click().run()
    assert store.run(run_id).state == ev.RUNNING
    assert any("before this page was last loaded" in part.value for part in at.markdown)
    at.session_state["mine"] = {run_id}
    at.button(key="stop").click().run()
    assert store.run(run_id).state == ev.STOPPING


def test_a_failed_run_shows_its_traceback_and_its_text_is_only_text(store: Store) -> None:
    fill(store, ev.FAILED)
    at = page()
    assert at.error[0].value == r"RuntimeError\: out of \*memory\* \<b\>"
    assert at.code[0].value.startswith("Traceback (most recent call last)")


def test_a_diverged_run_says_what_to_try(store: Store) -> None:
    fill(store, ev.DIVERGED)
    at = page()
    assert "became nan" in at.error[0].value and not at.code
    assert "smaller learning rate" in at.error[0].proto.title


def test_a_finished_run_says_its_number_honestly(store: Store) -> None:
    fill(store, ev.FINISHED)
    assert "**97.1 %** of 360 test images" in page().success[0].value


def test_waiting_runs_are_listed_in_their_order(store: Store) -> None:
    fill(store, ev.RUNNING)
    fill(store, ev.QUEUED, "mixmatch")
    fill(store, ev.QUEUED, "supervised")
    listed = words(page())
    assert listed.index("number 1:** MixMatch") < listed.index("number 2:** Supervised")


def test_typed_names_are_escaped_wherever_they_stand(store: Store) -> None:
    name = "<b>x</b> [l](javascript:a) :red[r]"
    fill(store, ev.RUNNING, name=name)
    fill(store, ev.QUEUED, name=name)
    at = page()
    assert text.escape(name) in at.subheader[0].value
    assert text.escape(name) in next(part.value for part in at.markdown if "Waiting" in part.value)
    assert "<b>" not in words(at) and "](" not in words(at)
    assert not any(part.proto.allow_html for part in at.markdown)


def test_a_lesson_tuned_on_other_images_says_which_one_suits(store: Store) -> None:
    def captions(**address: str) -> str:
        at = page(**address)
        assert not at.exception
        return "\n".join(str(part.value) for part in at.caption)

    other = text.TUNED.format("Digits", "Photos lesson")
    assert other in captions(data="CIFAR-10") and other in captions(data="My own folder")
    assert "tuned on other images" not in captions()
    assert "tuned on other images" not in captions(preset="Photos lesson", **{"photos-lesson.data": "My own folder"})
    assert "tuned on other images" not in captions(preset=presets.PRESETS["cifar10-tutorial"].title)


def test_started_in_another_folder_it_says_so(store: Store) -> None:
    config.set_option("server.enableStaticServing", False)
    at = AppTest.from_file(str(APP), default_timeout=30).run()
    assert not at.exception and at.error[0].value == text.WRONG_FOLDER and not at.button


def test_a_folder_of_runs_that_can_not_be_used_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path / "file"))
    config.set_option("server.enableStaticServing", True)
    at = AppTest.from_file(str(APP), default_timeout=30).run()
    assert not at.exception and "can't be used" in at.error[0].value.replace("\\", "")


# -- the controls of the Train page ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "said", "used"),
    [
        ({"labels": "99999999999"}, "data.labels must be a whole number from 2", "40"),
        ({"labels": "many"}, "data.labels must be a whole number", "40"),
        ({"flexmatch.threshold": "1.5"}, "method.threshold must be a number from 0.0 to 1.0, got 1.5", "0.9"),
        ({"method": "FlexMitch"}, "Method must be one of Supervised, MixMatch", "FlexMatch"),
        ({"augment.preset": "paperr"}, "augment.preset must be one of paper", "paper"),
    ],
)
def test_a_value_of_the_address_that_can_not_be_is_one_sentence_and_nothing_is_lost(
    store: Store, params: dict[str, str], said: str, used: str
) -> None:
    at = page(seed="7", **params)
    warnings = [str(part.value).replace("\\", "") for part in at.warning]
    assert len(warnings) == 1 and said in warnings[0] and f"**{used}** is used instead" in warnings[0]
    assert at.number_input(key="seed").value == 7 and not at.button(key="start").disabled
    at.number_input(key="seed").set_value(8).run()
    assert len(at.warning) == 1  # it stays until that setting is set
    if "labels" in params:
        at.number_input(key="labels").set_value(50).run()
        assert not at.warning


def test_values_of_the_address_that_can_be_are_not_complained_about(store: Store) -> None:
    at = page(
        method="MixMatch",
        labels="30",
        seed="5",
        device="CPU",
        **{"mixmatch.temperature": "0.25", "train.ema_warmup": "false"},
    )
    assert not at.warning and not at.error


def test_the_time_is_reckoned_before_start(store: Store) -> None:
    assert any("isn't known yet" in part.value for part in page().caption)
    fill(store, ev.FINISHED, "flexmatch")
    alike = page(preset=presets.PRESETS["smoke"].title, **{"smoke.steps": "1000"})
    assert any("About **20 s**" in part.value and "of this kind" in part.value for part in alike.caption)


def test_another_method_is_reckoned_by_its_images_a_step(store: Store) -> None:
    run_id = fill(store, ev.FINISHED, "supervised")  # 10 images a step, 1/50 s
    store.update(run_id, summary=store.run(run_id).summary | {"images_per_step": 10})
    at = page(preset=presets.PRESETS["smoke"].title, method="FixMatch", **{"smoke.steps": "1000"})  # 10 + 2 x 20
    assert any("About **1 min 40 s**" in part.value and "from a Supervised run" in part.value for part in at.caption)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_images_per_step_are_those_of_the_trainer(method: str) -> None:
    from sslcore import methods

    config = presets.build("smoke", method)
    views = len(methods.build(config.method, 10, 100).unlabeled_views)
    assert queries.images_per_step(config) == config.train.batch * (1 + views * getattr(config.method, "mu", 0))


def test_a_live_setting_is_changed_and_listed_with_its_step(store: Store) -> None:
    run_id = fill(store, ev.RUNNING, "fixmatch")
    at = page(run=run_id)
    at.number_input(key=f"live.{run_id}.method.threshold.0.95").set_value(0.8)
    at.button(key="apply").click().run()
    assert not at.exception and not at.error
    (posted,) = store.take(run_id, 44)
    assert (posted.name, posted.value) == ("set", {"method.threshold": 0.8})
    told = [part.value.replace("\\", "") for part in page(run=run_id).caption if "Changed at" in part.value]
    assert told == ["Changed at step 44: threshold 0.95 \u2192 0.8"]
    marked = charts(page(run=run_id))["chart_loss"]["figure"]["layout"]
    assert marked["shapes"][0]["x0"] == 44 and marked["annotations"][0]["text"] == "threshold = 0.8"


def test_applying_what_a_run_has_or_will_have_says_that_nothing_was_changed(store: Store) -> None:
    run_id = fill(store, ev.PAUSED, "fixmatch")
    at = page(run=run_id)
    at.button(key="apply").click().run()
    assert [part.value for part in at.toast] == [text.CHANGE_NOTHING] and not store.waiting_commands(run_id)
    queries.engine().set(run_id, {"method.threshold": 0.8})  # from another tab: it waits until the run goes on
    at = page(run=run_id)
    assert at.number_input(key=f"live.{run_id}.method.threshold.0.8").value == 0.8, "what waits is shown"
    at.number_input(key=f"live.{run_id}.method.threshold.0.8").set_value(0.95)
    at.button(key="apply").click().run()
    assert [command.value["method.threshold"] for command in store.waiting_commands(run_id)] == [0.8, 0.95]


def test_a_finished_run_can_not_be_changed(store: Store) -> None:
    run_id = fill(store, ev.FINISHED, "fixmatch")
    assert not [box for box in page(run=run_id).number_input if str(box.key).startswith("live.")]


def test_step_takes_as_many_as_asked(store: Store) -> None:
    run_id = fill(store, ev.PAUSED)
    at = page(run=run_id, n="25")
    at.button(key="step").click().run()
    assert store.run(run_id).until == store.run(run_id).step + 25


def test_a_waiting_run_is_cancelled_in_the_strip(store: Store) -> None:
    running, waiting = fill(store, ev.RUNNING), fill(store, ev.QUEUED, "mixmatch")
    at = page(run=running)
    at.button(key=f"cancel_{waiting}").click().run()
    assert store.run(waiting).state == ev.STOPPED and store.run(running).state == ev.RUNNING
    assert not any(str(button.key).startswith("cancel_") for button in at.button)


# -- its images and numbers --------------------------------------------------------------------------------------------


def test_the_numbers_of_every_part_stand_in_a_table(store: Store) -> None:
    fill(store, ev.RUNNING)
    rows = json.loads(fed(page())["chart_numbers"][0])
    assert rows[0][-1] == "top-5" and ["Test", "EMA", "0.130", "97.0 %", "100.0 %"] in rows
    assert [row[:2] for row in rows[3:]] == [["Labelled (train)", "EMA"], ["Labelled (train)", "raw"]] or rows[1][
        0
    ] != "Test"
    assert "Validation" not in [row[0] for row in rows]


@pytest.mark.parametrize(("show", "count"), [("Kept", 1), ("Wrong", 1), ("Kept and wrong first", 64)])
def test_the_gallery_is_filtered_by_the_address(store: Store, show: str, count: int) -> None:
    run_id = fill(store, ev.FINISHED, "fixmatch")
    frame = queries.keyframe(run_id, 80)
    assert frame is not None
    from dashboard import gallery

    key = next(key for key, words in gallery.FILTERS.items() if words == show)
    expected = len(gallery.order(frame, key))
    at = page(run=run_id, show=show)
    assert any(part.value.startswith(f"{expected} of 64 images") for part in at.caption) and expected >= count
    assert len(at.image) == 4  # the place of every picture stays filled


def test_many_classes_can_be_searched(store: Store) -> None:
    run_id = fill(store, ev.RUNNING, points=0, frames=False)
    store.update(run_id, summary=store.run(run_id).summary | {"class_names": [f"plant {c}" for c in range(30)]})
    wide = [ev.ArrayPoint("flex/threshold", 90, 2.0, [c / 30 for c in range(30)])]  # type: ignore[arg-type]
    store.log(run_id, [], [*wide, ev.ArrayPoint("pseudo/count", 90, 2.0, [1.0] * 30)], step=50)  # type: ignore[arg-type]
    lanes = charts(page(run=run_id))["chart_lanes"]["figure"]["data"][0]["y"]
    assert lanes == [f"plant {c}" for c in (0, 1, 2, 3, 4, 25, 26, 27, 28, 29)]


def test_a_run_that_moves_on_while_its_page_is_drawn_is_drawn_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as `pausing` for the heading, it is `paused` by the time its curves are drawn: the page must notice."""
    run_id = fill(store, ev.RUNNING)
    store.move(run_id, ev.PAUSING, only_from=[ev.RUNNING])
    look = pulse.pulse

    def pauses(run_id: str, **fresh: bool) -> pulse.Pulse:
        store.move(run_id, ev.PAUSED, only_from=[ev.PAUSING])
        return look(run_id, **fresh)

    monkeypatch.setattr(pulse, "pulse", pauses)
    at = page(run=run_id)
    assert not at.button(key="resume").disabled and ":blue-badge" in "".join(part.value for part in at.markdown)
