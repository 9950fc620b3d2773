"""The files that a sweep leaves behind: one row a run, one row a class, the report. Refused at the door if they can't be written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sslcore import events as ev
from sslcore import per_class, report_sweep, sweep
from sslcore.config import ConfigError
from sslcore.files import write_atomically
from sslcore.sweep import Plan


class Files:
    """What `--out`, `--per-class` and `--report` ask for; ConfigError names one that can't be written, before anything is trained."""

    def __init__(self, root: Path, plan: Plan, out: str | None, classes: str | None, report: str | None) -> None:
        self.root, self.plan, self.grid = root, plan, sweep.cells(plan)
        named = (("--out", out), ("--per-class", classes), ("--report", report))
        self.out, self.classes, self.report = (_writable(option, path) for option, path in named)
        self.finished = -1

    def write(self, found: Mapping[str, ev.Run], last: bool = False) -> None:
        """Write the tables whenever a run has finished, all of them at the end: a kill leaves what was done by then."""
        finished = sum(run.state == ev.FINISHED for run in found.values())
        if finished == self.finished and not last:
            return
        self.finished = finished
        if self.out:
            _write(self.out, sweep.to_csv(self.grid, found, self.plan.preset))
        if self.classes:
            _write(self.classes, per_class.to_csv(self.root, self.grid, found))
        if self.report and last:
            _write(self.report, report_sweep.html(self.root, self.plan, found))


def _writable(option: str, name: str | None) -> Path | None:
    if name is None:
        return None
    path = Path(name)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{option} must be a file in a folder that exists, got {name[:80]!r}")
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {name[:80]!r} can't be written: {error.strerror}") from None
    return path


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda temp: temp.write_text(text, encoding="utf-8"))
