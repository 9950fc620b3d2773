"""The gallery's filters and the images behind a cell of the confusion matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard import cell_images, gallery, queries
from sslcore import events as ev
from sslcore import presets
from sslcore.lab import Lab
from tests.fill_store import fill

IMAGES = 40
GENERATOR = np.random.default_rng(0)
FRAME: dict[str, np.ndarray] = {
    "pseudo": GENERATOR.integers(0, 4, IMAGES),
    "unlabeled_truth": GENERATOR.integers(-1, 4, IMAGES),
    "mask": GENERATOR.integers(0, 2, IMAGES).astype(np.uint8),
    "weak_probs": GENERATOR.dirichlet(np.ones(4), IMAGES),
    "weak_images": np.zeros((IMAGES, 2, 2, 1), np.uint8),
    "strong_images": np.zeros((IMAGES, 2, 2, 1), np.uint8),
}


def kept(i: int) -> bool:
    return bool(FRAME["mask"][i])


def wrong(i: int) -> bool:
    return FRAME["unlabeled_truth"][i] >= 0 and FRAME["pseudo"][i] != FRAME["unlabeled_truth"][i]


def test_every_filter_is_what_it_says() -> None:
    everything = list(range(IMAGES))
    assert gallery.order(FRAME, "all") == everything
    assert gallery.order(FRAME, "kept") == [i for i in everything if kept(i)]
    assert gallery.order(FRAME, "dropped") == [i for i in everything if not kept(i)]
    assert gallery.order(FRAME, "wrong") == [i for i in everything if wrong(i)]  # an unknown truth is not wrong
    assert gallery.order(FRAME, "kept", 2) == [i for i in everything if kept(i) and FRAME["pseudo"][i] == 2]


def test_kept_and_wrong_come_first_the_surest_of_them_at_the_top() -> None:
    found = gallery.order(FRAME, "first")
    expected = sorted(
        range(IMAGES),
        key=lambda i: ((not (kept(i) and wrong(i))), not kept(i), not wrong(i), -FRAME["weak_probs"][i].max()),
    )
    assert found == expected and kept(found[0]) and wrong(found[0])


def test_only_images_whose_views_were_kept_are_shown() -> None:
    few = {**FRAME, "weak_images": FRAME["weak_images"][:16]}
    assert gallery.order(few, "all") == list(range(16))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ev.Run]:
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    monkeypatch.setattr(cell_images, "_failed", {})
    yield queries.store().run(fill(queries.store(), ev.FINISHED, config=presets.build("smoke", "fixmatch")))


def digits_frame(run: ev.Run) -> dict[str, np.ndarray]:
    from sslcore import config as cfg
    from sslcore import data

    labels = data.load(cfg.from_dict(run.config).data).test_labels.numpy()
    taken = labels.copy()
    taken[np.flatnonzero(labels == 3)[:4]] = 8
    return {"test_truth": labels, "test_pred": taken}


def test_a_cell_opens_the_very_images_that_are_counted_in_it(run: ev.Run) -> None:
    from sslcore import data
    from sslcore.config import DataConfig

    frame = digits_frame(run)
    places = cell_images.in_cell(frame, 3, 8)
    assert len(places) == 4 and set(frame["test_truth"][places]) == {3}
    found = cell_images.pictures(run, frame, places)
    assert np.array_equal(found, data.load(DataConfig()).test_images.numpy()[places])


def test_data_that_has_changed_since_the_run_is_refused(run: ev.Run) -> None:
    frame = digits_frame(run)
    frame["test_truth"] = frame["test_truth"][:-1]
    found = cell_images.pictures(run, frame, np.arange(3))
    assert isinstance(found, str) and "no longer the one" in found


def test_data_that_is_gone_is_one_sentence_and_is_not_looked_for_at_every_tick(
    run: ev.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config: dict[str, Any] = {**run.config, "data": {**run.config["data"], "source": f"folder:{tmp_path / 'gone'}"}}
    gone = dataclasses.replace(run, config=config)
    asked: list[int] = []
    read = cell_images._test_part
    monkeypatch.setattr(cell_images, "_test_part", lambda key: (asked.append(1), read(key))[1])
    found = [cell_images.pictures(gone, digits_frame(run), np.arange(3)) for _ in range(3)]
    assert len(set(map(str, found))) == 1 and str(found[0]).startswith("The test images of this run can't be shown: ")
    assert len(asked) == 1
