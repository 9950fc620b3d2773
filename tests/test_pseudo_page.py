"""The Pseudo-labels page with every kind of run, through Streamlit's test driver: what the knobs do to the numbers on screen."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import sandbox, text, text_images, text_pseudo
from sslcore import data, keyframes, presets
from sslcore import events as ev
from sslcore.config import METHOD_NAMES
from sslcore.data import shapes
from sslcore.session import Stay
from sslcore.store import Store
from tests.fill_store import CLASSES, PROBES, fill
from tests.pages import opened
from tests.pages import store as store
from tests.test_dashboard import STATES, words

VIEW = "views/pseudo.py"
SANDBOX = text_pseudo.EXHIBITS["sandbox"]


def page(**params: str) -> AppTest:
    return opened(VIEW, **params)


def components(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(part.proto.json) for part in at.get("bidi_component") if part.proto.json]  # charts come as bytes


def bars(at: AppTest) -> list[list[dict[str, Any]]]:
    """The rows of every set of bars: logits, softmax, box, target, prediction by their alt text's place on the page."""
    return [data["rows"] for data in components(at) if "rows" in data and isinstance(data["rows"], list)]


def strip(at: AppTest) -> list[dict[str, Any]]:
    return next(data["cells"] for data in components(at) if "cells" in data)


def entropy(at: AppTest) -> list[float]:
    line = next(part.value for part in at.markdown if part.value.startswith("Entropy"))
    return [float(piece) for piece in line.split("**")[1::2]]


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def add_test_set(store: Store, run_id: str, step: int, count: int = 360) -> None:
    """Give a made-up keyframe the confidences of a test set, as newer runs have them."""
    folder, g = store.folder(run_id), np.random.default_rng(7)
    arrays = keyframes.load(folder, step)
    confidence, predicted = g.uniform(0.3, 1, count), g.integers(0, CLASSES, count)
    truth = np.where(g.random(count) < confidence, predicted, (predicted + 1) % CLASSES)
    keyframes.write_probe(folder, keyframes.probe(folder) | {"test_truth": truth.astype(np.int16)})
    extra = {"test_conf": confidence.astype(np.float16), "test_pred": predicted.astype(np.uint8)}
    counts = np.append(np.arange(1, CLASSES + 1) * 10.0, 300.0).astype(np.float32)
    keyframes.write(folder, step, arrays | extra | {"count": counts})


@pytest.mark.parametrize("exhibit", list(text_pseudo.EXHIBITS.values()))
@pytest.mark.parametrize("state", STATES)
def test_every_kind_of_run_is_drawn(store: Store, state: str, exhibit: str) -> None:
    if state != "empty":
        fill(store, state)
    at = page(exhibit=exhibit)
    assert not at.error
    if state == "empty":
        assert text_pseudo.EMPTY in words(at)
    elif state == ev.QUEUED:
        assert at.info[0].value == text_pseudo.NO_FRAMES[True]
    else:
        assert "Shown: step **80**" in words(at)
        assert bool(at.metric) == (exhibit == SANDBOX) and bool(bars(at)) == (exhibit != SANDBOX)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_every_method_is_drawn_and_begins_with_its_own_box(store: Store, method: str) -> None:
    fill(store, ev.FINISHED, method)
    at = page()
    first = {"supervised": "fixmatch"}.get(method, method)
    assert at.get_by_key(f"box.{first}").value == first
    assert text_pseudo.OWN[method] in words(at)
    assert not page(exhibit=SANDBOX).error


def test_a_run_without_keyframes_says_so(store: Store) -> None:
    fill(store, ev.FAILED, frames=False)
    assert page().info[0].value == text_pseudo.NO_FRAMES[False]


