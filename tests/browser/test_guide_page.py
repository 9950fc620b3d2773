"""The Guide in a real Chromium: the tour over two pages, a curve drawn by keyboard, what a teacher hides."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from dashboard import text
from dashboard.guide import PARTS, STEPS
from sslcore import events as ev
from sslcore.store import Store
from tests.fill_store import fill

# What of a method's card can be scrolled sideways.
SCROLLS = (
    "[...document.querySelectorAll('.st-key-told_card *')].filter(node => node.scrollWidth > node.clientWidth + 1"
    " && getComputedStyle(node).overflowX !== 'visible').map(node => node.tagName)"
)
Tab = Callable[..., Any]


def guide(tab: Tab, url: str, **options: Any) -> Any:
    """Open the Guide as a person does, from the list of pages; on a phone that lies in the sidebar."""
    page = tab(url, **options)
    page.locator(".st-key-toolbar").wait_for()
    if options:
        page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Guide").click()
    page.locator(".st-key-tour_card").wait_for()
    return page


def part(page: Any, name: str) -> None:
    page.get_by_role("radio", name=PARTS[name]).or_(
        page.get_by_role("button", name=PARTS[name], exact=True)
    ).first.click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_part_without_scrolling_sideways(tab: Tab, url: str, scheme: str) -> None:
    page = guide(tab, url, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.keyboard.press("Escape")
    for name, mark in (
        ("draw", ".ssl-sketch circle"),
        ("methods", "svg.story"),
        ("break", ".st-key-card_break-tau-zero"),
    ):
        page.evaluate("document.querySelector('[data-testid=stSidebarCollapseButton] button')?.click()")
        part(page, name)
        page.locator(mark).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if name == "methods":
            for method in text.METHODS.values():
                page.locator(".st-key-told").get_by_text(method).click()
                page.locator(".st-key-told_card").get_by_text(f"{method} (").or_(
                    page.get_by_text("Supervised baseline")
                ).first.wait_for()
                assert not page.evaluate(SCROLLS), method
    page.locator("svg.story").first.wait_for(state="detached")  # the parts replace each other


def test_a_curve_is_drawn_by_keyboard_and_met_by_the_real_one(tab: Tab, url: str, store: Store) -> None:
    run_id = fill(store, ev.FINISHED, "fixmatch")
    page = guide(tab, url)
    part(page, "draw")
    first = page.get_by_role("slider", name="Expected mask rate at 0 % of the run")
    first.focus()
    for _ in range(10):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    assert first.get_attribute("aria-valuetext") == "0 %"
    second = page.get_by_role("slider", name="Expected mask rate at 10 % of the run")
    assert second.get_attribute("aria-valuetext") == "0 %"
    page.get_by_role("button", name="Draw again").and_(
        page.locator(":enabled")
    ).wait_for()  # the server knows the curve
    page.get_by_role("button", name="Show the real curve").click()
    page.get_by_text("percentage points").wait_for()
    assert len(page.locator(".ssl-sketch .real").get_attribute("points").split()) == 40
    assert page.locator(".ssl-sketch .mine").get_attribute("points").split()[0] == "60,286", "what was drawn stays"
    store.delete(run_id)


def test_the_tour_goes_with_the_learner_and_a_card_opens_its_preset(tab: Tab, url: str) -> None:
    page = guide(tab, url)
    page.get_by_role("button", name="3. See what the network sees").click()
    page.get_by_role("link", name="Open Augmentations").click()
    page.get_by_text(f"Guide, step 3 of {len(STEPS)}:").wait_for()
    assert re.search(r"tour=3", page.url)
    page.get_by_role("button", name="Draw again").first.click()
    page.locator(".st-key-tour_line").get_by_text("Done").wait_for()
    page.get_by_role("link", name="Back to the Guide").click()
    page.get_by_text(f"1 of {len(STEPS)} steps done").wait_for()
    part(page, "break")
    page.locator(".st-key-card_break-tau-zero").get_by_role("link").click()
    page.locator(".st-key-toolbar").wait_for()
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_text("No threshold").wait_for()
    assert "Break it" in sidebar.get_by_role("combobox", name="Preset").first.input_value()


def test_a_teacher_hides_the_controls_on_every_page(tab: Tab, url: str) -> None:
    page = tab(url + "?hide=controls,toolbar")
    page.get_by_role("link", name="Runs").wait_for()
    page.get_by_test_id("stSidebar").wait_for(state="hidden")
    assert not page.locator(".st-key-toolbar").is_visible()
    page.get_by_role("link", name="Augmentations").click()
    page.get_by_role("button", name="Draw again").first.wait_for()
    assert not page.get_by_test_id("stSidebar").is_visible() and "hide=controls,toolbar" in page.url.replace("%2C", ",")


def test_the_step_on_the_runs_page_is_done_by_two_ticks(tab: Tab, url: str, store: Store) -> None:
    runs = [fill(store, ev.FINISHED, method, points=2, frames=False) for method in ("fixmatch", "flexmatch")]
    page = tab(f"{url}runs?tour={len(STEPS)}")
    boxes = page.locator(".ssl-runs tbody input")
    boxes.nth(1).wait_for()
    line = page.locator(".st-key-tour_line")
    line.wait_for()
    assert not line.get_by_text("Done").count()
    for k in range(2):
        boxes.nth(k).click()
    line.get_by_text("Done").wait_for()
    for run in runs:
        store.delete(run)
