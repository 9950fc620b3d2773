"""The Train page in a real Chromium against the real server and engine: what a learner does in the first minute."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlparse

import numpy as np
import pytest

from sslcore import events as ev
from sslcore import keyframes
from sslcore.lab import Lab
from sslcore.store import Store
from tests.fill_store import fill

Tab = Callable[..., Any]
SMOKE = "?preset=Smoke+test&device=CPU"
LONG = SMOKE + "&smoke.steps=100000"
LINE = ".st-key-chart_loss .scatterlayer path.js-line"
STEP = re.compile(r"step ([\d,]+) of")


def press(page: Any, name: str) -> None:
    page.locator("[data-testid=stMain], [role=dialog]").get_by_role("button", name=name, exact=True).click()


def step(page: Any) -> int:
    """The step that the page shows."""
    found = STEP.search(page.locator("[data-testid=stMain]").inner_text())
    return int(found[1].replace(",", "")) if found else -1


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


@pytest.fixture(autouse=True)
def nothing_left(store: Store) -> Iterator[None]:
    """Every test begins with an empty store and leaves no run at work, whatever went wrong in it."""
    yield
    for run in store.runs():
        Lab(store).stop(run.id)
        until(lambda run=run: store.run(run.id).state not in ev.ACTIVE)
        store.delete(run.id)


def start(page: Any) -> str:
    """Press Start, wait for the first point of the new run and return its id."""
    press(page, "Start")
    until(
        lambda: step(page) > 0 and "run=" in page.url
    )  # in this order: asking the page lets its URL be brought up to date
    page.locator(LINE).first.wait_for(state="attached")
    return run_id(page)


def pill(page: Any, state: str) -> None:
    page.locator(".stMarkdownBadge", has_text=state).first.wait_for()


def run_id(page: Any) -> str:
    return parse_qs(urlparse(page.url).query)["run"][0]


def x_range(page: Any) -> list[float]:
    return [
        float(value)
        for value in page.evaluate("[...document.querySelector('.st-key-chart_loss .plot')._fullLayout.xaxis.range]")
    ]


def zoom(page: Any) -> list[float]:
    """Drag a box over the middle of the loss chart with the mouse; return the x range that this leaves."""
    whole = x_range(page)
    box = page.locator(".st-key-chart_loss .nsewdrag").bounding_box()
    x, y = box["x"], box["y"] + box["height"] / 2
    page.mouse.move(x + 0.2 * box["width"], y)
    page.mouse.down()
    page.mouse.move(x + 0.6 * box["width"], y, steps=5)
    page.mouse.up()
    until(lambda: x_range(page) != whole)
    time.sleep(0.2)
    left, right = x_range(page)
    assert left > whole[0] and right < whole[1]
    return [left, right]


def test_one_click_trains_and_the_loss_moves_until_the_end(tab: Tab, url: str, store: Store) -> None:
    page = tab(url + SMOKE + "&smoke.steps=300")
    press(page, "Start")
    page.locator(LINE).first.wait_for(state="attached")
    first = until(lambda: page.locator(LINE).last.get_attribute("d"))
    until(lambda: page.locator(LINE).last.get_attribute("d") != first)
    page.get_by_text("test images right").wait_for()
    pill(page, "finished")
    run = store.run(run_id(page))
    assert (run.state, run.step, step(page)) == (ev.FINISHED, 300, 300)
    page.locator(".st-key-card_sheet img").first.wait_for()
    assert page.locator(".st-key-card_sheet img").count() == 4

    page.reload()  # the finished run is still there, by its name in the URL
    page.get_by_text("test images right").wait_for()
    assert run_id(page) == run.id and step(page) == 300
    second = tab(url)  # and as the newest one without it
    second.get_by_text("test images right").wait_for()


def test_zoom_is_kept_while_it_trains_and_two_tabs_see_one_run(tab: Tab, url: str, store: Store) -> None:
    idle = tab(url)
    idle.locator("[data-testid=stMain]").get_by_role("button", name="Start").wait_for()
    page = tab(url + LONG)
    run = start(page)
    zoomed = zoom(page)
    node = page.locator(".st-key-chart_loss .plot").element_handle()
    for _ in range(3):
        shown = step(page)
        until(lambda shown=shown: step(page) > shown)
        assert x_range(page) == zoomed
    assert node.evaluate("node => node.isConnected"), "the chart was built anew"

    pill(idle, "running")  # a tab that was opened before finds it without a click
    idle.close()
    page.reload()
    until(lambda: step(page) > 0)
    assert run_id(page) == run

    press(page, "Pause")
    pill(page, "paused")
    at = step(page)
    press(page, "Step")
    until(lambda: step(page) == at + 1)
    pill(page, "paused")
    press(page, "Resume")
    until(lambda: step(page) > at + 1)
    page.close()  # closing the tab stops nothing
    before = store.run(run).step
    until(lambda: store.run(run).step > before)

    other = tab(url + f"?run={run}")
    pill(other, "running")
    press(other, "Stop")  # this tab did not start it
    press(other, "Stop it")
    pill(other, "stopped")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scroll_in_light_and_dark(tab: Tab, url: str, store: Store, scheme: str) -> None:
    run = fill(store, ev.FINISHED)
    page = tab(url + f"?run={run}", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    chart = page.locator(".st-key-chart_loss .ssl-chart")
    until(
        lambda: (chart.scroll_into_view_if_needed(), page.locator(LINE).count())[1]
    )  # what is out of sight is not drawn
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("node => node.scrollWidth") <= 390
    wide = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMain] *')].filter(node => node.getBoundingClientRect().right > 392).map(node => node.className)"
    )
    assert not wide, wide[:5]
    ink = page.evaluate("document.querySelector('.st-key-chart_loss .xtick text').style.fill")
    assert ink == {"light": "rgb(28, 36, 48)", "dark": "rgb(232, 236, 243)"}[scheme]


def test_on_a_phone_the_entropies_of_the_guesses_stand_apart(tab: Tab, url: str, store: Store) -> None:
    run = fill(store, ev.FINISHED, "mixmatch")
    page = tab(url + f"?run={run}", viewport={"width": 390, "height": 844})
    chart = page.locator(".st-key-chart_guess .ssl-chart")
    notes = page.locator(".st-key-chart_guess .annotation-text", has_text="\u2192")
    until(lambda: (chart.scroll_into_view_if_needed(), notes.count() == 6)[1])
    boxes = sorted((note.bounding_box() for note in notes.all()), key=lambda box: box["x"])
    assert all(left["x"] + left["width"] <= right["x"] for left, right in itertools.pairwise(boxes)), boxes


def test_the_chosen_settings_can_be_read_whole(tab: Tab, url: str) -> None:
    longest = {
        "flexmatch.optim.schedule": "constant",
        "augment.preset": "kekmodel",
        "flexmatch.fault": "confidence-as-mask-rate",
        "device": "NVIDIA GPU",
    }
    page = tab(f"{url}?{urlencode(longest)}", viewport={"width": 1280, "height": 900})
    boxes = page.locator("[data-testid=stSidebar] [data-testid=stSelectbox] input")
    until(lambda: boxes.count() > 9)
    assert {*longest.values()} <= {*boxes.evaluate_all("all => all.map(box => box.value)")}
    assert not boxes.evaluate_all("all => all.filter(box => box.scrollWidth > box.clientWidth).map(box => box.value)")


def test_nothing_jumps_from_tick_to_tick(tab: Tab, url: str, store: Store) -> None:
    page = tab(url + LONG)
    start(page)
    cards = (
        "[...document.querySelectorAll('[class*=st-key-card_]')].map(node =>"
        " node.className.match(/st-key-card_(\\w+)/)[1] + Math.round(node.getBoundingClientRect().height))"
    )
    before, shown = page.evaluate(cards), step(page)
    for _ in range(3):
        until(lambda shown=shown: step(page) > shown)
        shown = step(page)
        assert [card for card in page.evaluate(cards) if "sheet" not in card] == [
            card for card in before if "sheet" not in card
        ]
    page.close()


def test_a_cell_of_the_confusion_matrix_opens_its_images_and_the_gallery_is_filtered(
    tab: Tab, url: str, store: Store
) -> None:
    page = tab(url + SMOKE + "&smoke.steps=30")
    press(page, "Start")
    pill(page, "finished")
    run = run_id(page)
    frame = keyframes.load(store.folder(run), 30)
    probe = keyframes.probe(store.folder(run))
    down, across = (int(i) for i in np.unravel_index(frame["confusion"].argmax(), frame["confusion"].shape))
    grid = page.locator(".st-key-chart_confusion .nsewdrag")
    until(lambda: (page.locator(".st-key-chart_confusion").scroll_into_view_if_needed(), grid.count())[1])
    box = grid.bounding_box()
    page.mouse.click(box["x"] + box["width"] * (across + 0.5) / 10, box["y"] + box["height"] * (down + 0.5) / 10)
    count = int(frame["confusion"][down, across])
    cell = page.locator(".st-key-card_cell")
    cell.get_by_text(f"{count} images,").wait_for()
    cell.locator("img").wait_for()
    until(lambda: f"truth={down}" in page.url and f"taken={across}" in page.url)

    wrong = int((frame["pseudo"] != probe["unlabeled_truth"]).sum())
    sheet = page.locator(".st-key-card_sheet")
    before = sheet.bounding_box()["height"]
    wanted = page.get_by_role("option", name="Wrong", exact=True)
    until(
        lambda: (
            sheet.locator("[data-testid=stSelectbox] input").first.click(),
            page.wait_for_timeout(500),
            wanted.count(),
        )[-1]
    )
    wanted.click()
    sheet.get_by_text(f"{wrong} of 64 images").wait_for()
    until(lambda: "show=Wrong" in page.url)
    assert sheet.bounding_box()["height"] == before, "the layout moved"


def test_a_run_is_steered_and_changed_without_a_mouse(tab: Tab, url: str, store: Store) -> None:
    page = tab(url + LONG)
    start(page)
    page.get_by_role("button", name="Pause", exact=True).focus()
    page.keyboard.press("Enter")
    pill(page, "paused")
    until(lambda: page.get_by_role("button", name="Resume", exact=True).is_enabled())
    page.keyboard.press("Enter")  # Pause has given way to Resume: the key goes to what stands in its place
    pill(page, "running")

    page.get_by_role("button", name="Change").focus()
    page.keyboard.press("Enter")
    inside = "document.activeElement.closest('[data-testid=stPopoverBody]') !== null"
    page.locator("[data-testid=stPopoverBody] button").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate(inside), "Tab leads past the popover"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    page.keyboard.press("Escape")

    marks = page.locator(".ssl-tiles .help")
    marks.first.focus()
    for _ in range(2 * marks.count()):  # what a mark says may be a stop of its own, to be scrolled
        assert page.evaluate("document.activeElement !== document.body"), "the place on the page is lost"
        page.keyboard.press("Tab")


def test_what_somebody_typed_is_text_and_nothing_else(tab: Tab, url: str, store: Store) -> None:
    name = "<b>x</b> [l](http://c.d) :red[r] $y$ *z* www.e.fg :smile:"
    run = fill(store, ev.PAUSED, name=name)
    page = tab(url + f"?run={run}")
    page.locator(LINE).first.wait_for(state="attached")
    heading = page.locator("[data-testid=stMain] h3").first
    assert heading.inner_text().replace("\u2060", "").startswith(name)
    assert (
        heading.locator("b, em, .katex").count() == 0
        and heading.locator("a[href*='c.d'], a[href*='e.fg']").count() == 0
    )