def test_the_method_toggle_changes_only_its_box_and_what_follows(store: Store) -> None:
    fill(store, ev.FINISHED, "fixmatch")
    at = page()
    seen = {}
    for method in ("fixmatch", "flexmatch", "mixmatch"):
        at.get_by_key("box.fixmatch").set_value(method).run()
        assert not at.exception
        seen[method] = bars(at)
    for method in ("flexmatch", "mixmatch"):
        assert seen[method][:2] == seen["fixmatch"][:2], "logits and softmax are the network's alone"
        assert seen[method][2] != seen["fixmatch"][2]
    assert seen["flexmatch"][4] != seen["mixmatch"][4] or seen["flexmatch"][3] != seen["mixmatch"][3]


def test_the_temperature_sharpens_and_its_ends_are_exact(store: Store) -> None:
    fill(store, ev.FINISHED, "mixmatch")
    at = page(**{"views.2": "1"})  # one view has one largest class; the mean of made-up ones may have two
    before, _ = entropy(at)
    found = {}
    for temperature in (0.0, 0.25, 1.0, 2.0):
        at.slider(key="temperature.0.5").set_value(temperature).run()
        assert not at.exception
        found[temperature] = entropy(at)
        assert found[temperature][0] == before, "the mean before sharpening doesn't change"
    assert found[0.0][1] == 0 < found[0.25][1] < found[1.0][1] == before < found[2.0][1]
    target = [row["end"] for row in bars(at)[3]]
    at.slider(key="temperature.0.5").set_value(0.0).run()
    hard = [row["end"] for row in bars(at)[3]]
    assert sorted(hard) == [0.0] * (CLASSES - 1) + [1.0] and np.argmax(hard) == np.argmax(target)


def test_the_state_of_the_page_is_in_the_url(store: Store) -> None:
    fill(store, ev.FINISHED, "fixmatch")
    other = fill(store, ev.FINISHED, "mixmatch")
    at = page(run=other, image="9", reveal="true", **{"step.80": "0", "box.mixmatch": "FixMatch", "tau.0.95": "0.3"})
    assert "Shown: step **0**" in words(at) and "Truth: **9**" in words(at)
    assert at.slider(key="tau.0.95").value == 0.3 and at.get_by_key("box.mixmatch").value == "fixmatch"
    assert at.get_by_key("pick_run").value == other


def test_an_address_of_a_run_that_is_gone_says_so(store: Store) -> None:
    fill(store, ev.FINISHED)
    assert [warning.value.replace("\\", "") for warning in page(run="nope").warning] == [
        "There is no run nope in this folder: it was deleted, or the address belongs to another lab. Another run is shown."
    ]
    assert not page().warning


def test_the_truth_is_hidden_until_asked_for(store: Store) -> None:
    fill(store, ev.FINISHED)
    at = page()
    assert "Truth: hidden" in words(at) and all(cell["right"] is None for cell in strip(at))
    at.toggle(key="reveal").set_value(True).run()
    assert "Truth: **0**" in words(at) and all(cell["right"] is not None for cell in strip(at))


def test_the_strip_shows_what_the_gate_keeps(store: Store) -> None:
    run_id = fill(store, ev.FINISHED, "fixmatch")
    at = page()
    frame = keyframes.load(store.folder(run_id), 80)
    for tau in (0.0, 0.6, 1.0):
        at.slider(key="tau.0.95").set_value(tau).run()
        assert [cell["kept"] for cell in strip(at)] == (frame["weak_probs"].max(axis=1) >= tau).tolist()


def test_the_sandbox_answers_with_the_right_numbers(store: Store) -> None:
    run_id = fill(store, ev.FINISHED, "fixmatch")
    add_test_set(store, run_id, 80)
    at = page(exhibit=SANDBOX)
    frame = keyframes.probe(store.folder(run_id)) | keyframes.load(store.folder(run_id), 80)
    for which, total in (("probe", PROBES), ("test", 360)):
        at.get_by_key("of").set_value(which).run()
        found = sandbox.from_keyframe(frame, which)
        assert found is not None
        for tau in (0.5, 0.9):
            at.slider(key="tau.0.95").set_value(tau).run()
            result = sandbox.outcome(found, np.full(CLASSES, tau))
            assert metrics(at)[f"Kept of {total}"] == f"{result.kept:,}"
            assert metrics(at)["Purity"] == f"{100 * (result.purity or 0):.1f} %"
    expected = sandbox.expected_wrong(result, 360, 1000)
    assert expected is not None and metrics(at)["Wrong labels"] == str(round(expected[0]))


