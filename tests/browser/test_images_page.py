"""Pictures of one's own in a real Chromium: dropped on a run and answered; labelled by a click and trained with."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dashboard import text_images as words
from sslcore import checkpoint, data, presets
from sslcore import events as ev
from sslcore.config import DataConfig
from sslcore.store import Store
from sslcore.trainer import Trainer
from tests.fill_store import fill

Tab = Callable[..., Any]


@pytest.fixture(scope="module")
def run_id(store: Store) -> str:
    """A finished run on the digits with a real checkpoint."""
    trainer = Trainer(presets.build("smoke", "fixmatch"), data.load(DataConfig()), torch.device("cpu"))
    trainer.train_step()
    made = fill(store, ev.FINISHED, "fixmatch", points=2, frames=False)
    checkpoint.save(store.folder(made), trainer.state_dict())
    return made


def text(page: Any) -> str:
    return str(page.locator("[data-testid=stMain]").inner_text())


def until(condition: Callable[[], Any], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_a_dropped_picture_is_answered_and_the_slider_decides_what_is_sure(
    tab: Tab, url: str, run_id: str, tmp_path: Path
) -> None:
    digit = tmp_path / "digit.png"
    Image.fromarray(data.load(DataConfig()).test_images[5].numpy()[..., 0]).save(digit)
    (tmp_path / "none.png").write_bytes(b"no picture")
    page = tab(f"{url}runs?select={run_id}&ask=Your+pictures")
    field = page.locator(".st-key-ask_files input[type=file]")
    field.wait_for(state="attached")
    field.set_input_files([str(digit), str(tmp_path / "none.png")])
    until(lambda: page.locator(".st-key-ask_0 .ssl-bars .row").count() == 5)
    until(lambda: "not a picture that can be read" in text(page) and words.NOT_SURE in text(page))
    slider = page.locator(".st-key-sure input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    until(lambda: words.NOT_SURE not in text(page) and "sure=0" in page.url)
    assert page.locator(".st-key-ask_0 .ssl-bars .row.strong .value").inner_text().endswith("%")


def test_a_click_labels_an_image_and_the_train_page_begins_with_it(tab: Tab, url: str) -> None:
    page = tab(f"{url}images?images_from=Digits")
    page.get_by_role("button", name="Fill in").click()
    until(lambda: "10 chosen: 1 of each class" in text(page))
    strip = page.locator(".st-key-hand_strip button")
    until(lambda: strip.count() == 64)
    fresh = page.locator(".st-key-hand_strip button:not(.kept)").first
    number = fresh.get_attribute("aria-label").removeprefix("image ")
    fresh.click()
    until(lambda: "11 chosen: 1 to 2 of each class" in text(page) and f"%2C{number}" in page.url)
    link = page.get_by_role("link", name=words.TO_TRAIN_HAND)
    until(lambda: "labels=11" in str(link.get_attribute("href")))  # it is drawn after the sentence
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")  # and could be drawn anew under the click
    link.click()
    until(
        lambda: (
            page.locator(".st-key-labels input").count() and page.locator(".st-key-labels input").input_value() == "11"
        )
    )
    assert "by-hand" in page.url
    until(lambda: page.get_by_role("button", name="Start").is_enabled())


def test_images_are_labelled_by_the_keyboard(tab: Tab, url: str) -> None:
    page = tab(f"{url}images?images_from=Digits")
    strip = page.locator(".st-key-hand_strip [role=option]")
    until(lambda: strip.count() == 64)
    assert strip.evaluate_all("all => all.filter(one => one.tabIndex === 0).length") == 1, "one stop for Tab"
    strip.first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    chosen = page.locator(".st-key-hand_strip [aria-selected=true]")
    until(lambda: chosen.count() == 1)
    at = strip.evaluate_all("all => all.findIndex(one => one.ariaSelected === 'true')")
    across = page.locator(".ssl-strip").evaluate("node => getComputedStyle(node).gridTemplateColumns.split(' ').length")
    assert at == across
    assert chosen.evaluate("node => node.getRootNode().activeElement === node"), "the focus stays where it was"


def test_a_phone_shows_how_a_folder_must_look_without_scrolling_sideways(tab: Tab, url: str) -> None:
    page = tab(f"{url}images", viewport={"width": 390, "height": 844})
    page.get_by_text("images whose class nobody knows").wait_for()
    right = "[...document.querySelectorAll('[data-testid=stMain] *')].map(node => node.getBoundingClientRect().right)"
    assert max(page.evaluate(right)) <= 390


def test_the_links_take_the_folder_with_them(tab: Tab, url: str, tmp_path: Path) -> None:
    """A field of the same name on both pages would lose it: the address is cleared of fields that are gone."""
    noise = torch.randint(0, 256, (24, 16, 16, 3), dtype=torch.uint8).numpy()
    for number, pixels in enumerate(noise):
        path = tmp_path / "pets" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    for link in (words.TO_TRAIN, words.TO_CURVES):
        page = tab(f"{url}images?images_folder={tmp_path / 'pets'}")
        page.get_by_role("link", name=link).click()
        field = page.locator("[data-testid=stSidebar] .st-key-folder input")
        field.wait_for()
        until(lambda field=field: field.input_value() == str(tmp_path / "pets"))
        page.get_by_role("button", name="Start", exact=True).wait_for()
        assert "folder=" in page.url and field.input_value() == str(tmp_path / "pets")
