"""The Images page and the questions to a run on the Runs page, through Streamlit's test driver; with real checkpoints on the digits."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import asking, own_images, queries
from dashboard import text_images as words
from sslcore import checkpoint, data, presets
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.config import DataConfig
from sslcore.lab import Lab
from sslcore.store import Store
from sslcore.trainer import Trainer
from tests.fill_store import fill
from tests.pages import opened

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = "<b>x</b> :red[r] $y$"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store that the page reads, and a data folder of its own; nothing trains."""
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path / "runs"))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    monkeypatch.setattr(Lab, "warm_up", lambda self, then: None)
    config.set_option("server.enableStaticServing", True)
    yield queries.store()


@pytest.fixture
def asked(store: Store) -> str:
    """A finished run with a real checkpoint."""
    trainer = Trainer(presets.build("smoke", "fixmatch"), data.load(DataConfig()), torch.device("cpu"))
    trainer.train_step()
    made = fill(store, ev.FINISHED, "fixmatch", points=2, frames=False)
    checkpoint.save(store.folder(made), trainer.state_dict())
    return made


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own") / "pets"
    chance = np.random.default_rng(0)
    for name, count in ((HOSTILE.replace("/", "_"), 12), ("dog", 3)):
        (root / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(chance.integers(0, 256, (9, 9, 3)).astype(np.uint8)).save(root / name / f"{k}.png")
    (root / "dog" / "bad.jpg").write_bytes(b"\xff\xd8")
    return root


def page(view: str, **params: str) -> AppTest:
    return opened(f"views/{view}.py", **params)


def said(at: AppTest) -> str:
    parts = (*at.markdown, *at.caption, *at.info, *at.warning, *at.success, *at.error)
    return "\n".join(str(part.value) for part in parts)


def pictures(at: AppTest) -> list[str]:
    """What is said of each picture for people who can't see it."""
    return [image.alt for part in at.get("image") for image in part.proto.imgs]


def links(at: AppTest) -> list[Any]:
    return [part.proto for part in at.get("page_link")]


def test_without_images_it_says_how_a_folder_must_look(store: Store) -> None:
    at = page("images")
    assert "pets/cat/1.jpg" in "".join(part.proto.body for part in at.get("html")) and not at.error


def test_a_folder_with_its_warnings_and_its_links(store: Store, pets: Path) -> None:
    at = page("images", images_folder=str(pets), images_size="9")
    told = said(at)
    assert r"Fewer than 10 labelled training images in\: dog \(2\), \<b\>x\<\_b\> \:red\[r\]" not in told
    assert "dog \\(2\\)" in told and "1 file could not be read as an image" in told
    assert "12 labelled training images" in told and "3 test images" in told and "Folder pets" in told
    assert "<b>" not in told.replace("\\<b\\>", "")
    (train, curves) = [link for link in links(at) if link.label in (words.TO_TRAIN, words.TO_CURVES)]
    assert (
        "sweep=CIFAR-10+curve" in curves.query_string
        and "photos-curve.counts=2%2C4%2C8" in curves.query_string
        and "more=data.image_size%3D9" in curves.query_string
    )
    assert train.page_script_hash and "folder=" in train.query_string and "data.image_size=9" in train.query_string
    nowhere = page("images", images_folder="/not/here <b>")
    assert "There is no folder /not/here".replace("/", "\\/") in said(nowhere)


@pytest.mark.parametrize(
    ("source", "total", "labels", "counts"),
    [("folder:/x", 600, "30", "3,6,12,30,120"), ("folder:/x", 36, "12", "3,6,12"), ("folder:/x", 3, "3", "3")],
)
def test_own_images_begin_with_the_lesson_for_photos_and_with_labels_that_they_have(
    source: str, total: int, labels: str, counts: str
) -> None:
    pictures = torch.zeros(total, 8, 8, 1, dtype=torch.uint8)
    kinds = torch.arange(total) % 3
    images = replace(
        data.load(DataConfig()), source=source, class_names=("a", "b", "c"), train_images=pictures, train_labels=kinds,
        test_images=pictures[:3], test_labels=kinds[:3],
    )  # fmt: skip
    train, curves = own_images.train_params(images, 32), own_images.curve_params(images, 32)
    assert train == {
        "preset": "Photos lesson",
        "photos-lesson.data": "My own folder",
        "folder": "/x",
        "photos-lesson.labels": labels,
    }
    assert curves == {
        "sweep": "CIFAR-10 curve",
        "photos-curve.data": "My own folder",
        "folder": "/x",
        "photos-curve.counts": counts,
    }
    assert "--preset photos-lesson --data folder:/x" in own_images.command(images, 32, ())


def test_a_zip_is_unpacked_and_shown_or_refused_in_one_sentence(store: Store, pets: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for path in pets.rglob("*.*"):
            file.write(path, path.relative_to(pets).as_posix().replace("<", "").replace(">", "").replace(":", ""))
    at = page("images", images_from=words.FROM["zip"])
    at.file_uploader[0].upload("mine.zip", b"PK no zip", "application/zip").run()
    assert "not a complete zip" in at.error[0].value and not links(at)
    at.file_uploader[0].upload("mine.zip", packed.getvalue(), "application/zip").run()
    assert not at.exception and not at.error
    assert "Folder mine" in said(at) and at.selectbox(key="images_from").value == "folder"
    assert Path(at.text_input(key="images_folder").value).name == "mine"


def test_labels_by_hand_lead_to_a_run_that_keeps_them(store: Store) -> None:
    """Fill in typical ones, drop one, click another: the Train page gets a config with exactly these."""
    at = page("images", images_from="Digits")
    assert words.CHOSEN_NONE in said(at)
    at.selectbox(key="hand_begin").set_value("typical")
    at.button(key="hand_fill").click().run()
    images = data.load(DataConfig())
    typical = own_images.suggest(images, "typical", 1)
    assert at.query_params["hand"] in (",".join(map(str, typical)), [",".join(map(str, typical))])
    assert "10 chosen: 1 of each class" in said(at)
    assert words.TO_TRAIN_HAND in [link.label for link in links(at)]
    params = own_images.train_params(images, 32, typical)
    assert params == {
        "data": "Digits",
        "data.pick": "by-hand",
        "data.hand": ",".join(map(str, typical)),
        "labels": "10",
    }
    form = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    for name, value in params.items():
        form.query_params[name] = value
    form.run().button(key="start").click().run()
    (run,) = queries.runs()
    assert (
        run.config["data"]["pick"] == "by-hand"
        and run.config["data"]["hand"] == params["data.hand"]
        and run.labels == 10
    )
    trainer = Trainer(cfg.from_dict(run.config), images, torch.device("cpu"))
    assert trainer.split.labeled.tolist() == sorted(typical)


@pytest.mark.parametrize(
    ("hand", "told"),
    [
        ("1,x", "whole numbers such as 3,17,204"),
        ("0,99999", "training images from 0 to 1,436, got 99,999"),
        ("0,1", "No image yet of: "),
    ],
)
def test_a_choice_in_the_address_that_can_not_be(store: Store, hand: str, told: str) -> None:
    at = page("images", images_from="Digits", hand=hand)
    assert told in said(at).replace("\\", "")
    assert [link.label for link in links(at)] == [words.TO_TRAIN, words.TO_CURVES]


def test_dropped_pictures_are_answered_as_the_engine_does(store: Store, asked: str) -> None:
    at = page("runs", select=asked, ask=words.ASK["pictures"])
    images = data.load(DataConfig())
    out = io.BytesIO()
    Image.fromarray(images.test_images[7].numpy()[..., 0]).save(out, "PNG")
    uploader = next(part for part in at.file_uploader if part.key == "ask_files")
    uploader.set_value(
        [("<b>seven</b>.png", out.getvalue(), "image/png"), ("bad.png", b"no picture", "image/png")]
    ).run()
    assert not at.exception, at.exception
    model = asking.labeller(store.folder(asked) / "last.pt")
    probs = asking.probs(model, images.test_images[7].numpy())
    best = int(probs.argmax())
    told = said(at)
    assert f"**{words.NOT_SURE}**" in told and f"{100 * probs[best]:.1f} %" in told
    assert "\\<b\\>seven" in told and "not a picture that can be read" in told
    at.slider(key="sure").set_value(0.0).run()
    assert f"**{best}** · " in said(at) and f"**{words.NOT_SURE}**" not in said(at)


def test_what_to_label_next_and_the_pseudo_labels(store: Store, asked: str) -> None:
    at = page("runs", select=asked, ask=words.ASK["next"], next_count="9")
    strips = [about for about in pictures(at) if about.startswith("Unlabelled images that the run is not sure of")]
    assert not at.error and len(strips) == 3 and sum(about.count(" %") for about in strips) == 9
    model = asking.labeller(store.folder(asked) / "last.pt")
    assert asking.next_csv(model, 9, True).count("\r\n") == 10
    at = page("runs", select=asked, ask=words.ASK["pseudo"], sure="0.0")
    assert "**1,437** of the 1,437 images" in said(at)
    assert asking.pseudo_csv(model, 0.0).splitlines()[1].startswith("digits/train/0,")


def test_a_run_without_a_checkpoint_can_not_be_asked_yet(store: Store) -> None:
    at = page("runs", select=fill(store, ev.RUNNING, frames=False))
    assert words.ASK_NOT_YET in said(at)


def test_likeliest_classes_come_first() -> None:
    rows = asking.bars_of(np.array([0.1, 0.6, 0.3], np.float32), ("a", "b", "c"), 0.5)
    assert [row.name for row in rows] == ["b", "c", "a"] and rows[0].strong and all(row.tick == 0.5 for row in rows)
