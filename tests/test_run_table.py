"""The table of the Runs page as numbers and words: what a filter keeps, how runs are ordered, what stands in a cell."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dashboard import run_table
from dashboard.run_table import COLUMNS, Filter
from sslcore import events as ev
from sslcore import presets
from sslcore.events import Run
from sslcore.store import Store
from tests.fill_store import fill


@pytest.fixture
def run(tmp_path: Path) -> Run:
    store = Store(tmp_path)
    return store.run(fill(store, ev.FINISHED, points=1, frames=False, config=presets.build("smoke", "fixmatch")))


def ids(runs: list[Run]) -> list[str]:
    return [one.id for one in runs]


def test_a_few_chosen_runs_are_drawn_wherever_they_stand(run: Run) -> None:
    runs = [dataclasses.replace(run, id=str(place)) for place in range(30)]
    assert ids(run_table.in_sight(runs, ["25", "2"], 4)) == [
        "0",
        "1",
        "2",
        "25",
        *(str(k) for k in range(3, 30) if k != 25),
    ]
    for chosen in ([], ["3"], ["gone"], ids(runs)):
        assert ids(run_table.in_sight(runs, chosen, 4)) == ids(runs), "nothing moves"


@pytest.mark.parametrize(
    "words", ["", "fixmatch", "FIX match", "digits", "exam", "second lesson", "c0ffee", "smoke exam lesson"]
)
def test_every_word_must_stand_somewhere_in_the_run(run: Run, words: str) -> None:
    run = dataclasses.replace(run, id="fixmatch-20-s0-c0ffee", name="Exam smoke", note="second *lesson*")
    assert Filter(words).fits(run)
    assert not Filter(words + " flexmatch").fits(run)


def test_a_choice_of_states_methods_or_data_leaves_only_those(run: Run) -> None:
    assert Filter(states=(ev.FINISHED, ev.FAILED), methods=("fixmatch",), data=("digits",)).fits(run)
    for other in (Filter(states=(ev.FAILED,)), Filter(methods=("mixmatch",)), Filter(data=("cifar10",))):
        assert not other.fits(run)


def test_every_column_orders_both_ways_and_runs_without_a_value_stand_last(run: Run) -> None:
    best = [0.5, None, 0.9, 0.7]
    runs = [
        dataclasses.replace(run, id=f"{i}", summary={} if value is None else {"test_accuracy_at_best": value})
        for i, value in enumerate(best)
    ]
    assert ids(run_table.ordered(runs, "best")) == ["0", "3", "2", "1"]
    assert ids(run_table.ordered(runs, "-best")) == ["2", "3", "0", "1"]
    for column in COLUMNS:
        for sort in (column.name, f"-{column.name}"):
            found = run_table.ordered(runs, sort)
            values = [value for one in found if (value := column.order(one)) is not None]
            assert sorted(ids(found)) == ["0", "1", "2", "3"]
            assert values == sorted(values, reverse=sort.startswith("-"))  # type: ignore[type-var]


def test_a_made_up_order_is_the_newest_first(run: Run) -> None:
    runs = [dataclasses.replace(run, id=f"{i}", created=created) for i, created in enumerate([2.0, 9.0, 5.0])]
    for sort in ("-created", "", "nonsense", "--name", "-"):
        assert ids(run_table.ordered(runs, sort)) == ["1", "2", "0"]


def test_cells_say_what_the_run_says(run: Run) -> None:
    run = dataclasses.replace(
        run, name="mine", note="a\nb", step=15, steps=60, seconds=75.2, created=1000.4, labels=12345
    )
    columns = run_table.shown_columns([run])
    values = run_table.row(run, columns)
    assert values[0] == run.id
    found = dict(zip([column.name for column in columns], values[1:], strict=True))
    assert found == {
        "name": ["mine", run.id], "state": "finished", "method": "FixMatch", "data": "Digits", "labels": "12,345", "seed": "0",
        "progress": [0.25, "15 / 60"], "test": "97.1 %", "raw": "96.5 %", "seconds": "1 min 15 s", "created": 1000, "note": "a b",
    }  # fmt: skip
    young = dict(
        zip(
            [c.name for c in columns],
            run_table.row(dataclasses.replace(run, name=run.id, summary={}), columns)[1:],
            strict=True,
        )
    )
    assert young["test"] == young["raw"] == "\u2013" and young["name"] == [run.id, ""]


def test_the_column_of_the_best_weights_appears_with_the_first_validation_part(run: Run) -> None:
    with_best = dataclasses.replace(run, summary={"test_accuracy_at_best": 0.5})
    assert "best" not in [column.name for column in run_table.shown_columns([run])]
    assert "best" in [column.name for column in run_table.shown_columns([run, with_best])]
