"""The rows of the Runs page: which runs, in what order, and what stands in each cell. Pure; no streamlit.

A cell is the text that is shown, or for a few kinds what the browser makes a text of: the start as seconds since the
epoch (shown in the reader's own time zone), the progress as [share, text].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import text
from sslcore import events as ev
from sslcore.events import Run

Value = str | float | None


@dataclass(frozen=True)
class Column:
    """A column: its name in the URL, its heading, its kind of cell, and what its runs are ordered by."""

    name: str
    label: str
    kind: str  # name, state, text, number, progress, time
    order: Callable[[Run], Value]
    cell: Callable[[Run], Any]
    help: str = ""

    @property
    def first(self) -> str:
        """The order a first click on the heading asks for: the largest number first, words from A to Z."""
        return self.name if self.kind in ("name", "state", "text") else f"-{self.name}"


def _accuracy(name: str) -> tuple[Callable[[Run], Value], Callable[[Run], Any]]:
    return (lambda run: run.summary.get(name)), (lambda run: text.percent(run.summary.get(name)) or "\u2013")


def _share(run: Run) -> float:
    return min(run.step / max(run.steps, 1), 1.0)


COLUMNS = (
    Column("name", "Run", "name", lambda r: r.name.lower(), lambda r: [r.name, "" if r.name == r.id else r.id]),
    Column("state", "State", "state", lambda r: float(ev.STATES.index(r.state)), lambda r: r.state),
    Column("method", "Method", "text", lambda r: method_name(r).lower(), lambda r: method_name(r)),
    Column("data", "Data", "text", lambda r: text.data_name(r.data).lower(), lambda r: text.data_name(r.data)),
    Column("labels", "Labels", "number", lambda r: r.labels, lambda r: text.number(r.labels)),
    Column("seed", "Seed", "number", lambda r: r.seed, lambda r: str(r.seed)),
    Column(
        "progress", "Progress", "progress", _share,
        lambda r: [round(_share(r), 3), f"{text.number(r.step)} / {text.number(r.steps)}"], "Steps taken, of all",
    ),
    Column("best", "Best", "number", *_accuracy("test_accuracy_at_best"), text.BEST_HELP),
    Column("test", "Last, EMA", "number", *_accuracy("test_accuracy"), text.TILE_HELP["test"]),
    Column("raw", "Last, raw", "number", *_accuracy("test_accuracy_raw"), text.TILE_HELP["raw"]),
    Column("seconds", "Time", "number", lambda r: r.seconds, lambda r: text.duration(r.seconds), text.TIME_HELP),
    Column("created", "Started", "time", lambda r: r.created, lambda r: round(r.created)),
    Column("note", "Note", "text", lambda r: r.note.lower() or None, lambda r: text.shorten(" ".join(r.note.split()), 90)),
)  # fmt: skip
NEWEST = "-created"
FEW = 10  # chosen runs at most that are brought into sight
SORTS = frozenset(column.name for column in COLUMNS) | {f"-{column.name}" for column in COLUMNS}


@dataclass(frozen=True)
class Filter:
    """Which runs are shown. Every word must stand somewhere in a run; an empty choice of states, methods or data is all."""

    words: str = ""
    states: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    def fits(self, run: Run) -> bool:
        for asked, value in ((self.states, run.state), (self.methods, run.method), (self.data, run.data)):
            if asked and value not in asked:
                return False
        said = " ".join((run.id, run.name, run.note, method_name(run), run.data, text.data_name(run.data))).lower()
        return all(word in said for word in self.words.lower().split())


def method_name(run: Run) -> str:
    return text.METHODS.get(run.method, run.method)


def ordered(runs: Sequence[Run], sort: str) -> list[Run]:
    """Return the runs by a column, `-` before its name for the other way round; those without a value always last."""
    name = sort if sort in SORTS else NEWEST
    column = next(column for column in COLUMNS if column.name == name.lstrip("-"))
    values = {run.id: column.order(run) for run in runs}
    known = [run for run in runs if values[run.id] is not None]
    known.sort(key=lambda run: values[run.id], reverse=name.startswith("-"))  # type: ignore[arg-type,return-value]
    return known + [run for run in runs if values[run.id] is None]


def in_sight(runs: Sequence[Run], chosen: Sequence[str], most: int) -> list[Run]:
    """Return the runs with a few chosen ones that lie beyond the first `most` as the last of those: an old run, imported, is seen."""
    far = [run for run in runs[most:] if run.id in chosen] if len(chosen) <= FEW else []
    if not far:
        return list(runs)
    near = [*runs[:most], *(run for run in runs[most:] if run.id not in chosen)]
    return [*near[: most - len(far)], *far, *near[most - len(far) :]]


def shown_columns(runs: Sequence[Run]) -> list[Column]:
    """Every column; the one of the best weights only where a run has a validation part to choose them by."""
    some = any("test_accuracy_at_best" in run.summary for run in runs)
    return [column for column in COLUMNS if some or column.name != "best"]


def row(run: Run, columns: Sequence[Column]) -> list[Any]:
    """Return [id, cell, cell, ...] as the browser gets it."""
    return [run.id, *(column.cell(run) for column in columns)]
