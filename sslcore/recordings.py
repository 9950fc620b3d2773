"""Runs that ship with the project: trained on a big GPU, kept as metrics and keyframes without weights. No torch.

Each is a zip that `export` wrote, so whoever wants to look at one takes it in like any other, and sees it on every page.
"""

from __future__ import annotations

import functools
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslcore import archive, transfer
from sslcore.store import Store

FOLDER = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Recording:
    """`run`: the run's record as its file tells it, with `config` and `summary`."""

    path: Path
    run: dict[str, Any]

    @property
    def finished(self) -> bool:
        return bool(self.run["state"] == "finished")


@functools.cache
def found() -> tuple[Recording, ...]:
    """Return what ships, in the order of the file names."""
    made = []
    for path in sorted(FOLDER.glob("*.zip")):
        with zipfile.ZipFile(path) as file:
            made.append(Recording(path, json.loads(file.read(archive.MANIFEST))["run"]))
    return tuple(made)


def take_in(store: Store) -> list[str]:
    """Import those that aren't among the store's runs yet, and return the ids of all; TransferError if one can't be."""
    here = {run.summary["imported"]["id"]: run.id for run in store.runs() if "imported" in run.summary}
    return [here.get(one.run["id"]) or transfer.import_run(store, one.path) for one in found()]
