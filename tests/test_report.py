"""The HTML report: one file that needs nothing else, with every number and what it must be told with, and no markup from typed words."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sslcore import events as ev
from sslcore import keyframes, palette, presets
from sslcore.config import METHOD_NAMES
from sslcore.presets import reproduce
from sslcore.report import html_report
from sslcore.report_charts import esc
from sslcore.report_parts import duration
from sslcore.store import Store, StoreError
from tests.fill_store import fill

EVIL = "<script>alert(1)</script> & \"quoted\" 'x' <img src=x onerror=y>"
VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Demands that every element is closed by its own end, and keeps what was met."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.met.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.met.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Balanced:
    found = Balanced()
    found.feed(page)
    assert found.open == []
    tags = {tag for tag, _ in found.met}
    assert not tags & {"script", "img", "link", "iframe", "object", "a"}, "nothing is loaded and nothing runs"
    for _, attributes in found.met:
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "href")}
    assert not re.findall(r"url\(|@import", page)
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ET.fromstring(svg)
    return found


def evaluated(store: Store, run_id: str, classes: int = 10, step: int = 80) -> np.ndarray:
    """Add what an evaluation adds to a keyframe; returns the confusion matrix."""
    generator = np.random.default_rng(1)
    matrix = generator.integers(0, 4, (classes, classes)).astype(np.int32) + 30 * np.eye(classes, dtype=np.int32)
    folder = store.folder(run_id)
    keyframes.write(folder, step, keyframes.load(folder, step) | {"confusion": matrix})
    return matrix


@pytest.mark.parametrize("state", ev.STATES)
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_run_in_any_state(tmp_path: Path, state: str, method: str) -> None:
    store = Store(tmp_path)
    run_id = fill(store, state, method)
    store.reconcile()
    found = read(html_report(store, [run_id]))
    assert (
        state in found.text
        and run_id in found.text
        and esc(reproduce(store.run(run_id))) in html_report(store, [run_id])
    )
    if state != ev.QUEUED:
        titles = (
            "Losses",
            "Accuracy",
            *(("Pseudo-labels",) if method != "supervised" else ()),
            *(("Class thresholds",) if method == "flexmatch" else ()),
        )
        labels = [
            attributes["aria-label"] or ""
            for tag, attributes in found.met
            if tag == "svg" and "aria-label" in attributes
        ]
        assert [label.split(":")[0] for label in labels] == list(titles)
        assert "97.12 %" in found.text and "96.54 %" in found.text


def test_every_number_is_told_with_what_it_needs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = fill(
        store,
        ev.FINISHED,
        "flexmatch",
        config=presets.build("smoke", "flexmatch", {"train.steps": "80", "data.val": "30", "train.seed": "3"}),
    )
    store.update(
        run_id,
        summary=store.run(run_id).summary
        | {"best_val_accuracy": 0.95, "best_step": 70, "test_accuracy_at_best": 0.9511},
    )
    matrix = evaluated(store, run_id)
    found = read(html_report(store, [run_id]))
    for words in (
        "FlexMatch on Digits (made up), 20 labels, seed 3, 80 steps",
        "CPU, 2 threads",
        "95.11 %",
        "validation 95.00 % at step 70",
        "at step 80",
        "One run with one seed",
    ):
        assert words in found.text, words
    assert "papers" not in found.text
    for c in range(10):
        assert f"{100 * matrix[c, c] / matrix[c].sum():.1f} %" in found.text


def test_times_are_written_to_the_nearest_second_from_a_minute_on() -> None:
    told = {0.04: "0.0 s", 59.94: "59.9 s", 61.6: "1 min 02 s", 3599.6: "1 h 00 min", 7505.0: "2 h 05 min"}
    assert {seconds: duration(seconds) for seconds in told} == told


def test_a_runs_speed_its_newest_values_and_what_is_unlike_its_preset(tmp_path: Path) -> None:
    store = Store(tmp_path)
    page = html_report(store, [fill(store, ev.FINISHED, "fixmatch")])  # 80 steps of 50 images in 1.6 seconds
    assert "<dt>Speed</dt><dd>20.0 ms per step, 2,500 images per second</dd>" in page
    assert "<h4>Mask rate</h4><b>90.0 %</b>" in page and "<h4>Purity</h4><b>95.0 %</b>" in page
    assert re.findall(r"<div class=own><dt>(.*?)</dt><dd>(.*?)</dd>", page) == [("train.steps", "80")]


def test_of_a_long_history_the_first_and_the_last_thirty_are_shown(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = store.create(presets.build("smoke"), preset="smoke")  # "queued" is its first event
    for number in range(1, 60):
        store.add_event(run_id, number, f"happened{number}", {})
    assert len(re.findall(r"<td>happened\d+</td>", html_report(store, [run_id]))) == 59
    for number in range(60, 70):
        store.add_event(run_id, number, f"happened{number}", {})
    page = html_report(store, [run_id])
    shown = [int(number) for number in re.findall(r"<td>happened(\d+)</td>", page)]
    assert shown == [*range(1, 30), *range(40, 70)] and "… 10 more …" in page


def test_of_many_class_thresholds_the_lowest_and_the_highest_are_drawn(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = fill(store, ev.RUNNING, "flexmatch", points=0)
    store.update(run_id, summary=store.run(run_id).summary | {"class_names": [f"kind {c}" for c in range(30)]})
    heights = np.random.default_rng(0).permutation(30) / 30
    store.log(run_id, [], [ev.ArrayPoint("flex/threshold", step, 1.0, heights * step / 9) for step in (1, 9)])
    page = html_report(store, [run_id])
    (chart,) = re.findall(r"<h3>Class thresholds</h3>.*?</figure>", page, flags=re.DOTALL)
    order = np.argsort(heights)
    shown = [int(c) for c in re.findall(r"</svg> kind (\d+)</li>", chart)]
    assert shown == sorted([*order[:5], *order[-5:]]) and "Of 30 classes, the lowest and highest are shown." in chart


def test_the_confusion_matrix_has_the_truth_in_its_rows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = fill(store, ev.FINISHED, "fixmatch")
    evaluated(store, run_id, step=0)
    matrix = evaluated(store, run_id) + np.triu(np.full((10, 10), 3, np.int32))  # unlike its mirror image
    folder = store.folder(run_id)
    keyframes.write(folder, 80, keyframes.load(folder, 80) | {"confusion": matrix})
    page = html_report(store, [run_id])
    assert "Test images at step 80" in page, "the newest keyframe"
    (table,) = re.findall(r"<table class='matrix.*?</table>", page, flags=re.DOTALL)
    rows = re.findall(r"<tr><th scope='row'>(\d)</th>(.*?)</tr>", table)
    assert [int(name) for name, _ in rows] == list(range(10)) and (matrix == 0).any()
    for c, (_, cells) in enumerate(rows):
        found = re.findall(r"<td class='(right|wrong)'(?: style='--p:(\d+)%')?>(\d+|·)</td>", cells)
        assert [kind == "right" for kind, _, _ in found] == [k == c for k in range(10)]
        assert [0 if count == "·" else int(count) for _, _, count in found] == matrix[c].tolist()
        shares = [round(100 * count / matrix[c].sum()) for count in matrix[c].tolist()]
        assert [int(share or 0) for _, share, _ in found] == shares


def test_photographs_are_told_with_the_share_of_the_papers_steps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = store.create(presets.build("cifar10-tutorial", "fixmatch"), preset="cifar10-tutorial")
    for step, words in (
        (20 * 1024, "20,480 (2 % of the papers' 2^20)"),
        (10 * 1024, "10,240 of 20,480 (0.98 % of the papers' 2^20)"),
    ):
        store.update(run_id, step=step)
        assert f", {words} steps" in read(html_report(store, [run_id])).text


def test_typed_words_are_only_words(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_ids = [fill(store, ev.FAILED, "flexmatch", name=EVIL) for _ in range(2)]
    for run_id in run_ids:
        names = [f"{EVIL} {c}" for c in range(10)]
        store.update(
            run_id,
            note=EVIL,
            error=EVIL,
            summary=store.run(run_id).summary
            | {"class_names": names, "title": EVIL, "notes": [EVIL], "device_name": EVIL, "device": "cuda"},
        )
        store.add_event(run_id, 3, EVIL, {EVIL: EVIL})
        store.add_event(run_id, 3, "set", {EVIL: EVIL})
        evaluated(store, run_id)
    for ids in (run_ids[:1], run_ids):
        page = html_report(store, ids)
        assert EVIL in read(page).text and "<script" not in page and "onerror=y>" not in page


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ids = [fill(store, ev.FINISHED, method, name="the same name") for method in ("fixmatch", "flexmatch", "mixmatch")]
    page = html_report(store, [*ids, ids[0]])
    found = read(page)
    assert "3 runs compared" in found.text
    for run_id in ids:
        assert f"the same name ({run_id})" in found.text and esc(reproduce(store.run(run_id))) in page
    head, _, rest = page.partition("Settings that differ")
    differ, _, same = rest.partition("Settings that all of them share")
    assert "optim.lr<" in differ and "train.seed" not in differ, (
        "MixMatch's Adam has another rate; the seed is the same"
    )
    assert "train.seed" in same.split("</dl>")[0] and "optim.lr<" not in same.split("</dl>")[0]
    accuracy = re.search(r"<figure><figcaption><h3>Test accuracy, EMA.*?</figure>", head, flags=re.DOTALL)
    assert accuracy and accuracy[0].count("<li>") == 3
    for method in ("fixmatch", "flexmatch", "mixmatch"):
        assert palette.METHOD_COLORS[method] in accuracy[0], "a method has its colour here too"
    mask = re.search(r"<figure><figcaption><h3>Mask rate.*?</figure>", head, flags=re.DOTALL)
    assert mask and mask[0].count("<li>") == 2, "MixMatch keeps all: it has no mask rate"


def test_of_many_classes_the_extremes_are_shown(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = fill(store, ev.FINISHED, "fixmatch")
    store.update(run_id, summary=store.run(run_id).summary | {"class_names": [f"kind {c}" for c in range(30)]})
    matrix = evaluated(store, run_id, classes=30)
    page = html_report(store, [run_id])
    found = read(page)
    recall = np.diagonal(matrix) / matrix.sum(axis=1)
    shown = re.findall(r"<th scope='row'>kind (\d+)</th><td class='bar'>.*?>(\d+\.\d) %", page)
    lowest = np.argsort(recall, kind="stable")[:10].tolist()
    assert [int(c) for c, _ in shown[:10]] == lowest and len(shown) == 15
    assert [float(share) for _, share in shown[:10]] == pytest.approx((100 * recall[lowest]).tolist(), abs=0.06)
    wrong = matrix - np.diag(np.diagonal(matrix))
    worst = int(wrong.argmax())
    assert f"kind {worst // 30}kind {worst % 30}{wrong.max()}" in found.text


def test_settings_of_another_version_are_no_failure(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = fill(store, ev.FINISHED, "fixmatch")
    store.update(run_id, config=store.run(run_id).config | {"later": {"knob": 1}})
    assert "No command of this version reproduces this run" in read(html_report(store, [run_id])).text


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nobody"):
        html_report(Store(tmp_path), ["nobody"])
