"""Exports for tests: small real runs, files forged from theirs with a table of members that is right, and a root to take them in."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sslcore import events as ev
from sslcore import presets
from sslcore.archive import Limits, TransferError
from sslcore.config import METHOD_NAMES
from sslcore.process import owner
from sslcore.session import Stay
from sslcore.store import Store
from sslcore.transfer import export_run, import_run

Members = dict[str, bytes]


def train(store: Store, method: str, until: int | None = None, **settings: str) -> str:
    config = presets.build("smoke", method, {"train.threads": "1", **settings})
    run_id = store.create(config, preset="smoke", name="=a name & <b>", note="first line\nsecond line")
    store.update(run_id, until=until)
    return go_on(store, run_id)


def go_on(store: Store, run_id: str) -> str:
    store.move(run_id, ev.RUNNING, only_from=[*ev.RESUMABLE, ev.QUEUED], **owner())
    state = Stay(store, run_id).advance(threading.Event())
    store.move(run_id, state, only_from=[ev.RUNNING], until=None)
    return run_id


def exports(root: Path, folder: Path) -> tuple[Store, dict[str, str], Path]:
    """Return a store with one finished smoke run of each method, their ids, and a folder with their exports."""
    store = Store(root)
    ids = {method: train(store, method, **{"data.val": "30"}) for method in METHOD_NAMES}
    for method, run_id in ids.items():
        export_run(store, run_id, folder / f"{method}.zip")
    return store, ids, folder


def read(path: Path) -> Members:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write(path: Path, members: Members, manifest: Any = None) -> Path:
    """Write a forged export whose table of members is right, so that what lies deeper is reached."""
    manifest = manifest or json.loads(members["manifest.json"])
    parts = {name: data for name, data in members.items() if name != "manifest.json"}
    manifest["members"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in parts.items()
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in (parts | {"manifest.json": json.dumps(manifest).encode()}).items():
            file.writestr(name, data)
    return path


def saved(state: Any) -> bytes:
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


def contents(store: Store) -> tuple[dict[str, str], list[str]]:
    """All files below a root by their hash, and all rows of its database."""
    files = {
        str(path.relative_to(store.root)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in store.root.rglob("*")
        if not path.name.startswith("lab.db")
    }
    with sqlite3.connect(store.root / "lab.db") as db:
        return files, list(db.iterdump())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, str], Path]:
    return exports(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("exports"))


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other")


@pytest.fixture
def target(lab: Any, other: Store) -> Store:
    """A root that holds a run already, so that "nothing changed" says something."""
    import_run(other, lab[2] / "supervised.zip")
    return other


@pytest.fixture
def valid(lab: Any) -> Members:
    return read(lab[2] / "flexmatch.zip")


def refused(store: Store, source: Any, *words: str, limits: Limits | None = None) -> None:
    """The import says one sentence with these words, and nothing has changed on the disk or in the database."""
    before = contents(store)
    with pytest.raises(TransferError) as told:
        import_run(store, source, limits)
    sentence = str(told.value)
    assert "\n" not in sentence and len(sentence) < 600, sentence
    for word in words:
        assert word in sentence, sentence
    assert contents(store) == before
