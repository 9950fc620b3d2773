"""One or several runs as one HTML file: no network, no script; light and dark, on a phone and on paper.

Everything is drawn from the store and the keyframes as they are at this moment, and every word that a person typed, or
that came with an imported run, is escaped. The parts stand in `report_parts` and `report_charts`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sslcore import events as ev
from sslcore import report_charts as charts
from sslcore import report_parts as part
from sslcore.archive import TransferError
from sslcore.files import write_atomically
from sslcore.outgoing import versions
from sslcore.palette import run_mark, run_slots
from sslcore.report_charts import esc, percent
from sslcore.report_style import STYLE
from sslcore.store import Store
from sslcore.svg import Line, sample

NOTHING = np.zeros(0)
COLUMNS = (
    "",
    "run",
    "test, EMA",
    "test, raw",
    "at best validation",
    "method",
    "data",
    "labels",
    "seed",
    "steps",
    "time",
    "device",
    "state",
)


def html_report(store: Store, run_ids: Sequence[str]) -> str:
    """Return the report of one run, or of several side by side, as one HTML page. StoreError for a run that isn't there."""
    runs = [store.run(run_id) for run_id in dict.fromkeys(run_ids)]
    if not runs:
        raise TransferError("a report needs at least one run")
    title = shown_name(runs[0]) if len(runs) == 1 else f"{len(runs)} runs compared"
    body = _one(store, runs[0]) if len(runs) == 1 else _several(store, runs)
    return page(title, body)


def page(title: str, body: str) -> str:
    """Return a whole HTML page around a body that is escaped already."""
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    # Nothing may be loaded, whatever a run's words hold: the policy stands behind the escaping.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{esc(title)} - SSL Lab</title><style>{STYLE}</style></head>'
        f"<body>{body}<footer>Written by SSL Lab on {esc(part.clock(time.time()))}. This machine: {esc(told)}.</footer></body></html>\n"
    )


def write_report(store: Store, run_ids: Sequence[str], target: Path) -> None:
    """Write the report to a file, whole or not at all; TransferError where it can't be written."""
    text = html_report(store, run_ids)
    try:
        write_atomically(target, lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise TransferError(f"{target} can't be written: {error.strerror or error}") from error


def shown_name(run: ev.Run) -> str:
    return run.name.strip() or run.id


def _pill(run: ev.Run) -> str:
    return f"<span class='pill {esc(run.state)}'>{esc(run.state)}</span>"


def _one(store: Store, run: ev.Run) -> str:
    return (
        f"<header><h1>{esc(shown_name(run))}</h1><p>{_pill(run)}</p><p class='lead'>{esc(part.told_with(run))}. One run with one seed: "
        f"another seed may differ by several points.</p></header>{part.headline(store, run)}{part.words(run)}"
        f"<h2>Curves</h2>{charts.run_charts(store, run)}{charts.confusion(store, run)}"
        f"<h2>Reproduce it</h2>{part.command(run)}<h2>The run</h2>{part.facts(run)}"
        f"<h2>All settings</h2>{part.settings([run], [])}<h2>What happened</h2>{part.history(store, run)}"
    )


def _several(store: Store, runs: Sequence[ev.Run]) -> str:
    names = [shown_name(run) for run in runs]
    names = [f"{name} ({run.id})" if names.count(name) > 1 else name for name, run in zip(names, runs, strict=True)]
    details = "".join(
        f"<h2>{esc(name)}</h2><p>{_pill(run)}</p><p class='lead'>{esc(part.told_with(run))}.</p>{part.headline(store, run)}{part.words(run)}"
        f"{charts.confusion(store, run)}<h3>Reproduce it</h3>{part.command(run)}{part.facts(run)}"
        for name, run in zip(names, runs, strict=True)
    )
    return (
        f"<header><h1>{len(runs)} runs compared</h1><p class='lead'>Each accuracy is that of one run with one seed; runs that differ in data, "
        f"label count or steps are not a fair comparison.</p></header>{_table(runs, names)}"
        f"<h2>Curves</h2>{charts.overlays(store, runs, names)}<h2>Settings</h2>{part.settings(runs, names)}{details}"
    )


def _table(runs: Sequence[ev.Run], names: Sequence[str]) -> str:
    """All runs, one a row, each accuracy with what it must be told with; the piece of line is that of the curves."""
    rows = ""
    slots = run_slots({}, {run.id: run.method for run in runs})
    for run, name in zip(runs, names, strict=True):
        best = run.summary.get("test_accuracy_at_best")
        cells = [
            percent(run.summary.get("test_accuracy"), 2), percent(run.summary.get("test_accuracy_raw"), 2), percent(best, 2),
            part.METHODS.get(run.method, run.method), run.data, f"{run.labels:,}", run.seed, part.steps(run), part.duration(run.seconds),
            part.device(run), run.state,
        ]  # fmt: skip
        piece = sample(Line(NOTHING, NOTHING, name, *run_mark(run.method, slots[run.id])))
        tail = "".join(f"<td{' class=wrap' if cell is run.data else ''}>{esc(cell)}</td>" for cell in cells)
        rows += f"<tr><td>{piece}</td><th scope='row'>{esc(name)}</th>{tail}</tr>"
    head = "".join(f"<th>{title}</th>" for title in COLUMNS)
    return (
        f"<div class='wide'><table class='plain runs'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
