"""Fixtures of the browser tests: skipped where there is no Playwright or Chromium, failed there if SSLLAB_REQUIRE_BROWSER=1."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sslcore.store import Store
from tests.browser.serving import ARGS, chromium, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that is installed here; nothing is downloaded."""

    def missing(what: str) -> None:
        if os.environ.get("SSLLAB_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{what} is missing, and SSLLAB_REQUIRE_BROWSER=1 asks for the browser tests")
        pytest.skip(f"{what} is missing")

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright (pip install playwright)")
    path = chromium()
    if path is None:
        missing("Chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        yield found
        found.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def store(root: Path) -> Store:
    """The server's runs, seen from outside."""
    return Store(root)


@pytest.fixture(scope="module")
def url(root: Path, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the real server; it is started only if there is a browser."""
    with serving(root, tmp_path_factory.mktemp("log") / "server.log") as server:
        yield server.url


@pytest.fixture
def tab(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open pages; at the end of the test none of them may have logged an error, asked another host or lost an exception."""
    opened, problems = [], []

    def open_page(address: str, **options: Any) -> Any:
        page = browser.new_page(**{"viewport": {"width": 1440, "height": 900}, **options})
        opened.append(page)
        page.on("console", lambda message: problems.append(message.text) if is_error(message) else None)
        page.on("response", lambda response: problems.append(refused(response)) if is_refused(response) else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(LOCAL) else problems.append(f"asked {request.url}"),
        )
        page.set_default_timeout(60_000)
        page.goto(address)
        return page

    yield open_page
    for page in opened:
        if page.is_closed():
            continue
        boxes = page.locator("[data-testid=stException]").count()
        broken = page.evaluate(BROKEN)
        page.close()
        assert not broken, "a picture on the page could not be loaded"
        assert not boxes, "an exception box stands on the page"
    assert not problems, problems


def is_error(message: Any) -> bool:
    """Whether a console message is an error of ours; what could not be loaded is told by its response, with its address."""
    return message.type == "error" and not message.text.startswith("Failed to load resource: the server responded")


def is_refused(response: Any) -> bool:
    """Whether something of ours was not there: a page below / looks for its server there before it looks at the root.

    Of pictures only those count that still stand on the page at the end: Streamlit forgets one that the next run of the
    script replaces, and a busy browser may ask for it after that.
    """
    return response.status >= 400 and "/_stcore/" not in response.url and "/media/" not in response.url


def refused(response: Any) -> str:
    return f"{response.url} answered {response.status}"


BROKEN = (
    "[...document.images].filter(one => one.currentSrc && one.complete && !one.naturalWidth).map(one => one.currentSrc)"
)
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
