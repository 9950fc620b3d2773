"""What a person waits for: `python -m tests.browser.timings [--rounds 5]`. Prints medians; nothing is asserted.

Cold start: from `streamlit run` until the Start button can be pressed, in a Chromium that is already open. First point: from
the click on Start until the loss chart has a line, engine warm. Long tasks: the browser's own count of moments over 50 ms in
10 s of watching a run. Timings mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.serving import ARGS, UNWATCHED, chromium, serving
from tests.browser.watchers import calm

LINE = ".st-key-chart_loss .scatterlayer path.js-line"
LONG = "?device=CPU&steps=100000"  # the lesson, so long that it does not end
WATCH = """() => { window.long = []; new PerformanceObserver(list => window.long.push(...list.getEntries().map(e => e.duration)))
  .observe({ entryTypes: ["longtask"] }) }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    path = chromium()
    if path is None:
        sys.exit("no Chromium found; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        browser.new_page().goto("about:blank")
        cold, first, tasks = [], [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                with serving(Path(folder) / "runs", Path(folder) / "log", options=UNWATCHED) as server:
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    page.goto(server.url + LONG)
                    button = page.locator(".st-key-start button:enabled").first
                    button.wait_for()
                    cold.append(time.perf_counter() - began)
                    calm(server.process.pid)  # a person reads; the engine is imported meanwhile
                    first.append(first_point(page, button))
                    time.sleep(3)
                    page.evaluate(WATCH)
                    time.sleep(10)
                    tasks.append(page.evaluate("window.long"))
                    page.locator(".st-key-stop button").first.click()
                    page.close()
        browser.close()
    show("cold start to interactive page", cold)
    show("Start to first point", first)
    longest = [max(found, default=0.0) for found in tasks]
    over = [sum(each > 100 for each in found) for found in tasks]
    print(f"long tasks in 10 s: {[len(found) for found in tasks]} over 50 ms, {over} over 100 ms, longest {longest} ms")


def first_point(page: Any, button: Any) -> float:
    """Seconds from the click until the loss chart has a line."""
    page.evaluate(
        """line => { document.querySelector('.st-key-start button').addEventListener('click', () => { window.clicked = performance.now() }, true)
        const look = () => { const d = document.querySelector(line)?.getAttribute('d')
          if (window.clicked && d) window.waited = performance.now() - window.clicked; else requestAnimationFrame(look) }
        look() }""",
        LINE,
    )
    button.click()
    page.wait_for_function("window.waited")
    return float(page.evaluate("window.waited")) / 1000


def show(what: str, values: list[float]) -> None:
    print(
        f"{what}: median {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f}, n = {len(values)})"
    )


if __name__ == "__main__":
    main()
