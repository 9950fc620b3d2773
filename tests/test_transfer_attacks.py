"""What a stranger may send as a zip: every bad file is refused with one sentence, and nothing has changed, on the disk or in the database."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sslcore import archive
from sslcore.archive import Limits, TransferError
from sslcore.store import Store
from sslcore.transfer import export_run, import_run
from tests.forge import Members, read, refused, write
from tests.forge import lab as lab
from tests.forge import other as other
from tests.forge import target as target
from tests.forge import valid as valid


def test_the_forger_itself_makes_a_file_that_is_taken(valid: Members, other: Store, tmp_path: Path) -> None:
    assert import_run(other, write(tmp_path / "x.zip", valid))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil.txt", ["evil.txt", "not part"]),
        ("/etc/evil", ["/etc/evil", "not part"]),
        ("keyframes/../../evil", ["evil", "not part"]),
        ("..\\evil.pt", ["evil", "not part"]),
        ("C:\\evil.pt", ["evil", "not part"]),
        ("keyframes\\000000001.npz", ["not part"]),
        ("keyframes/", ["not part"]),
        ("other.pt", ["other.pt", "not part"]),
        ("meta.js\0n", ["not part"]),
        ("last.pt ", ["not part"]),
        ("LAST.PT", ["not part"]),
        ("step-000000001.pt\n", ["not part"]),
        ("x" * 5000, ["not part"]),
    ],
)
def test_foreign_names(target: Store, valid: Members, tmp_path: Path, name: str, words: list[str]) -> None:
    refused(target, write(tmp_path / "x.zip", valid | {name: b"evil"}), *words)
    assert not (tmp_path / "evil.txt").exists() and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 1000, b"PK\x05\x06" + bytes(18), bytes(100)])
def test_no_export(target: Store, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    refused(target, tmp_path / "x.zip", "the file")
    refused(target, io.BytesIO(data), "the file")


def test_no_file(target: Store, tmp_path: Path) -> None:
    refused(target, tmp_path / "nothing.zip", "not a file")
    refused(target, tmp_path, "not a file")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated(target: Store, lab: Any, tmp_path: Path, share: float) -> None:
    data = (lab[2] / "fixmatch.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(data[: int(share * len(data))])
    refused(target, tmp_path / "x.zip", "not a complete zip")


def rezip(
    path: Path, members: Members, edit: Callable[[zipfile.ZipFile], None], compress: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", compress) as file:
        for name, data in members.items():
            file.writestr(name, data)
        edit(file)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(target: Store, valid: Members, tmp_path: Path) -> None:
    refused(
        target, rezip(tmp_path / "x.zip", valid, lambda file: file.writestr("last.pt", b"evil")), "last.pt", "twice"
    )


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_device(target: Store, valid: Members, tmp_path: Path, kind: int) -> None:
    def link(file: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("best.pt")
        info.external_attr = (kind | 0o777) << 16
        file.writestr(info, "/etc/passwd")

    valid.pop("best.pt")
    refused(target, rezip(tmp_path / "x.zip", valid, link), "best.pt", "link")


def test_a_wrong_checksum(target: Store, valid: Members, tmp_path: Path) -> None:
    manifest = json.loads(valid["manifest.json"])
    manifest["members"]["last.pt"]["sha256"] = "0" * 64
    valid["manifest.json"] = json.dumps(manifest).encode()
    refused(target, rezip(tmp_path / "x.zip", valid, lambda file: None), "last.pt", "damaged")


def test_more_or_fewer_members_than_told(target: Store, valid: Members, tmp_path: Path) -> None:
    for name in ("best.pt", "keyframes/000000010.npz"):
        rest = {key: data for key, data in valid.items() if key != name}
        refused(target, rezip(tmp_path / "x.zip", rest, lambda file: None), "table of members")
    refused(
        target,
        rezip(tmp_path / "x.zip", valid, lambda file: file.writestr("step-000000001.pt", b"")),
        "table of members",
    )


def test_bombs(target: Store, valid: Members, tmp_path: Path) -> None:
    zeros = bytes(30 << 20)
    refused(target, write(tmp_path / "x.zip", valid | {"metrics.csv": zeros}), "metrics.csv", "times its size")
    small = Limits(total=1 << 20)
    refused(
        target, write(tmp_path / "y.zip", valid | {"metrics.csv": os.urandom(1 << 20)}), "unpacks to more", limits=small
    )
    few = Limits(members=10)
    refused(target, write(tmp_path / "z.zip", valid), "members", limits=few)


def test_a_directory_that_lies_about_sizes(target: Store, valid: Members, tmp_path: Path) -> None:
    """The claim is small, what comes is large: what comes is counted."""
    path = write(tmp_path / "x.zip", valid | {"meta.json": b" " * (3 << 20)})
    data = bytearray(path.read_bytes())
    size = (3 << 20).to_bytes(4, "little")
    assert data.count(size) == 2
    refused(target, io.BytesIO(bytes(data)), "meta.json")  # above its limit as it stands
    refused(target, io.BytesIO(bytes(data.replace(size, (100).to_bytes(4, "little")))), "the file")


def test_many_thousand_members(target: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for k in range(3_000):
            file.writestr(f"step-{k:09d}.pt", b"")
    refused(target, tmp_path / "x.zip", "3,000 members")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as file:
        for k in range(40_000):
            file.writestr(f"step-{k:09d}.pt", b"")
    refused(target, tmp_path / "y.zip", "directory is too long")


def test_what_fails_at_the_last_moment_is_undone(target: Store, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", broken)
    refused(target, lab[2] / "mixmatch.zip", "No space left")


def test_what_a_killed_import_left_is_removed_later(target: Store, lab: Any) -> None:
    old, young = target.root / ".import-old", target.root / ".import-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    import_run(target, lab[2] / "mixmatch.zip")
    assert young.exists() and not old.exists()


def test_an_export_that_cannot_be_written_leaves_nothing(lab: Any, tmp_path: Path) -> None:
    store, ids, _ = lab
    with pytest.raises(TransferError, match="can't be written"):
        export_run(store, ids["mixmatch"], tmp_path / "no" / "such" / "run.zip")
    assert not list(tmp_path.iterdir())
    assert archive.MANIFEST in read(lab[2] / "mixmatch.zip")
