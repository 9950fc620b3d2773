"""The Time machine page in a real Chromium: the slider moves everything, playing goes on, LIVE follows a run that trains."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sslcore import events as ev
from sslcore import presets
from sslcore.lab import Lab
from sslcore.store import Store
from tests.browser.test_train_page import until
from tests.test_time_page import travelled

Tab = Callable[..., Any]
CURSOR = "document.querySelector('.st-key-time_loss .plot')._fullLayout.shapes.filter(s => s.line.width > 2)[0].x0"


@pytest.fixture(autouse=True)
def nothing_left(store: Store) -> Iterator[None]:
    yield
    for run in store.runs():
        Lab(store).stop(run.id)
        until(lambda run=run: store.run(run.id).state not in ev.ACTIVE)
        store.delete(run.id)


def step(page: Any) -> int:
    """The step over the slider's thumb."""
    return int(re.sub(r"\D", "", page.locator(".ssl-timeline output").inner_text()))


def told(page: Any) -> int:
    """The step in the line of numbers, which the server writes."""
    found = re.search(r"Step ([\d,]+) of", page.locator("[data-testid=stMain]").inner_text())
    return int(found[1].replace(",", "")) if found else -1


def at_rest(page: Any, seconds: float = 2.0) -> int:
    """The slider's step once it stands: on a busy machine what was on its way when a button was pressed comes later."""
    stands, since = step(page), time.monotonic()
    while time.monotonic() - since < seconds or told(page) != stands:
        assert time.monotonic() - since < 60, "the numbers don't follow the slider"
        page.wait_for_timeout(100)
        if step(page) != stands:
            stands, since = step(page), time.monotonic()
    return stands


def opened(tab: Tab, address: str, **options: Any) -> Any:
    page = tab(address, **options)
    until(lambda: page.locator(".st-key-time_loss .js-line").count() and page.locator(".ssl-pictures img[src]").count())
    return page


def press(page: Any, name: str) -> None:
    page.locator("[data-testid=stMain], [role=dialog]").get_by_role("button", name=name, exact=True).click()


def strip(page: Any) -> list[str]:
    """Which images are marked right, wrong, kept or not."""
    return list(page.locator(".ssl-strip button").evaluate_all("all => all.map(b => b.className)"))


def pictures(page: Any) -> list[str]:
    return list(page.locator(".ssl-pictures img").evaluate_all("all => all.map(i => i.src)"))


def test_the_slider_moves_everything_at_once(tab: Tab, url: str, store: Store) -> None:
    run_id = travelled(store)
    page = opened(tab, url + f"time?run={run_id}&step=40")
    assert step(page) == told(page) == 40 and page.evaluate(CURSOR) == 40
    before, images, node = strip(page), pictures(page), page.locator(".st-key-time_loss .plot").element_handle()
    page.get_by_role("slider").press("ArrowLeft")
    until(lambda: told(page) == 20)
    until(lambda: page.evaluate(CURSOR) == 20 and strip(page) != before and pictures(page)[0] != images[0])
    assert step(page) == 20 and "step=20" in page.url
    assert node.evaluate("node => node.isConnected"), "the chart was built anew"
    press(page, "Next")
    until(lambda: told(page) == 40 and strip(page) == before and pictures(page) == images)
    press(page, "End")
    until(lambda: told(page) == 80 and "step=" not in page.url)
    page.reload()
    until(lambda: page.locator(".ssl-timeline output").count() and told(page) == 80)


def test_playing_shows_one_keyframe_after_the_other_to_the_end(tab: Tab, url: str, store: Store) -> None:
    run_id = travelled(store, steps=tuple(range(2, 60, 2)))
    page = opened(tab, url + f"time?run={run_id}")
    press(page, "Play x4")  # from the end it begins again
    seen = [until(lambda: told(page) < 60 and told(page) + 1) - 1]
    while len(seen) < 6:
        until(lambda: told(page) != seen[-1])
        seen.append(told(page))
    assert seen == sorted(seen) and seen[-1] <= 58, seen
    press(page, "Pause")
    page.get_by_role("button", name="Play x4").wait_for()
    stands = at_rest(page)
    assert told(page) == step(page) == stands < 80, "it was paused, and has played on to the end"
    page.get_by_role("slider").press("End")
    until(lambda: told(page) == 80)


