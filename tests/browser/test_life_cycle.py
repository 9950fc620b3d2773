"""What may happen to a server and its pages while a run trains: no run is lost, doubled or left without an owner.

A closed tab, a reload and a second tab stand in `test_train_page.py`.
"""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sslcore import checkpoint
from sslcore import events as ev
from sslcore.naming import describe
from sslcore.store import Store
from tests.browser.serving import ROOT, Server, serving, start_server
from tests.browser.test_train_page import LONG, pill, press, start, step, until
from tests.fill_store import fill

EXIT_SECONDS = 5.0


def page_of(browser: Any, server: Server, query: str = "") -> Any:
    """A page without the fixture's watch over the console: a server that ends is an error there."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(server.url + query)
    return page


def resume(page: Any, store: Store, run: str) -> None:
    """Press Resume and see the run go on from its checkpoint."""
    at = checkpoint.load(store.folder(run) / checkpoint.LAST)["step"]
    press(page, "Resume")
    until(lambda: step(page) > at)
    pill(page, "running")
    first = next(event for event in reversed(store.events(run)) if event.data.get("state") == ev.RUNNING)
    assert first.step >= at, "steps were taken twice"


def only_run(store: Store) -> ev.Run:
    runs = store.runs()
    assert len(runs) == 1
    return runs[0]


def test_ctrl_c_ends_quickly_and_the_run_can_be_resumed(browser: Any, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    server = start_server(tmp_path / "runs", tmp_path / "log")
    page = page_of(browser, server, LONG)
    run = start(page)
    assert server.end(signal.SIGINT) < EXIT_SECONDS
    page.close()
    assert "Traceback" not in server.log.read_text()
    left = only_run(store)
    store.reconcile()
    assert store.run(run).state == ev.INTERRUPTED
    assert checkpoint.load(store.folder(run) / checkpoint.LAST)["step"] == left.step > 0, "the last steps were lost"

    with serving(tmp_path / "runs", tmp_path / "log") as second:
        page = page_of(browser, second, f"?run={run}")
        pill(page, "interrupted")
        resume(page, store, run)
        page.close()
    assert only_run(store).id == run


def test_a_killed_server_loses_no_run(browser: Any, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    server = start_server(tmp_path / "runs", tmp_path / "log")
    page = page_of(browser, server, LONG)
    run = start(page)
    press(page, "Start")  # a second one waits behind it
    until(lambda: len(store.runs()) == 2)
    until(lambda: (store.folder(run) / checkpoint.LAST).exists())
    server.end(signal.SIGKILL)
    page.close()

    with serving(tmp_path / "runs", tmp_path / "log") as second:
        page = page_of(browser, second, f"?run={run}")
        pill(page, "interrupted")
        waiting = next(found for found in store.runs() if found.id != run)
        time.sleep(1.5)
        assert store.run(waiting.id).state == ev.QUEUED, "a dead server's queue waits for a person"
        resume(page, store, run)
        page.close()
    assert len(store.runs()) == 2


@pytest.mark.parametrize("accident", ["clear cache", "edit a page"])
def test_the_trainer_outlives_the_page_code(browser: Any, tmp_path: Path, accident: str) -> None:
    tree = tmp_path / "tree"
    for name in ("dashboard", "sslcore", ".streamlit"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    store = Store(tmp_path / "runs")
    options = ["--client.toolbarMode", "developer", "--server.runOnSave", "true", "--server.fileWatcherType", "poll"]
    variables = {
        "PYTHONPATH": str(tree)
    }  # as editors set it: Streamlit then watches, and drops, all modules of the tree
    with serving(tmp_path / "runs", tmp_path / "log", tree=tree, options=options, variables=variables) as server:
        page = page_of(browser, server, LONG)
        run = start(page)
        if accident == "clear cache":
            page.locator("body").press("c")
            page.get_by_role("dialog").get_by_role("button", name="Clear caches").click()
            page.reload()
        else:
            for name, old, new in (
                ("text.py", '"flexmatch": "FlexMatch"', '"flexmatch": "FlexMatch, edited"'),
                ("queries.py", "from __future__", "# edited\nfrom __future__"),
                ("views/train.py", "import time", "# edited\nimport time"),
            ):
                path = tree / "dashboard" / name
                source = path.read_text()
                assert old in source
                path.write_text(source.replace(old, new))
            page.locator("h3", has_text="FlexMatch, edited").wait_for()
        pill(page, "running")
        at = step(page)
        until(lambda: step(page) > at)
        found = only_run(store)
        assert (found.id, found.state, found.pid) == (run, ev.RUNNING, server.process.pid)
        # Had the page code got itself a second trainer, a second run would start beside the first one.
        press(page, "Start")
        until(lambda: len(store.runs()) == 2)
        time.sleep(1.5)
        assert sorted(each.state for each in store.runs()) == [ev.QUEUED, ev.RUNNING]
        page.close()


@pytest.mark.parametrize("name", ["Train", "Time machine", "Pseudo-labels"])
def test_each_tab_says_what_another_one_did_to_its_run(tab: Any, url: str, store: Store, name: str) -> None:
    left, run = fill(store, ev.FINISHED, "mixmatch"), fill(store, ev.PAUSED)
    path = {"Train": "", "Time machine": "time", "Pseudo-labels": "pseudo"}[name]
    page = tab(f"{url}{path}?run={run}")
    main = page.locator("[data-testid=stMain]")
    shown = main.get_by_role("heading") if name == "Train" else main.get_by_role("combobox", name="Run")
    shown.first.wait_for()

    def says(words: str) -> None:
        until(lambda: words in (shown.first.inner_text() if name == "Train" else shown.first.input_value()))

    says("FlexMatch · Digits")
    describe(store, run, "Our Friday run", "")
    says("Our Friday run · FlexMatch")  # the browser keeps the old words in its list until it is told others
    store.move(run, ev.STOPPED, only_from=[ev.PAUSED])
    main.get_by_text("stopped").first.wait_for() if name == "Train" else says("stopped")
    store.delete(run)
    main.get_by_text(f"There is no run {run} in this folder").wait_for()
    says("MixMatch · Digits")
    store.delete(left)
