"""CSV: every point is there, and no cell is a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from sslcore import events as ev
from sslcore.store import Store
from sslcore.tables import csv_line, metrics_csv
from tests.fill_store import fill


def test_every_logged_point_is_a_row(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = fill(store, ev.FINISHED, "fixmatch", points=30, frames=False)
    more = [ev.MetricPoint(ev.TRAIN, 60 + k, 2.0, {"train/loss": 0.5, "train/new": -k / 3}) for k in range(1000)]
    store.log(run_id, more)
    rows = list(csv.DictReader(io.StringIO(metrics_csv(store, run_id))))
    assert len(rows) == 30 + 6 + 1000 and {row["series"] for row in rows} == {"train", "eval"}
    assert list(rows[0])[:3] == ["series", "step", "seconds"] and "eval/test/accuracy/raw" in rows[0]
    for series in (ev.TRAIN, ev.EVAL):
        mine, stored = [row for row in rows if row["series"] == series], store.points(run_id, series, limit=10_000)
        for name, column in stored.items():
            told = [float(row[name]) if row[name] else float("nan") for row in mine]
            assert told == pytest.approx(column.tolist(), nan_ok=True), name


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd|x", "@SUM(A1)", "\tx", "\r=1", '=HYPERLINK("x")'])
def test_no_cell_is_a_formula(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_line([text, "plain, with comma", -1.5, None]), newline=""))
    assert row == [f"'{text}", "plain, with comma", "-1.5", ""]
