"""The Runs page in a real Chromium: the table keeps what the reader did to it while its numbers change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from sslcore import events as ev
from sslcore import presets
from sslcore.lab import Lab
from sslcore.store import Store
from tests.fill_store import add_point, fill

Tab = Callable[..., Any]
HOSTILE = "<img src=x onerror=alert(1)> [l](http://c.d) :red[r]"
LONG = presets.build("smoke", "flexmatch", {"train.steps": 100_000})


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


@pytest.fixture(autouse=True)
def nothing_left(store: Store) -> Iterator[None]:
    yield
    for run in store.runs():
        if run.state in ev.ACTIVE:  # made up by this test: nobody trains it
            store.move(run.id, ev.STOPPED, only_from=ev.ACTIVE)
        store.delete(run.id)


@pytest.fixture
def runs_page(tab: Tab, url: str) -> Callable[..., Any]:
    """Open the page from the Train page, as a person does, and wait for its table."""

    def open_page(**options: Any) -> Any:
        page = tab(url, **options)
        narrow = options.get("viewport", {}).get("width", 1440) < 600
        if narrow:
            page.locator("[data-testid=stExpandSidebarButton]").click()
        page.get_by_role("link", name="Runs").click()
        page.locator(".ssl-runs tbody tr").first.wait_for()
        if narrow:
            page.locator("[data-testid=stSidebarCollapseButton] button").click()
        return page

    return open_page


def row(page: Any, run: str) -> Any:
    return page.locator(".ssl-runs tbody tr").filter(has_text=run)


def box(page: Any, run: str) -> Any:
    return row(page, run).locator("input")


def order(page: Any) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.ssl-runs tbody tr')].map(line => line.run)")  # type: ignore[no-any-return]


def in_sight(page: Any, run: str) -> bool:
    """Whether a row lies whole in the visible part of the table."""
    line = row(page, run).bounding_box()
    frame = page.locator(".ssl-runs .scroll").bounding_box()
    return bool(line and frame["y"] < line["y"] and line["y"] + line["height"] <= frame["y"] + frame["height"])


def asked(page: Any, name: str) -> str:
    return parse_qs(urlparse(page.evaluate("location.href")).query).get(name, [""])[0]


def selected(page: Any) -> list[str]:
    return page.evaluate(
        "[...document.querySelectorAll('.ssl-runs tbody tr')].filter(l => l.querySelector('input').checked).map(l => l.run)"
    )  # type: ignore[no-any-return]


def press(page: Any, name: str) -> None:
    page.locator("[data-testid=stMain], [role=dialog]").get_by_role("button", name=name, exact=True).last.click()


def x_range(chart: Any) -> list[float]:
    return [float(end) for end in chart.evaluate("node => [...node._fullLayout.xaxis.range]")]


def zoom(page: Any, chart: Any) -> list[float]:
    """Drag over the first fifth of a chart with the mouse; return the x range that this leaves."""
    whole = x_range(chart)
    place = chart.query_selector(".nsewdrag").bounding_box()
    y = place["y"] + place["height"] / 2
    page.mouse.move(place["x"] + 2, y)
    page.mouse.down()
    page.mouse.move(place["x"] + 0.2 * place["width"], y, steps=5)
    page.mouse.up()
    until(lambda: x_range(chart) != whole)
    time.sleep(0.2)  # until the zoom has come to rest
    return x_range(chart)


def test_selection_sort_filter_and_scroll_survive_live_refreshes(runs_page: Callable[..., Any], store: Store) -> None:
    others = [fill(store, ev.FINISHED, "fixmatch", points=2, frames=False) for _ in range(30)]
    live = fill(store, ev.RUNNING, points=1, frames=False, config=LONG)
    page = runs_page()
    page.get_by_role("textbox", name="Search").fill("match")  # fits all of them
    until(lambda: asked(page, "search") == "match")
    page.locator(".ssl-runs thead").get_by_role("button", name="Run", exact=True).click()
    until(lambda: asked(page, "sort") == "name")
    names = sorted([*others, live])
    until(lambda: order(page) == names)

    box(page, live).click()
    box(page, others[3]).click()
    page.get_by_text("Curves of 2 runs").wait_for()
    line = page.locator(".st-key-compare_1 .scatterlayer path.js-line").first
    until(
        lambda: (page.locator(".st-key-compare_1").scroll_into_view_if_needed(), line.count())[1]
    )  # drawn when in sight
    box(page, others[3]).evaluate("node => node.focus({ preventScroll: true })")
    scroll = page.locator(".ssl-runs .scroll")
    scroll.evaluate("node => node.scrollTop = 333")
    node = box(page, live).element_handle()
    chart = page.locator(".st-key-compare_1 .plot").element_handle()
    zoomed = zoom(page, chart)

    for i in range(3):
        add_point(store, live, LONG, 100 * (i + 1))
        until(lambda i=i: f"{100 * (i + 1)} /" in row(page, live).inner_text())
        assert set(selected(page)) == {live, others[3]} and order(page) == names
        assert scroll.evaluate("node => node.scrollTop") == 333
        assert node.evaluate("node => node.isConnected && node.checked"), "the row was built anew"
        assert page.evaluate("document.activeElement.closest('tr').run") == others[3]
        assert page.get_by_role("textbox", name="Search").input_value() == "match"
    remount = "box => import(new URL(box.dataset.script, document.baseURI).href).then(script => script.remove(box.parentElement))"
    page.locator(".ssl-runs").evaluate(remount)  # as Streamlit may do at any tick: the same place is drawn into again
    add_point(store, live, LONG, 400)
    until(lambda: page.locator(".ssl-runs").get_by_text("400 /").count())
    assert page.locator(".ssl-runs table").count() == 1 and set(selected(page)) == {live, others[3]}
    page.locator(".st-key-compare_1").scroll_into_view_if_needed()
    until(
        lambda: chart.evaluate("node => node._fullData.some(trace => trace.x.length === 5)")
    )  # the new points are drawn
    assert x_range(chart) == zoomed and chart.evaluate("node => node.isConnected")

    new = fill(store, ev.RUNNING, "fixmatch", points=1, frames=False, config=LONG)  # another process started one
    until(lambda: new in order(page))
    assert set(selected(page)) == {live, others[3]} and order(page) == sorted([*names, new])
    until(lambda: asked(page, "select") == f"{live},{others[3]}")
    href = page.evaluate("location.href")
    page.goto("about:blank")
    page.goto(href)  # the address brings all of it back
    until(lambda: len(order(page)) == 32)
    assert set(selected(page)) == {live, others[3]} and order(page) == sorted([*names, new])
    page.get_by_text("Curves of 2 runs").wait_for()


def test_many_quick_ticks_and_a_range_all_count(runs_page: Callable[..., Any], store: Store) -> None:
    for _ in range(12):
        fill(store, ev.FINISHED, "supervised", points=1, frames=False)
    page = runs_page()
    ids = order(page)
    for i in (0, 1, 2, 3, 1):  # the last one takes a tick away
        box(page, ids[i]).click(no_wait_after=True)
    until(lambda: asked(page, "select") == ",".join((ids[0], ids[2], ids[3])))
    assert selected(page) == [ids[0], ids[2], ids[3]]
    box(page, ids[9]).click(modifiers=["Shift"])
    box(page, ids[11]).click(modifiers=["Shift"])
    until(lambda: asked(page, "select").count(",") == len(ids) - 1)
    assert selected(page) == ids
    press(page, "Clear")
    until(lambda: not selected(page) and asked(page, "select") == "")


def test_a_range_begins_at_the_last_tick_also_in_a_table_that_was_built_anew(
    runs_page: Callable[..., Any], store: Store
) -> None:
    """Shift and a click on a row's words takes the range, too, instead of marking text."""
    for _ in range(8):
        fill(store, ev.FINISHED, "supervised", points=1, frames=False)
    page = runs_page()
    ids = order(page)
    box(page, ids[1]).click()
    until(lambda: asked(page, "select") == ids[1])
    page.get_by_role("link", name="Guide").click()
    page.locator(".st-key-tour_card").wait_for()
    time.sleep(4)  # longer than an address counts as late
    page.go_back()  # to the one that names what is selected
    page.locator(".ssl-runs tbody tr").first.wait_for()
    until(lambda: selected(page) == [ids[1]])
    box(page, ids[3]).click(modifiers=["Shift"])
    until(lambda: selected(page) == ids[1:4])
    row(page, ids[4]).locator(".c-method").click()
    row(page, ids[6]).locator(".c-method").click(modifiers=["Shift"])
    until(lambda: selected(page) == ids[1:7], 10)
    assert page.evaluate("String(getSelection())") == ""
    until(lambda: asked(page, "select") == ",".join(ids[1:7]))


