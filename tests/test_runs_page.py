"""The Runs page through Streamlit's test driver: table, filter, selection, actions. What needs a browser is in tests/browser/."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import queries, run_table, selection, text
from dashboard.run_table import Filter
from sslcore import events as ev
from sslcore import presets
from sslcore.lab import Lab
from sslcore.naming import describe
from sslcore.store import Store, StoreError
from tests.fill_store import fill
from tests.pages import opened
from tests.pages import store as store

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = "<b>x</b> [l](javascript:a) :red[r] $y$"


def page(*chosen: str, **params: str) -> AppTest:
    return opened("views/runs.py", **(params | ({"select": ",".join(chosen)} if chosen else {})))


def table(at: AppTest) -> dict[str, Any]:
    """What the table was given."""
    sent = (part.proto.bytes for part in at.get("bidi_component"))
    return next(json.loads(data) for data in sent if data.startswith(b'{"columns"'))  # type: ignore[no-any-return]


def shown(at: AppTest) -> list[str]:
    return [row[0] for row in table(at)["rows"]]


def charts(at: AppTest) -> dict[str, Any]:
    """The figures of the page by their name."""
    found = {}
    for part in at.get("bidi_component"):
        head, _, figure = part.proto.bytes.partition(b"\n")
        if figure:
            found[json.loads(head)["name"]] = json.loads(figure)
    return found


def enabled(at: AppTest) -> set[str]:
    return {button.key for button in at.button if button.key and not button.disabled}


def words(at: AppTest) -> str:
    return "\n".join(str(part.value) for part in (*at.markdown, *at.caption, *at.subheader, *at.info))


def side_by_side(at: AppTest) -> str:
    return next(body for part in at.get("html") if "ssl-diff" in (body := part.proto.body))


@pytest.mark.parametrize("state", ev.STATES)
def test_the_page_draws_a_selected_run_in_every_state(store: Store, state: str) -> None:
    run = fill(store, state)
    at = page(run)
    assert table(at)["selected"] == [run]
    cells = dict(zip([column[0] for column in table(at)["columns"]], table(at)["rows"][0][1:], strict=True))
    assert cells["state"] == state
    failed = state in (ev.FAILED, ev.DIVERGED)
    assert bool(at.error) == failed
    assert any("Traceback" in part.value for part in at.code) == (state == ev.FAILED)
    assert (f"python -m sslcore resume {run}" in words(at)) == (state == ev.INTERRUPTED)


def test_without_a_run_it_says_where_to_start_one(store: Store) -> None:
    at = page()
    assert text.RUNS_EMPTY in words(at)
    assert not [part for part in at.get("bidi_component") if part.proto.bytes], "an empty table, or a chart of nothing"


def test_a_failed_run_shows_its_reason_and_traceback_as_text(store: Store) -> None:
    at = page(fill(store, ev.FAILED))
    assert at.error[0].value == r"RuntimeError\: out of \*memory\* \<b\>"
    assert at.code[0].value.startswith("Traceback (most recent call last)")


def test_the_filter_and_the_order_stand_in_the_url(store: Store) -> None:
    flex, fix = fill(store, ev.FINISHED), fill(store, ev.PAUSED, "fixmatch", name="Exam")
    mix = fill(store, ev.FINISHED, "mixmatch")
    assert shown(page()) == [mix, fix, flex]
    assert shown(page(sort="method")) == [fix, flex, mix]
    assert shown(page(sort="nonsense")) == [mix, fix, flex]
    assert shown(page(search="exam")) == [fix]
    assert shown(page(states="finished")) == [mix, flex]
    assert shown(page(methods="MixMatch")) == [mix]
    assert shown(page(sets="Digits", search="match", sort="name")) == [fix, flex, mix]
    none = page(search="no such run")
    assert shown(none) == [] and table(none)["nothing"] == text.RUNS_NONE_FIT and "0 of 3 runs" in words(none)


def test_the_filter_widgets_do_the_same(store: Store) -> None:
    flex, fix = fill(store, ev.FINISHED), fill(store, ev.PAUSED, "fixmatch")
    at = page()
    at.text_input(key="search").set_value("fix").run()
    assert shown(at) == [fix]
    at.text_input(key="search").set_value("").run()
    at.multiselect(key="methods").set_value(["flexmatch"]).run()
    assert shown(at) == [flex]


def test_a_hidden_run_stays_selected_and_is_counted(store: Store) -> None:
    flex, fix = fill(store, ev.FINISHED), fill(store, ev.PAUSED, "fixmatch")
    at = page(flex, fix, search="flex")
    assert shown(at) == [flex] and "**2 selected**, 1 of them hidden by the filter" in words(at)
    at.button(key="clear").click().run()
    assert table(at)["selected"] == [] and "select" not in at.query_params and text.RUNS_PICK in words(at)


def test_runs_of_the_url_that_are_gone_are_forgotten(store: Store) -> None:
    run = fill(store, ev.FINISHED)
    at = page("gone", run, "<b>")
    assert table(at)["selected"] == [run] and at.query_params["select"] == run


def test_two_runs_are_drawn_over_each_other_and_their_differences_named(store: Store) -> None:
    config_b = presets.build("smoke", "flexmatch", {"train.steps": 80, "optim.lr": 0.05})
    a, b = fill(store, ev.FINISHED), fill(store, ev.FINISHED, config=config_b)
    at = page(a, b)
    drawn = charts(at)
    assert set(drawn) == {"compare_0", "compare_1", "compare_2", "compare_3", "compare_other"}
    for figure in drawn.values():
        assert len(figure["data"]) == 2
        assert len({(trace["line"]["color"], trace["line"]["dash"], trace["name"]) for trace in figure["data"]}) == 2
    assert set(table(at)["marks"]) == {a, b}
    settings = side_by_side(at)
    assert "optim.lr" in settings and "0.05" in settings and "data.source" not in settings
    at.toggle(key="all_settings").set_value(True).run()
    assert "data.source" in side_by_side(at)


def test_the_axis_and_the_metric_can_be_chosen(store: Store) -> None:
    a, b = fill(store, ev.FINISHED), fill(store, ev.FINISHED, "supervised")
    at = page(a, b, over="Images", metric="Learning rate")
    drawn = charts(at)
    assert drawn["compare_0"]["layout"]["xaxis"]["range"] == [0, 80 * 50]
    assert at.selectbox(key="metric").value == "optim/lr"
    assert len(drawn["compare_other"]["data"]) == 2 and len(drawn["compare_2"]["data"]) == 1  # no mask in Supervised
    at.get_by_key("over").set_value("seconds").run()
    assert charts(at)["compare_0"]["layout"]["xaxis"]["range"] == [0, 2.0]


def test_methods_without_a_mask_have_no_empty_chart_of_it(store: Store) -> None:
    at = page(fill(store, ev.FINISHED, "supervised"), fill(store, ev.STOPPED, "supervised"))
    assert set(charts(at)) == {"compare_0", "compare_1", "compare_other"}


@pytest.mark.parametrize(
    ("state", "can"),
    [
        (ev.QUEUED, {"pause", "stop"}), (ev.RUNNING, {"pause", "stop"}), (ev.PAUSED, {"resume", "step", "stop", "delete"}),
        (ev.FINISHED, {"delete"}), (ev.FAILED, {"resume", "step", "delete"}), (ev.STOPPING, set()),
    ],
)  # fmt: skip
def test_only_what_makes_sense_can_be_pressed(store: Store, state: str, can: set[str]) -> None:
    at = page(fill(store, state))
    names = {"pause", "resume", "step", "stop", "delete"}
    assert {key.removesuffix("_selected") for key in enabled(at)} & names == can
    assert {"open_selected", "describe_selected"} <= enabled(at)


def test_nothing_can_be_pressed_without_a_selection(store: Store) -> None:
    fill(store, ev.FINISHED)
    assert not {key for key in enabled(page()) if key.endswith("_selected")}


def test_commands_reach_every_selected_run_that_they_fit(store: Store) -> None:
    paused, waiting, done = fill(store, ev.PAUSED), fill(store, ev.QUEUED), fill(store, ev.FINISHED)
    at = page(paused, waiting, done)
    at.button(key="pause_selected").click().run()
    assert [store.run(run).state for run in (paused, waiting, done)] == [ev.PAUSED, ev.PAUSED, ev.FINISHED]
    at.button(key="resume_selected").click().run()
    assert [store.run(run).state for run in (paused, waiting, done)] == [ev.QUEUED, ev.QUEUED, ev.FINISHED]
    at.button(key="stop_selected").click().run()
    assert [store.run(run).state for run in (paused, waiting, done)] == [ev.STOPPED, ev.STOPPED, ev.FINISHED]


def test_a_run_that_this_tab_did_not_start_is_asked_about_before_it_is_stopped(store: Store) -> None:
    run = fill(store, ev.RUNNING, name=HOSTILE)
    at = page(run)
    at.button(key="stop_selected").click().run()
    assert store.run(run).state == ev.RUNNING and any(button.label == "Leave running" for button in at.button)
    assert text.escape(HOSTILE) in words(at)
    at.button(key="pause_selected").click().run()  # the question does not vanish when the page is drawn anew
    assert any(button.label == "Leave running" for button in at.button)


def test_deleting_asks_first(store: Store) -> None:
    run, other = fill(store, ev.FINISHED), fill(store, ev.RUNNING)
    at = page(run, other)
    at.button(key="delete_selected").click().run()
    assert len(store.runs()) == 2 and "1 run with curves" in words(at)  # the running one is not among them


def test_a_typed_name_and_note_are_cleaned_limited_and_only_text(store: Store) -> None:
    run = fill(store, ev.FINISHED, "fixmatch")
    describe(store, run, f"  {HOSTILE}\n\u202e ", "line one\nline two\x00 ")
    assert (store.run(run).name, store.run(run).note) == (HOSTILE, "line one\nline two")
    for name, note, told in (
        ("x" * 81, "", "name of a run may have up to 80 characters, got 81"),
        ("", "x" * 2001, "up to 2,000"),
    ):
        with pytest.raises(StoreError, match=told):
            describe(store, run, name, note)
    assert store.run(run).name == HOSTILE
    at = page(run)
    assert table(at)["rows"][0][1] == [HOSTILE, run]  # the component sets it as text
    assert "<b>" not in words(at) and not any(part.proto.allow_html for part in at.markdown)
    at.button(key="describe_selected").click().run()
    assert [part.value for part in at.text_input if part.label == "Name"] == [HOSTILE]
    describe(store, run, " \t ", "")
    assert store.run(run).name == run


def test_opening_a_run_shows_it_on_the_train_page(store: Store) -> None:
    run = fill(store, ev.FINISHED)
    fill(store, ev.FINISHED, "mixmatch")
    at = page(run)
    at.button(key="open_selected").click().run()
    assert at.query_params["run"] == run and "FlexMatch" in at.subheader[0].value


def test_ten_of_many_selected_runs_are_drawn(store: Store) -> None:
    runs = [fill(store, ev.FINISHED, "supervised", points=5, frames=False) for _ in range(12)]
    at = page(*runs)
    assert len(charts(at)["compare_0"]["data"]) == 10 and "first 10" in words(at)


def test_the_browser_is_believed_once_and_a_foreign_url_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    params: dict[str, str] = {}
    monkeypatch.setattr(selection.st, "session_state", state)
    monkeypatch.setattr(selection.st, "query_params", params)
    state[selection.TABLE] = {"picked": {"ids": ["a", "b"], "n": 1}, "sort": "name", "open": None}
    selection.take_in()
    assert selection.selected() == ["a", "b"] and params == {"select": "a,b", "sort": "name"} and selection.heard() == 1
    selection.select(["b"])  # one was deleted
    selection.take_in()  # the same words of the browser again: already heard
    assert selection.selected() == ["b"] and params["select"] == "b"
    params["select"] = "a,b"  # a request that was under way carries the address of before
    assert selection.selected() == ["b"] and params["select"] == "b"
    params["select"] = "c,c,"  # a shared link
    assert selection.selected() == ["c"]
    selection.select(["d"])
    monkeypatch.setattr(selection, "LATE", 0.0)
    params["select"] = "c"  # much later: the Back button
    assert selection.selected() == ["c"]
    monkeypatch.undo()
    monkeypatch.setattr(selection.st, "session_state", state)
    monkeypatch.setattr(selection.st, "query_params", params)
    state[selection.TABLE] = {"picked": {"ids": [], "n": 2}, "sort": "-created", "open": "c"}
    selection.take_in()
    assert selection.selected() == [] and params == {} and state["open_run"] == "c"
    many = [f"run{i}" for i in range(100)]
    selection.select(many)
    assert selection.selected() == many and len(params["select"]) < 300
    state[selection.TABLE] = {"picked": "nonsense", "sort": "nonsense", "open": None}
    selection.take_in()
    assert selection.selected() == many and selection.sort() == "-created"


def test_a_run_of_the_command_line_appears_and_is_paused_and_stopped_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path))
    monkeypatch.setattr(Lab, "warm_up", lambda self, then: None)
    config.set_option("server.enableStaticServing", True)
    store = queries.store()

    def until(condition: Any) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, [run.state for run in store.runs()]
            time.sleep(0.05)

    command = [
        sys.executable,
        "-m",
        "sslcore",
        "train",
        "--preset",
        "smoke",
        "--steps",
        "1000000",
        "--device",
        "cpu",
        "--json",
    ]
    for button, state, status in (("pause_selected", ev.PAUSED, 130), ("stop_selected", ev.STOPPED, 130)):
        process = subprocess.Popen(
            [*command, "--root", str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            until(lambda: any(run.state == ev.RUNNING and run.step > 0 for run in store.runs()))
            run = store.runs()[0]
            at = page(run.id)
            assert shown(at)[0] == run.id and run.pid == process.pid
            at.session_state["mine"] = {run.id}
            at.button(key=button).click().run()
            until(lambda run=run, state=state: store.run(run.id).state == state)
            assert process.wait(20) == status
        finally:
            process.kill()
            process.communicate()


def saved(store: Store, run: str, tmp_path: Path) -> bytes:
    from sslcore import transfer

    transfer.export_run(store, run, tmp_path / "saved.zip")
    return (tmp_path / "saved.zip").read_bytes()


def test_an_imported_run_is_selected_and_a_bad_file_is_one_sentence(store: Store, tmp_path: Path) -> None:
    run = fill(store, ev.FINISHED, frames=False)
    whole = saved(store, run, tmp_path)
    store.delete(run)
    at = page()
    at.file_uploader[0].upload("run.zip", b"not a zip").run()
    assert len(at.error) == 1 and not at.exception and not store.runs()
    at.run()
    assert len(at.error) == 1  # still told, not tried again
    fill(store, ev.FINISHED, "mixmatch", frames=False)
    at.run()
    at.text_input(key="search").set_value("mixmatch").run()
    at.file_uploader[0].upload("run.zip", whole).run()
    assert not at.error, at.error[0].value
    assert at.text_input(key="search").value == "" and run in shown(at), "a filter must not hide it"
    assert table(at)["selected"] == [run]


def test_the_command_that_makes_a_run_again_is_shown(store: Store) -> None:
    config = presets.build("smoke", "fixmatch", {"train.steps": 80, "optim.lr": 0.05})
    at = page(fill(store, ev.FINISHED, "fixmatch", config=config))
    command = next(part.value for part in at.code if part.value.startswith("python -m sslcore train"))
    assert "--method fixmatch" in command and "optim.lr=0.05" in command


def test_what_is_saved_is_made_only_when_it_is_asked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard import run_files

    run, other = fill(store, ev.FINISHED, name=HOSTILE, frames=False), fill(store, ev.FAILED, "mixmatch", frames=False)
    with monkeypatch.context() as patch:
        for module, name in (
            (run_files.transfer, "export_run"),
            (run_files.tables, "metrics_csv"),
            (run_files.report, "html_report"),
        ):
            patch.setattr(module, name, lambda *args: pytest.fail("made while the page was drawn"))
        assert saveable(page(run)) == {"Report (HTML)", "Everything (zip)", "Metrics (CSV)"}
        assert saveable(page(run, other)) == {"Report (HTML)"}
        assert saveable(page()) == set()
    assert run_files._zip(run)[:2] == b"PK" and run_files._csv(run).startswith(b"series,step,seconds")
    html = run_files._report([run, other]).decode()
    assert html.startswith("<!doctype html>") and "<b>x</b>" not in html and other in html


def saveable(at: AppTest) -> set[str]:
    return {part.proto.label for part in at.get("download_button") if not part.proto.disabled}


def many(store: Store, count: int) -> str:
    """Copies of one finished run."""
    run = fill(store, ev.FINISHED, points=1, frames=False)
    with store._transaction() as db:
        columns = [row["name"] for row in db.execute("PRAGMA table_info(runs)") if row["name"] not in ("id", "name")]
        names = ", ".join(columns)
        for i in range(count - 1):
            db.execute(
                f"INSERT INTO runs (id, name, {names}) SELECT 'r{i}', 'r{i}', {names} FROM runs WHERE id = ?", (run,)
            )
    return run


def test_of_many_runs_some_are_drawn_and_more_when_asked_for(store: Store) -> None:
    many(store, 450)
    at = page()
    assert len(shown(at)) == 200 and len(table(at)["rest"]) == 250 and not {*shown(at)} & {*table(at)["rest"]}
    assert table(at)["more"] == "200 of 450 runs are listed: show more" and "450 runs" in words(at)
    at = page(rows="400")
    assert len(shown(at)) == 400 and len(table(at)["rest"]) == 50
    at = page(rows="600")
    assert len(shown(at)) == 450 and table(at)["rest"] == [] and table(at)["more"] == ""
    for bad in ("-1", "nan", "0", "9" * 30):
        assert len(shown(page(rows=bad))) == 200


def test_thousands_of_runs_are_listed_at_once(store: Store) -> None:
    many(store, 2000)
    assert len(shown(page())) == 200
    queries.runs()
    began = time.process_time()
    found = queries.runs()
    fits = run_table.ordered([one for one in found if Filter("flex").fits(one)], "-test")
    rows = [run_table.row(one, run_table.COLUMNS) for one in fits[:200]]
    took = time.process_time() - began
    assert len(fits) == 2000 and len(rows) == 200 and took < 0.15, took  # each second: a small share of a core
