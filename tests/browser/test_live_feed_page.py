"""The feed of the Train page in a real Chromium: what is told is drawn, what was missed is told again, images come when there are new ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sslcore import events as ev
from sslcore import presets
from sslcore.store import Store
from tests.browser.test_train_page import LINE, Tab, until
from tests.fill_store import add_keyframe, add_point, fill

LONG = presets.build("smoke", "flexmatch", {"train.steps": 1000})


@pytest.fixture
def run(store: Store) -> Iterator[str]:
    """A run that this test makes up as it goes; the server takes this process for its trainer."""
    run_id = fill(store, ev.RUNNING, points=50, config=LONG)
    yield run_id
    store.move(run_id, ev.STOPPED, only_from=ev.ACTIVE)
    store.delete(run_id)


def points(page: Any) -> int:
    """How many points of the loss are drawn."""
    drawn = page.evaluate("document.querySelector('.st-key-chart_loss .plot')._fullData?.map(trace => trace.x.length)")
    return max(drawn or [0])


def test_what_was_missed_is_told_again(tab: Tab, url: str, store: Store, run: str) -> None:
    page = tab(url + f"?run={run}")
    page.locator(LINE).first.wait_for(state="attached")
    until(lambda: points(page) == 50)
    add_point(store, run, LONG, 102)
    until(lambda: points(page) == 51)
    known = page.evaluate("window.sslFeed.name")
    page.evaluate("window.sslFeed.name = 'as if a message had been lost'; window.sslFeed.charts.clear()")
    add_point(store, run, LONG, 104)
    until(lambda: points(page) == 52)  # it said so, and was sent everything
    assert page.evaluate("window.sslFeed.charts.has('chart_numbers')") and page.evaluate("window.sslFeed.name") != known
    table = page.locator(".st-key-card_numbers table")
    assert table.locator("tr").count() == 5 and "Test" in table.inner_text()
    assert page.locator(".ssl-tiles .tile").count() == 5


def test_new_images_come_when_they_are_in_sight(tab: Tab, url: str, store: Store, run: str) -> None:
    page = tab(url + f"?run={run}")
    page.locator(LINE).first.wait_for(state="attached")
    title = page.locator(".st-key-card_sheet p").first
    before = title.inner_text()
    assert "step 100" in before
    add_keyframe(store.folder(run), 110, "flexmatch", constants=False)
    add_point(store, run, LONG, 110)
    until(lambda: points(page) == 51)
    assert title.inner_text() == before, "drawn though nobody sees it"
    page.locator(".st-key-card_sheet").scroll_into_view_if_needed()
    until(lambda: "step 110" in title.inner_text())
    until(lambda: page.locator(".st-key-card_sheet img").count() == 4)
    until(lambda: "step 110" in page.locator(".st-key-card_confusion p").first.inner_text())


def test_a_view_of_a_resting_run_is_changed_at_once_and_stands_in_the_address(tab: Tab, url: str, store: Store) -> None:
    run_id = fill(store, ev.FINISHED)
    page = tab(url + f"?run={run_id}")
    page.locator(LINE).first.wait_for(state="attached")
    kind = "document.querySelector('.st-key-chart_loss .plot')._fullLayout.yaxis.type"
    assert page.evaluate(kind) == "linear"
    page.locator(".st-key-card_loss").get_by_text("Log scale").click()
    until(lambda: page.evaluate(kind) == "log")
    until(lambda: "log=true" in page.url)
    page.reload()
    until(lambda: page.locator(LINE).count() and page.evaluate(kind) == "log")
    store.delete(run_id)
