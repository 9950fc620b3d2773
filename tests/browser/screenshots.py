"""Take the pictures of the README: `python -m tests.browser.screenshots`. Trains one real lesson and one sweep on the real page.

Writes train-{light,dark}.png (wide), train-phone-{light,dark}.png (390 px) and images-{light,dark}.png (the sheet of
unlabelled images) into dashboard/static/, curves-light.png of the digits curve, and runs-light.png of four of its runs.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from sslcore.store import Store
from tests.browser.serving import ARGS, ROOT, chromium, serving

STATIC = ROOT / "dashboard" / "static"
WIDE, PHONE = (1440, 1236), (390, 844)


def train(browser: Any, address: str) -> str:
    """Press Start, wait for the end of the run and return the URL that shows it."""
    page = browser.new_page()
    page.goto(address)
    page.locator("[data-testid=stMain]").get_by_role("button", name="Start").click()
    page.get_by_text("test images right").wait_for(timeout=300_000)
    url = str(page.url)
    page.close()
    return url


def sweep(browser: Any, address: str) -> str:
    """Run the digits curve with two seeds on the real page and return the URL that shows it: some minutes."""
    page = browser.new_page()
    page.goto(f"{address}curves?sweep=Digits+curve&seeds=0,1&at=10+labels&goal=95")
    # Start, or Go on: the run of the other pictures is one of its cells.
    page.locator(".st-key-sweep_start button").first.click()
    page.get_by_text("40 of 40 runs finished").wait_for(timeout=3_000_000)
    url = str(page.url)
    page.close()
    return url


def shoot(browser: Any, url: str, name: str, scheme: str, size: tuple[int, int]) -> None:
    """Save what the page shows at this window size in light or dark, once a heading stands on it."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.goto(url)
    page.locator("[data-testid=stMain] h3").first.wait_for()
    time.sleep(6)  # charts are drawn once plotly's JavaScript is there
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(255).save(STATIC / f"{name}.png", optimize=True)
    page.close()


def main() -> None:
    path = chromium()
    if path is None:
        sys.exit("no Chromium found; apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "runs", Path(folder) / "server.log") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        url = train(browser, server.url)
        for scheme in ("light", "dark"):
            shoot(browser, url, f"train-{scheme}", scheme, WIDE)
            shoot(browser, url, f"train-phone-{scheme}", scheme, PHONE)
        query = url.partition("?")[2]
        for name in ("augment", "pseudo", "time"):
            shoot(browser, f"{server.url}{name}?{query}", f"{name}-light", "light", WIDE)
        shoot(browser, sweep(browser, server.url), "curves-light", "light", (1440, 1900))
        four = ",".join(run.id for run in Store(Path(folder) / "runs").runs() if (run.labels, run.seed) == (40, 0))
        shoot(browser, f"{server.url}runs?search=40-s0&select={four}", "runs-light", "light", WIDE)
        browser.close()


if __name__ == "__main__":
    main()
