"""The Label curves page in a real Chromium: a small sweep is started, its points appear, a cell opens its run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlparse

from sslcore import events as ev
from sslcore import published
from sslcore.store import Store
from tests.browser.test_runs_page import until

Tab = Callable[..., Any]
SWEEP = "curves?sweep=Smoke+test&with=Supervised&with=FlexMatch&smoke.counts=10,20&seeds=0"


def points(page: Any) -> dict[str, list[float]]:
    """What the curve shows: method -> its counts."""
    return page.evaluate(
        """() => Object.fromEntries((document.querySelector(".st-key-label_curve .plot")?._fullData || [])
            .filter((trace) => trace.visible === true && trace.mode === "lines+markers").map((trace) => [trace.name, Array.from(trace.x)]))"""
    )  # type: ignore[no-any-return]


def test_a_phone_shows_the_numbers_of_all_methods(tab: Tab, url: str) -> None:
    page = tab(f"{url}curves?sweep=Smoke+test", viewport={"width": 390, "height": 844})
    table = page.locator(".ssl-diff").last
    table.get_by_text("FlexMatch").wait_for()
    assert table.evaluate("node => node.scrollWidth <= node.clientWidth")


def test_a_phone_shows_every_number_to_lay_beside_it(tab: Tab, url: str) -> None:
    page = tab(url + SWEEP, viewport={"width": 390, "height": 844})
    pills = [page.locator(".st-key-beside").get_by_role("button", name=name) for name in published.GROUPS.values()]
    pills[-1].wait_for()
    assert max(box.bounding_box()["x"] + box.bounding_box()["width"] for box in pills) <= 390


def test_a_sweep_is_started_its_points_appear_and_a_cell_opens_its_run(tab: Tab, url: str, store: Store) -> None:
    page = tab(url + SWEEP, viewport={"width": 1440, "height": 1600})
    page.locator(".ssl-grid tbody tr").nth(1).wait_for()
    assert page.locator(".ssl-grid button:disabled").count() == 4, "two methods, two counts, nothing trained"
    page.get_by_text("4 runs to go").wait_for()
    main = page.locator("[data-testid=stMain]")
    main.get_by_role("button", name="Start", exact=True).click()
    until(lambda: len(store.runs()) == 4)
    until(lambda: any(len(counts) for counts in points(page).values()), 180)
    until(lambda: points(page) == {"Supervised": [10, 20], "FlexMatch": [10, 20]}, 180)
    page.get_by_text("4 of 4 runs finished").wait_for()
    assert {run.state for run in store.runs()} == {ev.FINISHED}

    # Another seed: what is finished is used again, and the address holds the whole sweep.
    page.get_by_role("textbox", name="Seeds").fill("0,1")
    page.get_by_role("textbox", name="Seeds").press("Enter")
    page.get_by_text("4 of 8 runs finished").wait_for()
    until(lambda: parse_qs(urlparse(page.evaluate("location.href")).query).get("seeds") == ["0,1"])
    assert quote("Smoke test", safe="") in page.url.replace("+", "%20") and len(store.runs()) == 4

    mark = page.get_by_role("button", name="FlexMatch, 20 labels, seed 0: finished")
    run = next(run for run in store.runs() if (run.method, run.labels) == ("flexmatch", 20))
    mark.click()
    page.locator(".st-key-toolbar").wait_for()
    until(lambda: parse_qs(urlparse(page.evaluate("location.href")).query).get("run") == [run.id])
    page.get_by_text("FlexMatch \u00b7 Digits \u00b7 20 labels").first.wait_for()
