"""CSV for people and spreadsheets: no cell is ever a formula. Standard library only."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sslcore.store import Store

PIECE = 1 << 16  # characters


def safe_cell(value: Any) -> Any:
    """Return a cell that a spreadsheet shows as it is: text that would begin a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value


def csv_line(cells: Sequence[Any]) -> str:
    """Return one line of CSV as RFC 4180 has it; None is an empty cell."""
    out = io.StringIO()
    csv.writer(out).writerow([safe_cell(cell) for cell in cells])
    return out.getvalue()


def metrics_csv(store: Store, run_id: str) -> str:
    """Return every logged point of a run, unthinned: series, step, seconds, then all metrics of either series."""
    return "".join(metrics_csv_pieces(store, run_id))


def metrics_csv_pieces(store: Store, run_id: str) -> Iterator[str]:
    """Yield the same piece by piece: a long run has hundreds of thousands of lines."""
    run_id = store.run(run_id).id
    names: dict[str, None] = {}
    for _, _, _, metrics in store.all_points(run_id):
        names |= dict.fromkeys(json.loads(metrics))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["series", "step", "seconds", *map(safe_cell, names)])
    for series, step, seconds, metrics in store.all_points(run_id):
        values = json.loads(metrics)
        writer.writerow([series, step, seconds, *(values.get(name) for name in names)])  # numbers: no cell to make safe
        if out.tell() > PIECE:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()
