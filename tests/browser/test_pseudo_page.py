"""The Pseudo-labels page in a real Chromium: the sliders move the numbers, the method toggle changes only what it should."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sslcore import events as ev
from sslcore import presets
from sslcore.session import Stay
from sslcore.store import Store
from tests.browser.test_train_page import until

Tab = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_left(store: Store) -> Iterator[None]:
    yield
    for run in store.runs():
        store.delete(run.id)


def train(store: Store, method: str, steps: int = 30) -> str:
    """A real finished run of a second."""
    run_id = store.create(presets.build("smoke", method, {"train.threads": 1, "train.steps": steps}))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    Stay(store, run_id).advance(threading.Event())
    store.move(run_id, ev.FINISHED, only_from=ev.ACTIVE)
    return run_id


def open_page(tab: Tab, url: str, query: str = "", **options: Any) -> Any:
    page = tab(url + "pseudo" + query, **options)
    page.get_by_role("heading", name="Pseudo-labels").wait_for()
    return page


def rows(page: Any, key: str) -> list[str]:
    return page.locator(f".st-key-{key} .ssl-bars .row").all_inner_texts()


def address(page: Any) -> str:
    """The page's address now: `page.url` is brought up to date only while the page is asked something."""
    return str(page.evaluate("location.href"))


def entropy(page: Any) -> list[float]:
    words = page.locator(".st-key-box").get_by_text("Entropy").first.inner_text()
    return [float(number) for number in re.findall(r"\d+\.\d+", words)]


def press(page: Any, slider: str, key: str, times: int = 1) -> None:
    thumb = page.locator(f"[class*='st-key-{slider}'] input")
    thumb.focus()
    for _ in range(times):
        thumb.press(key)


def test_the_temperature_moves_the_bars_and_the_entropy(tab: Tab, url: str, store: Store) -> None:
    train(store, "mixmatch")
    page = open_page(tab, url)
    until(lambda: len(rows(page, "bars_box")) == 10)
    before, after = entropy(page)
    assert 0 <= after <= before
    press(page, "temperature", "Home")  # T = 0: the argmax alone
    until(lambda: entropy(page) == [before, 0.0])
    assert sorted(text.split()[-1] for text in rows(page, "bars_box")) == ["0.000"] * 9 + ["1.000"]
    press(page, "temperature", "ArrowRight", 20)  # T = 1: nothing changes
    until(lambda: entropy(page) == [before, before])
    assert [row.split()[-1] for row in rows(page, "bars_box")] == [row.split()[-1] for row in rows(page, "bars_target")]
    until(lambda: "temperature" in address(page))
    shared = address(page)
    page.close()
    again = tab(shared)
    until(lambda: again.locator(".st-key-box").get_by_text("Entropy").count() and entropy(again) == [before, before])


def test_the_toggle_changes_only_the_box_and_what_follows(tab: Tab, url: str, store: Store) -> None:
    train(store, "flexmatch")
    page = open_page(tab, url)
    until(lambda: len(rows(page, "bars_prediction")) == 10)
    fixed = [rows(page, key) for key in ("bars_logits", "bars_softmax")]
    image = page.locator("[data-testid=stImage] img").first.get_attribute("src")
    box = page.locator(".st-key-box")
    box.get_by_text("a threshold for each class").wait_for()
    for method, word in (("FixMatch", "at least tau"), ("MixMatch", "averages")):
        box.get_by_role("radio", name=method).click()
        box.get_by_text(word).wait_for()
        assert [rows(page, key) for key in ("bars_logits", "bars_softmax")] == fixed
        assert page.locator("[data-testid=stImage] img").first.get_attribute("src") == image


def test_an_image_is_picked_from_the_strip(tab: Tab, url: str, store: Store) -> None:
    train(store, "fixmatch")
    page = open_page(tab, url)
    cells = page.locator(".ssl-strip button")
    until(lambda: cells.count() == 64)
    before = rows(page, "bars_logits")
    cells.nth(17).click()
    until(lambda: rows(page, "bars_logits") != before)
    assert cells.nth(17).get_attribute("aria-selected") == "true"
    until(lambda: "image=17" in address(page))
    page.get_by_text("Whole pool").click()
    page.get_by_text("64 at a time").wait_for()
    until(lambda: cells.first.get_attribute("aria-label") == "image 0")


def test_the_sandbox_moves_with_tau_and_with_a_click(tab: Tab, url: str, store: Store) -> None:
    train(store, "fixmatch")
    page = open_page(tab, url)
    page.get_by_text("Threshold sandbox").click()
    coverage = page.locator("[data-testid=stMetricValue]").first
    until(  # what is out of sight is not drawn
        lambda: (
            page.locator(".st-key-card_trade").scroll_into_view_if_needed(),
            page.locator(".st-key-chart_trade .js-line").count(),
        )[1]
    )
    press(page, "tau", "Home")
    until(lambda: coverage.inner_text() == "100.0 %")
    press(page, "tau", "End")
    until(lambda: coverage.inner_text() == "0.0 %")
    page.locator(".st-key-card_trade").scroll_into_view_if_needed()
    plot = page.locator(".st-key-chart_trade .nsewdrag").bounding_box()
    page.mouse.move(plot["x"] + 0.3 * plot["width"], plot["y"] + 40)
    page.mouse.click(plot["x"] + 0.3 * plot["width"], plot["y"] + 40)
    until(lambda: re.search(r"tau[^=]*=0\.(29|3|31)", address(page)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("exhibit", ["X-ray of one image", "Threshold sandbox"])
def test_a_phone_has_no_sideways_scroll(tab: Tab, url: str, store: Store, scheme: str, exhibit: str) -> None:
    train(store, "flexmatch")
    page = open_page(tab, url, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.get_by_text(exhibit).click()
    page.locator(
        ".st-key-bars_logits .row" if exhibit.startswith("X-ray") else "[data-testid=stMetric]"
    ).first.wait_for(state="attached")
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("node => node.scrollWidth") <= 390
    wide = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMain] *')].filter(node => node.getBoundingClientRect().right > 392"
        " && !node.closest('.katex-mathml') && node.tagName != 'INPUT').map(node => node.outerHTML.slice(0, 80))"
    )
    assert not wide, wide[:5]


def test_it_follows_a_run_that_trains(tab: Tab, url: str, store: Store) -> None:
    config = presets.build("smoke", "fixmatch", {"train.threads": 1, "train.steps": 4000, "train.evals": 200})
    run_id = store.create(config)
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    leave = threading.Event()
    thread = threading.Thread(target=lambda: Stay(store, run_id).advance(leave), daemon=True)
    thread.start()
    try:
        page = open_page(tab, url)
        until(lambda: len(rows(page, "bars_logits")) == 10)
        node = page.locator(".st-key-bars_logits .row").first.element_handle()
        first = rows(page, "bars_logits")
        until(lambda: rows(page, "bars_logits") != first)
        assert node.evaluate("node => node.isConnected"), "the bars were built anew"
        assert ", the newest" in page.locator("[data-testid=stMain]").inner_text()
    finally:
        leave.set()
        thread.join(30)
        store.move(run_id, ev.STOPPED, only_from=ev.ACTIVE)