def test_an_image_of_a_list_tells_its_life(tab: Tab, url: str, store: Store) -> None:
    run_id = travelled(store)
    page = opened(tab, url + f"time?run={run_id}")
    assert page.locator(".ssl-strip button").count() == 64
    page.locator(".ssl-strip button").nth(9).click()
    page.get_by_text("Image 9 ·").wait_for()
    assert "image=9" in page.url
    page.locator(".st-key-list").get_by_text("Flip-floppers").click()
    until(lambda: 0 < page.locator(".ssl-strip button").count() < 64)
    page.locator(".ssl-strip button").nth(2).click()
    about = page.locator(".ssl-strip button").nth(2).get_attribute("title").split(":")[0].removeprefix("image ")
    page.get_by_text(f"Image {about} ·").wait_for()
    page.reload()  # list and image stand in the URL
    page.get_by_text(f"Image {about} ·").wait_for()


def test_live_follows_training_and_the_slider_leaves_it(tab: Tab, url: str, store: Store) -> None:
    lab = Lab(store)
    run_id = lab.start(
        presets.build("smoke", "flexmatch", {"train.steps": "4000", "train.evals": "200", "train.threads": "1"})
    )
    until(lambda: store.run(run_id).step > 100)
    page = opened(tab, url + f"time?run={run_id}")
    live = page.get_by_role("button", name="LIVE")
    live.wait_for()
    first = told(page)
    until(lambda: told(page) > first)
    page.get_by_role("slider").press("Home")
    until(lambda: told(page) == 0 and step(page) == 0)
    page.wait_for_timeout(2500)
    assert told(page) == 0 and "step=0" in page.url, "who looks back is left in peace"
    live.click()
    until(lambda: told(page) > 0 and "step=" not in page.url)
    shown = told(page)
    until(lambda: told(page) > shown)
    lab.stop(run_id)
    page.get_by_role("button", name="End").wait_for()


def test_a_fork_starts_and_both_branches_are_drawn(tab: Tab, url: str, store: Store) -> None:
    lab = Lab(store)
    run_id = lab.start(presets.build("smoke", "flexmatch", {"train.threads": "1"}), preset="smoke")
    until(lambda: store.run(run_id).state == ev.FINISHED)
    page = opened(tab, url + f"time?run={run_id}&step=20")
    press(page, "Fork")
    dialog = page.get_by_role("dialog")
    threshold = dialog.get_by_role("spinbutton", name="Threshold")
    threshold.fill("0.1")
    threshold.press("Enter")
    press(page, "Start the fork")
    page.get_by_text(f"Forked from {run_id} at step 20").wait_for()
    made = next(run for run in store.runs() if run.id != run_id)
    assert made.summary["fork"]["changes"] == {"method.threshold": 0.1}
    page.get_by_text("test images right").wait_for()
    assert store.run(made.id).state == ev.FINISHED
    names = "document.querySelector('.st-key-chart_loss .plot').data.map(trace => trace.name)"
    until(lambda: "total, original" in page.evaluate(names))
    assert page.locator(".st-key-chart_loss .annotation-text", has_text="fork").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scroll(tab: Tab, url: str, store: Store, scheme: str) -> None:
    run_id = travelled(store)
    page = tab(url + f"time?run={run_id}&step=40", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    until(lambda: page.locator(".ssl-timeline output").count() and told(page) == 40)
    page.locator(".ssl-strip button").first.wait_for()
    assert page.locator("[data-testid=stMain]").evaluate("node => node.scrollWidth") <= 390
    wide = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMain] *')].filter(node => node.getBoundingClientRect().right > 392).map(node => node.className)"
    )
    assert not wide, wide[:5]
    page.locator(".st-key-time_card_lives").scroll_into_view_if_needed()
    bar = page.locator(".ssl-timeline").bounding_box()
    assert bar is not None and 0 <= bar["y"] < 400, "the slider stays in sight"


def test_the_chosen_run_goes_along_to_the_other_pages(tab: Tab, url: str, store: Store) -> None:
    older, newer = travelled(store, steps=(2,)), travelled(store, steps=(4,))
    page = opened(tab, url + f"time?run={older}")
    for name, path in (("Pseudo-labels", "pseudo"), ("Train", ""), ("Time machine", "time")):
        page.get_by_role("link", name=name).first.click()
        page.wait_for_url(lambda at, path=path: at.split("?")[0] == url + path and f"run={older}" in at)
    assert newer not in page.url
