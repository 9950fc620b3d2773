"""The sweeps of a folder, one small file each, so that they outlive the program that began them. No torch.

Only what was asked for is kept: what has come of it is found among the runs, by content. A sweep that has been widened
takes the place of the narrower one.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from sslcore import sweep
from sslcore.config import ConfigError
from sslcore.files import write_atomically
from sslcore.sweep import Plan

FOLDER = "sweeps"  # below the root, beside the runs
MOST = 50  # the longest unused go


def keep(root: Path, plan: Plan) -> None:
    """Write a plan down as the one used last; OSError where that can't be done."""
    text = sweep.to_json(plan)
    keys = _keys(text)
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    write_atomically(path, lambda temp: temp.write_text(text, encoding="utf-8"))
    for number, (old, other) in enumerate(_read(root)):
        if old != path and (number >= MOST or _keys(sweep.to_json(other)) <= keys):
            old.unlink(missing_ok=True)


def kept(root: Path) -> list[Plan]:
    """Return the plans of a folder, the one used last first; a file that can't be read, or of another version, is passed over."""
    return [plan for _, plan in _read(root)]


def _read(root: Path) -> list[tuple[Path, Plan]]:
    found = []
    for path in (root / FOLDER).glob("*.json"):
        try:
            text = path.read_text(encoding="utf-8")
            plan = sweep.from_json(text)
            _keys(text)
            found.append((path.stat().st_mtime_ns, path, plan))
        except (OSError, ConfigError):
            continue
    return [(path, plan) for _, path, plan in sorted(found, key=lambda one: (-one[0], one[1]))]


@lru_cache(maxsize=2 * MOST)  # the page asks each time it is drawn, and a plan can have thousands of cells
def _keys(text: str) -> frozenset[str]:
    """Keys of the cells of a plan; ConfigError if it can't be swept."""
    return frozenset(cell.key for cell in sweep.cells(sweep.from_json(text)))