def test_the_sandboxs_flexmatch_uses_the_runs_own_records(store: Store) -> None:
    run_id = fill(store, ev.FINISHED, "flexmatch")
    add_test_set(store, run_id, 80)
    at = page(exhibit=SANDBOX)
    frame = keyframes.probe(store.folder(run_id)) | keyframes.load(store.folder(run_id), 80)
    probe = sandbox.from_keyframe(frame, "probe")
    assert probe is not None
    counts = frame["count"].astype(float)
    kept = sandbox.outcome(probe, sandbox.flex_thresholds(counts, 0.95, "convex", True)).kept
    assert metrics(at)["Kept of 64"] == str(kept)
    at.get_by_key("mapping.convex").set_value("concave").run()
    assert (
        metrics(at)["Kept of 64"]
        == f"{sandbox.outcome(probe, sandbox.flex_thresholds(counts, 0.95, 'concave', True)).kept}"
    )
    at.get_by_key("status").set_value("counted").run()
    counted = sandbox.learning_status(probe, 0.95)
    assert (
        metrics(at)["Kept of 64"]
        == f"{sandbox.outcome(probe, sandbox.flex_thresholds(counted, 0.95, 'concave', True)).kept}"
    )


def test_thresholds_can_be_set_class_by_class(store: Store) -> None:
    fill(store, ev.FINISHED, "supervised")
    at = page(exhibit=SANDBOX)
    at.get_by_key("gate.fixmatch").set_value("hand").run()
    sliders = [slider for slider in at.slider if (slider.key or "").startswith("hand.")]
    assert len(sliders) == CLASSES
    for slider in sliders:
        slider.set_value(0.0)
    at.run()
    assert metrics(at)["Coverage"] == "100.0 %" and not at.exception


def test_a_run_of_a_hundred_classes_fits(store: Store) -> None:
    from tests.fill_store import add_keyframe

    run_id = fill(store, ev.FINISHED, "fixmatch", frames=False)
    names = [f"class <{c}>" for c in range(100)]
    store.update(run_id, summary=store.run(run_id).summary | {"class_names": names})
    add_keyframe(store.folder(run_id), 80, "fixmatch", classes=100)
    at = page()
    assert len(bars(at)[0]) == 10 and len(bars(at)[1]) == 11 and "others" in bars(at)[1][-1]["name"]
    at = page(exhibit=SANDBOX, **{"gate.fixmatch": text_pseudo.GATES["hand"]})
    assert 0 < len([slider for slider in at.slider if (slider.key or "").startswith("hand.")]) <= 10


def test_any_image_of_the_pool_at_a_kept_checkpoint(store: Store) -> None:
    run_id = store.create(presets.build("smoke", "fixmatch", {"train.threads": 1}))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    Stay(store, run_id).advance(threading.Event())
    store.move(run_id, ev.FINISHED, only_from=ev.ACTIVE)
    at = page(source=text_pseudo.SOURCES["pool"])
    total = store.run(run_id).summary["num_unlabeled"]
    first = bars(at)
    at.number_input(key=f"pool.{total}").set_value(total - 1).run()
    assert not at.exception and bars(at)[0] != first[0]
    assert len(strip(at)) == (total - 1) % 64 + 1
    before = bars(at)
    at.number_input(key="draw").set_value(3).run()
    assert bars(at)[0] != before[0], "other views, other logits"
    at.get_by_key("box.fixmatch").set_value("mixmatch").run()
    assert at.slider(key="views.8").max == 8
    (store.folder(run_id) / "last.pt").write_bytes(b"")
    for path in store.folder(run_id).glob("step-*.pt"):
        path.write_bytes(b"")
    at = page(source=text_pseudo.SOURCES["pool"])
    assert "can't be read" in at.error[0].value.replace("\\", "")


