"""Exports damaged at random, above and below the checksums: each is refused, or as good as whole."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sslcore import keyframes
from sslcore.archive import TransferError
from sslcore.report import html_report
from sslcore.store import Store
from sslcore.tables import metrics_csv
from sslcore.transfer import import_run
from tests.forge import Members, contents, write
from tests.forge import lab as lab
from tests.forge import other as other
from tests.forge import target as target
from tests.forge import valid as valid


def fuzz(store: Store, data: bytes, original: Store, run_id: str, times: int, seed: int) -> int:
    """Import `times` damaged copies of an export: each is the original or a TransferError. Returns how many were taken."""
    generator, taken = np.random.default_rng(seed), 0
    before = contents(store)
    for _ in range(times):
        bad = bytearray(data)
        kind = generator.integers(4)
        for at in generator.integers(0, len(bad), size=int(generator.integers(1, 9))):
            bad[at] = generator.integers(256)
        if kind == 1:  # the directory at the end is where a zip can lie
            for at in generator.integers(len(bad) - 2500, len(bad), size=3):
                bad[at] = generator.integers(256)
        elif kind == 2:
            at, length = int(generator.integers(len(bad))), int(generator.integers(1, 5000))
            del bad[at : at + length]
        elif kind == 3:
            at, length = int(generator.integers(len(bad))), int(generator.integers(1, 5000))
            bad[at:at] = bad[at : at + length]
        try:
            new = import_run(store, io.BytesIO(bytes(bad)))
        except TransferError:
            assert contents(store) == before
            continue
        taken += 1
        for table, columns in (("points", "series, seq, step, seconds, metrics"), ("arrays", "name, seq, step, data")):
            found = []
            for where, run in ((original, run_id), (store, new)):
                with where.snapshot() as db:
                    asked = f"SELECT {columns} FROM {table} WHERE run = ? ORDER BY 1, 2"
                    found.append([tuple(row) for row in db.execute(asked, (run,))])
            assert found[0] == found[1]
        assert original.run(run_id).config == store.run(new).config
        for path in original.folder(run_id).rglob("*.*"):
            if path.name != "meta.json":
                assert path.read_bytes() == (store.folder(new) / path.relative_to(original.folder(run_id))).read_bytes()
        store.delete(new)
        assert contents(store) == before
    return taken


def test_damaged_bytes_are_noticed(lab: Any, target: Store) -> None:
    original, ids, folder = lab
    taken = fuzz(target, (folder / "flexmatch.zip").read_bytes(), original, ids["flexmatch"], times=30, seed=0)
    assert taken < 30


@pytest.mark.slow
def test_damaged_bytes_are_noticed_for_long(lab: Any, target: Store) -> None:
    original, ids, folder = lab
    for method, run_id in ids.items():
        fuzz(target, (folder / f"{method}.zip").read_bytes(), original, run_id, times=300, seed=len(method))


def inside(data: bytes, generator: np.random.Generator) -> bytes:
    """Damage a member where no checksum notices: for a zip (.pt, .npz) one of its own members, packed again."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            infos = old.infolist()
            large = [max(info.file_size, 1) ** 0.3 for info in infos]  # a pickle as often as a tensor
            chosen = infos[int(generator.choice(len(infos), p=np.array(large) / sum(large)))]
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", chosen.compress_type) as new:
                for info in infos:
                    part = old.read(info)
                    new.writestr(info.filename, inside(part, generator) if info is chosen else part)
        return out.getvalue()
    bad = bytearray(data or b"\0")
    for at in generator.integers(0, len(bad), size=int(generator.integers(1, 4))):
        bad[at] = generator.integers(256)
    return bytes(bad)


def deep_fuzz(store: Store, valid: Members, path: Path, times: int, seed: int) -> int:
    """Import forged exports with a right table of members: each is refused, or a run that can be read to its end."""
    generator, taken = np.random.default_rng(seed), 0
    before = contents(store)
    names = sorted(name for name in valid if name != "manifest.json")
    for _ in range(times):
        name = names[int(generator.integers(len(names)))]
        members = valid | {name: inside(valid[name], generator)}
        try:
            new = import_run(store, write(path, members))
        except TransferError:
            assert contents(store) == before
            continue
        taken += 1
        html_report(store, [new])
        metrics_csv(store, new)
        for step in keyframes.steps(store.folder(new)):
            keyframes.load(store.folder(new), step)
        store.delete(new)
        assert contents(store) == before
    return taken


def test_damage_below_the_checksums_is_noticed_or_harmless(valid: Members, target: Store, tmp_path: Path) -> None:
    taken = deep_fuzz(target, valid, tmp_path / "x.zip", times=30, seed=1)
    assert 0 < taken < 30


@pytest.mark.slow
def test_damage_below_the_checksums_for_long(valid: Members, target: Store, tmp_path: Path) -> None:
    assert 0 < deep_fuzz(target, valid, tmp_path / "x.zip", times=600, seed=2) < 600