def test_of_many_runs_more_are_shown_when_asked_for_and_all_can_be_ticked(
    runs_page: Callable[..., Any], store: Store
) -> None:
    run = fill(store, ev.FINISHED, "supervised", points=1, frames=False)
    with store._transaction() as db:
        columns = [row["name"] for row in db.execute("PRAGMA table_info(runs)") if row["name"] not in ("id", "name")]
        names = ", ".join(columns)
        for i in range(249):
            db.execute(
                f"INSERT INTO runs (id, name, {names}) SELECT 'r{i}', 'r{i}', {names} FROM runs WHERE id = ?", (run,)
            )
    page = runs_page()
    assert len(order(page)) == 200
    first = box(page, order(page)[0]).element_handle()
    page.locator(".ssl-runs thead input").click()
    page.get_by_text("250 selected").wait_for()
    page.locator(".ssl-runs .more").click()
    until(lambda: len(order(page)) == 250)
    assert (
        len(selected(page)) == 250 and asked(page, "rows") == "400" and not page.locator(".ssl-runs .more").is_visible()
    )
    assert first.evaluate("node => node.isConnected"), "the rows were built anew"
    page.locator(".ssl-runs thead input").click()
    page.get_by_text("250 selected").wait_for(state="detached")
    assert not selected(page)