def test_a_run_with_every_label_has_a_probe_of_labelled_images(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference that the others are measured against; there is no unlabelled image to look at."""
    monkeypatch.setenv("SSLLAB_DATA", str(store.root / "data"))
    monkeypatch.setattr(data, "_recent", OrderedDict())
    monkeypatch.setattr(shapes, "TRAIN", 20)
    monkeypatch.setattr(shapes, "TEST", 10)
    small = {"data.labels": 20, "train.steps": 2, "train.evals": 1, "model.width": 8}
    run_id = store.create(presets.build("shapes-lesson", "supervised", small))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    assert Stay(store, run_id).advance(threading.Event()) == ev.FINISHED
    store.move(run_id, ev.FINISHED, only_from=ev.ACTIVE)
    assert store.run(run_id).summary["num_unlabeled"] == 0
    assert len(keyframes.load(store.folder(run_id), 2)["weak_probs"]) == 20
    at = page(source=text_pseudo.SOURCES["pool"])
    told = [part.value for part in at.caption]
    assert text_pseudo.NO_POOL in told and any(text_pseudo.ALL_LABELLED in one for one in told) and len(strip(at)) == 20
    at = page(exhibit=SANDBOX)
    assert metrics(at)["Wrong labels"] == "\u2013" and at.get_by_key("of").options[0].startswith("Labelled images")
    at = page()
    at.query_params["select"], at.query_params["ask"] = run_id, text_images.ASK["pseudo"]
    at.switch_page("views/runs.py").run()
    assert not at.exception and any("it has no pool to give pseudo" in one.value for one in at.info)
    for view, title in (("views/time.py", "eight labelled images"), ("views/train.py", "Labelled images, as")):
        at = at.switch_page(view).run()
        told = words(at) + "".join(part.help for part in at.markdown)
        assert not at.exception and title in told and text.SHEET_TEXT["labelled"] in told


def test_the_image_that_the_model_is_least_sure_of_is_a_click_away(store: Store) -> None:
    run_id = fill(store, ev.FINISHED)
    sure = keyframes.load(store.folder(run_id), 80)["weak_probs"].max(axis=1)
    at = page(image=str(int(sure.argmax())))
    at.button(key="unsure").click().run()
    assert not at.exception and at.number_input(key="image").value == int(sure.argmin())
    assert f"confidence **{sure.min():.3f}**" in words(at)


def test_typed_names_are_only_text(store: Store) -> None:
    name = "<b>x</b> [l](javascript:a) $y$"
    run_id = fill(store, ev.FINISHED, name=name)
    store.update(run_id, summary=store.run(run_id).summary | {"class_names": [name] * CLASSES})
    at = page(reveal="true", **{"box.flexmatch": "FixMatch"})
    ours = re.sub(r"\$z\$|\$\\mathbf\{[-\d.]+\}\$", "", words(at))  # formulas of the page itself
    assert "<b>" not in ours and "](" not in ours and "$" not in ours.replace("\\$", "")
    assert not at.exception


def test_the_slider_of_a_run_that_has_ended_stops_at_its_newest_keyframe(store: Store) -> None:
    run_id = fill(store, ev.STOPPED, points=20)
    assert page(run=run_id).slider(key="step.40").max == 40
    paused = fill(store, ev.PAUSED, points=20)
    assert page(run=paused).slider(key="step.80").max == 80
    begun = fill(store, ev.FAILED, points=0)
    at = page(run=begun)
    assert not any(slider.label == "Step" for slider in at.slider) and not at.exception
