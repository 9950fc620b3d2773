"""The Augmentations page in a real Chromium: turn a knob and read what changed, on a wide screen and on a phone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sslcore import checkpoint, data, presets
from sslcore import events as ev
from sslcore.config import DataConfig
from sslcore.store import Store
from sslcore.trainer import Trainer
from tests.fill_store import fill

Tab = Callable[..., Any]
PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture(scope="module", autouse=True)
def run_id(store: Store) -> str:
    """A finished run on the digits with a real checkpoint."""
    trainer = Trainer(presets.build("smoke", "fixmatch"), data.load(DataConfig()), torch.device("cpu"))
    trainer.train_step()
    made = fill(store, ev.FINISHED, "fixmatch", points=2, frames=False)
    checkpoint.save(store.folder(made), trainer.state_dict())
    return made


def visit(tab: Tab, url: str, **options: Any) -> Any:
    """Open the page as a visitor does, by its name in the navigation, with the digits."""
    page = tab(url, **options)
    if options:
        page.locator("[data-testid=stExpandSidebarButton]").click()
        page.locator("[data-testid=stSidebar]").get_by_role("link", name="Augmentations").click()
        page.locator("[data-testid=stSidebarCollapseButton] button").click()
    else:
        page.get_by_role("link", name="Augmentations").click()
    page.locator(".ssl-sheet img").first.wait_for()
    choose(page, "Data", "Digits")
    until(lambda: "aug_data=Digits" in page.url and "class 1" in text(page))
    return page


def choose(page: Any, label: str, option: str) -> None:
    page.locator("[data-testid=stMain] [data-testid=stSelectbox]", has_text=label).first.locator("input").click()
    page.get_by_role("option", name=option).click()


def press(page: Any, name: str) -> None:
    """Press one part of a segmented control."""
    page.locator("[data-testid=stMain] [data-testid=stButtonGroup]").get_by_text(name, exact=True).click()


def text(page: Any) -> str:
    return str(page.locator("[data-testid=stMain]").inner_text())


VIEWS = ".ssl-sheet:not(.steps)"  # without the row that takes one view apart


def pictures(page: Any) -> list[str]:
    return [str(src) for src in page.eval_on_selector_all(f"{VIEWS} img", "found => found.map(i => i.src)")]


def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def push(page: Any, key: str, presses: int, arrow: str = "ArrowRight") -> None:
    """Move a slider with the keyboard."""
    thumb = page.locator(f".st-key-{key} input[type=range]")
    thumb.focus()
    for _ in range(presses):
        page.keyboard.press(arrow)


def test_draw_again_and_a_knob_change_the_views_and_the_url(tab: Tab, url: str) -> None:
    page = visit(tab, url)
    first = pictures(page)
    assert len(first) == 13 and page.locator(f"{VIEWS} .bars").count() == 13
    page.get_by_role("button", name="Draw again").click()
    until(lambda: len(pictures(page)) == 13 and pictures(page)[1:] != first[1:] and "aug_draw=1" in page.url)
    assert pictures(page)[0] == first[0]
    assert "cut 8 x 8 px" in text(page) or "cut 8 x" in text(page)
    push(page, "aug_cutout", 10, "ArrowLeft")
    until(lambda: "cut 8 x" not in text(page) and "aug_cutout=0" in page.url)
    page.locator(".st-key-aug_preset").get_by_text("off", exact=True).click()
    until(lambda: "Rotate" not in text(page) and "aug_preset=off" in page.url)


def test_the_microscope_follows_its_slider(tab: Tab, url: str) -> None:
    page = visit(tab, url)
    press(page, "One operation")
    until(lambda: "Rotate +22\u00b0" in text(page))
    before = pictures(page)
    push(page, "aug_Rotate", 8)
    until(lambda: "Rotate +30\u00b0" in text(page) and "aug_Rotate=30" in page.url)
    until(lambda: pictures(page)[1] != before[1])
    assert pictures(page)[0] == before[0] and pictures(page)[2:] == before[2:]  # the row is the preset's
    until(lambda: page.locator(".st-key-aug_break .scatterlayer path.js-line").count() >= 3)


def test_mixup_moves_picture_and_label_together(tab: Tab, url: str) -> None:
    page = visit(tab, url)
    press(page, "MixUp")
    until(lambda: "= blend, \u03bb\u2032 = 0.70" in text(page))
    assert "70\u202f%" in page.locator(".ssl-labels").inner_text()
    before = pictures(page)[2]
    push(page, "aug_lam", 15)
    until(lambda: "\u03bb\u2032 = 0.85" in text(page) and "85\u202f%" in page.locator(".ssl-labels").inner_text())
    assert pictures(page)[2] != before
    until(lambda: page.locator(".st-key-aug_beta .barlayer path").count() >= 40)


def test_an_upload_becomes_views(tab: Tab, url: str, tmp_path: Path) -> None:
    page = visit(tab, url)
    first = pictures(page)[0]
    press(page, "Upload")
    page.locator("input[type=file]").wait_for(state="attached")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(tmp_path / "mine.png")
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
    until(lambda: len(pictures(page)) == 13 and pictures(page)[0] != first and "middle square" in text(page))
    (tmp_path / "broken.png").write_bytes((tmp_path / "mine.png").read_bytes()[:3000])
    page.locator("input[type=file]").set_input_files(tmp_path / "broken.png")
    page.get_by_text("damaged or was cut short").wait_for()


def test_on_a_phone_nothing_is_wider_than_the_screen(tab: Tab, url: str) -> None:
    page = visit(tab, url, **PHONE)
    for name in ("One operation", "MixUp", "Weak and strong"):
        press(page, name)
        until(lambda: len(pictures(page)) >= 11)
        time.sleep(1)
        wide = "Math.max(...[...document.querySelectorAll('.ssl-sheet, .ssl-labels')].map(e => e.getBoundingClientRect().right))"
        assert page.evaluate(wide) <= 390 and page.evaluate("document.documentElement.scrollWidth") <= 390
