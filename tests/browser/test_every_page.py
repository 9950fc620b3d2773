"""Every page with every kind of run, in light and in dark: no exception box, no error in the console, something to read."""

from __future__ import annotations

from typing import Any

import pytest

from sslcore import events as ev
from sslcore.store import Store
from tests.browser.test_train_page import Tab, until
from tests.fill_store import fill

NONE = "no run"
# The states that pages treat differently; every one, drawn without a browser, stands in tests/test_dashboard.py.
STATES = (NONE, ev.RUNNING, ev.PAUSED, ev.FINISHED, ev.FAILED, ev.DIVERGED, ev.INTERRUPTED)


def drawn(page: Any) -> bool:
    """Whether the page stands there whole and at rest; timers may draw parts of it again at any moment."""
    state, text, waiting = page.evaluate(
        "[document.querySelector('[data-testid=stApp]').dataset.testScriptState,"
        " document.querySelector('[data-testid=stMain]').innerText.length,"
        " document.querySelectorAll('[data-testid=stSkeleton]').length]"
    )
    return bool(state == "notRunning" and text > 40 and not waiting)


def ground(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"))


@pytest.mark.parametrize("state", STATES)
def test_every_page_is_drawn(tab: Tab, url: str, store: Store, state: str) -> None:
    run = fill(store, state) if state != NONE else ""
    page = tab(url, color_scheme="light")
    links = page.locator("[data-testid=stTopNavLink]")
    until(lambda: links.count() >= 8)
    schemes = ["light", "dark"]
    for i in range(links.count()):
        target = links.nth(i).evaluate("link => link.pathname")
        links.nth(i).click()
        until(lambda target=target: page.evaluate("location.pathname") == target and drawn(page))
        before = ground(page)
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            if scheme == schemes[1]:
                until(lambda before=before: ground(page) != before)
            until(lambda: drawn(page))
            boxes = page.locator("[data-testid=stException]")
            assert boxes.count() == 0, (target, scheme, boxes.first.inner_text())
        schemes.reverse()  # the next page comes in what this one was left in
        if run and i == 0:
            assert page.locator(".stMarkdownBadge", has_text=state).count() == 1
    if run:
        store.move(run, ev.STOPPED, only_from=ev.ACTIVE)
        store.delete(run)