def test_the_table_is_used_with_the_keyboard(runs_page: Callable[..., Any], store: Store) -> None:
    for _ in range(3):
        fill(store, ev.FINISHED, "supervised", points=1, frames=False)
    page = runs_page()
    ids = order(page)
    page.locator(".ssl-runs tbody input[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    until(lambda: asked(page, "select") == ids[1])
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    until(lambda: asked(page, "run") == ids[2])


def test_a_hostile_name_is_text_and_deleting_asks_first(runs_page: Callable[..., Any], store: Store) -> None:
    kept, gone = fill(store, ev.FINISHED), fill(store, ev.FAILED, "mixmatch")
    page = runs_page()
    box(page, gone).click()
    press(page, "Name and note")
    page.get_by_role("dialog").get_by_label("Name").fill(HOSTILE)
    page.get_by_role("dialog").get_by_label("Note").fill("=1+1 <b>note</b>")
    press(page, "Save")
    until(lambda: HOSTILE in row(page, gone).inner_text())
    assert store.run(gone).note == "=1+1 <b>note</b>" and "=1+1 <b>note</b>" in row(page, gone).inner_text()
    assert page.locator("[data-testid=stMain] img").count() == 0 and page.locator("a[href*='c.d']").count() == 0
    box(page, kept).click()
    page.get_by_text("Settings side by side").wait_for()
    legend = page.locator(".st-key-compare_1 .legendtext", has_text="<img src")
    until(lambda: (page.locator(".st-key-compare_1").scroll_into_view_if_needed(), legend.count())[1])
    assert page.locator("[data-testid=stMain] img").count() == 0
    box(page, kept).click()

    press(page, "Delete")
    page.get_by_role("dialog").get_by_text("will be gone for ever").wait_for()
    assert page.locator("[role=dialog] img").count() == 0
    press(page, "Keep")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert len(store.runs()) == 2
    press(page, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    until(lambda: [run.id for run in store.runs()] == [kept])
    until(lambda: order(page) == [kept])


def test_a_real_run_is_stopped_from_here_after_a_question(runs_page: Callable[..., Any], store: Store) -> None:
    lab = Lab(store)
    run = lab.start(LONG, preset="smoke")
    page = runs_page()
    until(lambda: store.run(run).step > 0)
    box(page, run).click()
    until(lambda: page.get_by_role("button", name="Stop", exact=True).is_enabled())
    press(page, "Stop")
    page.get_by_role("dialog").get_by_text("may be somebody else's").wait_for()
    shown = row(page, run).inner_text()
    until(lambda: row(page, run).inner_text() != shown)  # the page goes on behind the question
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    until(lambda: store.run(run).state == ev.STOPPED)
    until(lambda: "stopped" in row(page, run).inner_text())
    lab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scroll(runs_page: Callable[..., Any], store: Store, scheme: str) -> None:
    runs = [fill(store, ev.FINISHED), fill(store, ev.INTERRUPTED, "mixmatch", name="x" * 80)]
    page = runs_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for run in runs:
        box(page, run).click()
    page.get_by_text("Settings side by side").wait_for()
    assert page.locator("[data-testid=stMain]").evaluate("node => node.scrollWidth") <= 390
    page.locator(".ssl-runs .sorter select").select_option(label="Method")
    until(lambda: order(page) == [runs[0], runs[1]] and asked(page, "sort") == "method")
    ink = row(page, runs[0]).evaluate("node => getComputedStyle(node).color")
    assert ink == {"light": "rgb(28, 36, 48)", "dark": "rgb(232, 236, 243)"}[scheme]


def test_a_run_is_saved_and_taken_in_again_and_a_broken_file_is_one_sentence(
    runs_page: Callable[..., Any], browser: Any, store: Store, tmp_path: Path
) -> None:
    run = fill(store, ev.FINISHED, frames=False)
    page = runs_page()
    box(page, run).click()
    page.get_by_text("The command that reproduces this run").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    with page.expect_download() as csv:
        page.get_by_role("button", name="Metrics (CSV)").click()
    assert csv.value.suggested_filename == f"{run}.csv"
    assert Path(csv.value.path()).read_text().startswith("series,step,seconds,")
    with page.expect_download() as report:
        page.get_by_role("button", name="Report (HTML)").click()
    report.value.save_as(tmp_path / "report.html")
    opened = browser.new_page()
    opened.goto((tmp_path / "report.html").as_uri())
    assert run in opened.inner_text("body") and opened.locator("svg").count() >= 2
    opened.close()
    with page.expect_download() as whole:
        page.get_by_role("button", name="Everything (zip)").click()
    saved = tmp_path / "saved.zip"
    whole.value.save_as(saved)

    broken = tmp_path / "broken.zip"
    broken.write_bytes(saved.read_bytes()[:-400])
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Import").click()
    chooser = page.locator("[data-testid=stFileUploaderDropzoneInput]")
    chooser.set_input_files(broken)
    page.locator("[data-testid=stAlertContentError]").wait_for()
    assert page.locator("[data-testid=stAlertContentError]").count() == 1 and len(store.runs()) == 1

    for _ in range(15):  # later ones: in the table they come first
        fill(store, ev.FINISHED, "supervised", points=1, frames=False)
    page.get_by_role("textbox", name="Search").fill("supervised")
    until(lambda: len(order(page)) == 15)
    known = {one.id for one in store.runs()}
    chooser.set_input_files(saved)
    until(lambda: len(store.runs()) == 17)
    (new,) = {one.id for one in store.runs()} - known
    until(lambda: selected(page) == [new])  # the one that came in is chosen, whatever the filter, and in sight
    until(lambda: in_sight(page, new))
    assert asked(page, "search") == ""
