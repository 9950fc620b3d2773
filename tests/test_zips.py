"""A zip of images from anybody: unpacked once and usable as a folder, or refused with one sentence and nothing left behind."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sslcore import data
from sslcore.archive import Limits, TransferError
from sslcore.config import DataConfig
from sslcore.data import zips
from sslcore.data.zips import unpack_images


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data, "_recent", OrderedDict())
    return tmp_path / "data"


def picture(seed: int = 0, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(out, kind)
    return out.getvalue()


GOOD = {f"{name}/{k}.png": picture(10 * c + k) for c, name in enumerate(("cat", "dog")) for k in range(3)}


def zipped(members: dict[str, bytes], edit: Callable[[zipfile.ZipFile], None] | None = None) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
        if edit:
            edit(file)
    return out


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(cache: Path, source: io.BytesIO, *words: str, **options: Any) -> None:
    """One sentence with these words, and nothing new anywhere below the test's folder."""
    before = tree(cache.parent)
    with pytest.raises(TransferError) as told:
        unpack_images(source, "x.zip", **options)
    sentence = str(told.value)
    assert "\n" not in sentence and len(sentence) < 500 and all(word in sentence for word in words), sentence
    assert [path for path in tree(cache.parent) if path not in before and path not in ("data", "data/folders")] == []


def test_a_good_zip_becomes_a_folder_that_trains(cache: Path) -> None:
    done = unpack_images(zipped(GOOD), "My pets!.zip")
    assert done.folder.name == "My pets" and done.files == 6 and done.notes == ()
    assert tree(done.folder) == sorted([*GOOD, "cat", "dog"])
    images = data.load(DataConfig(source=f"folder:{done.folder}", image_size=8))
    assert images.class_names == ("cat", "dog") and len(images.train_labels) + len(images.test_labels) == 6
    assert all((done.folder / name).read_bytes() == content for name, content in GOOD.items())
    assert not any((done.folder / name).stat().st_mode & 0o111 for name in GOOD)


def test_the_same_zip_is_unpacked_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = unpack_images(zipped(GOOD), "a.zip")
    monkeypatch.setattr(zips, "_write", None)
    assert unpack_images(zipped(GOOD), "b.zip").folder == first.folder
    monkeypatch.undo()
    os.environ["SSLLAB_DATA"] = str(cache)
    assert unpack_images(zipped(GOOD | {"dog/9.png": picture(99)}), "a.zip").folder != first.folder


@pytest.mark.parametrize(
    ("prefix", "name", "kept"),
    [("pets/", "pets", "cat"), ("a/b/", "b", "cat"), ("pets/train/", "train", "cat")],
)
def test_folders_around_the_classes_fall_away(cache: Path, prefix: str, name: str, kept: str) -> None:
    done = unpack_images(zipped({prefix: b""} | {prefix + path: content for path, content in GOOD.items()}), "x.zip")
    assert done.folder.name == name and (done.folder / kept / "0.png").exists()


def test_train_and_test_stay(cache: Path) -> None:
    done = unpack_images(
        zipped({f"p/{part}/{path}": content for part in ("train", "test") for path, content in GOOD.items()}), "x.zip"
    )
    assert sorted(os.listdir(done.folder)) == ["test", "train"]


def test_what_is_no_image_is_left_out_and_said(cache: Path) -> None:
    more = {
        "__MACOSX/cat/._0.png": b"x",
        "cat/.DS_Store": b"x",
        "readme.html": b"<script>",
        "cat/run.sh": b"#!",
        "cat/a.eps": b"%!PS",
    }
    done = unpack_images(zipped(GOOD | more), "x.zip")
    assert tree(done.folder) == sorted([*GOOD, "cat", "dog"])
    assert done.notes == ("3 files without an image's file name were left out: cat/a.eps, cat/run.sh, readme.html.",)
    done = unpack_images(zipped(GOOD | {"a.txt": b"x"}), "x.zip")
    assert done.notes == ("1 file without an image's file name was left out: a.txt.",)


def test_a_broken_picture_is_for_the_loader_to_say(cache: Path) -> None:
    done = unpack_images(
        zipped(GOOD | {"cat/bad.jpg": b"\xff\xd8 broken", "dog/in.zip.png": zipped(GOOD).getvalue()}), "x.zip"
    )
    images = data.load(DataConfig(source=f"folder:{done.folder}", image_size=8))
    assert any("2 files could not be read as an image: cat/bad.jpg, dog/in.zip.png." in note for note in images.notes)


NAMES = {
    "up": ("../evil.png", "not a path within the folder"),
    "up within": ("cat/../../evil.png", "not a path within the folder"),
    "here": ("cat/./evil.png", "not a path within the folder"),
    "absolute": ("/etc/evil.png", "not a path within the folder"),
    "nothing between": ("cat//evil.png", "not a path within the folder"),
    "up as a folder": ("../evil/", "not a path within the folder"),
    "drive": ("C:/evil.png", "not every system can store"),
    "drive and backslash": ("C:\\evil.png", "not every system can store"),
    "backslash": ("..\\evil.png", "not every system can store"),
    "share": ("\\\\server\\share\\evil.png", "not every system can store"),
    "zero byte": ("cat/evil.png\0.txt", "not a path within the folder"),
    "line break": ("cat/ev\nil.png", "not every system can store"),
    "escape sequence": ("cat/\x1b[2Jevil.png", "not every system can store"),
    "device name": ("con/evil.png", "not every system can store"),
    "device name as file": ("cat/NUL.png", "not every system can store"),
    "dot at the end": ("cat./evil.png", "not every system can store"),
    "blank at the end": ("cat /evil.png", "not every system can store"),
    "stream": ("cat/evil.png:x.png", "not every system can store"),
    "long": (f"cat/{'x' * 300}.png", "not every system can store"),
    "deep": ("a/" * 13 + "evil.png", "more than 12 folders deep"),
    "very deep": ("a/" * 5000 + "evil.png", "more than 12 folders deep"),
}


@pytest.mark.parametrize("case", NAMES)
def test_hostile_names(cache: Path, case: str) -> None:
    name, words = NAMES[case]
    # zipfile itself writes no zero byte
    content = zipped(GOOD | {name.replace("\0", "\1"): picture()}).getvalue().replace(b"evil.png\1", b"evil.png\0")
    refused(cache, io.BytesIO(content), words)
    assert not list(cache.parent.rglob("*evil*"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat/a.png", "cat/A.PNG"),
        ("cat/a.png", "Cat/b.png"),
        ("cat/\u00e9.png", "cat/e\u0301.png"),
        ("cat/a.png", "cat/a.png/b.png"),
        ("stra\u00dfe/a.png", "STRASSE/b.png"),
    ],
)
def test_names_that_clash_on_some_system(cache: Path, one: str, other: str) -> None:
    refused(cache, zipped({one: picture(), other: picture(1)}), "can't both exist on every system")
    refused(cache, zipped({other: picture(), one: picture(1)}), "can't both exist on every system")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(cache: Path) -> None:
    refused(cache, zipped(GOOD, lambda file: file.writestr("cat/0.png", picture(7))), "cat/0.png", "twice")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
@pytest.mark.parametrize("name", ["cat/link.png", "cat/link"])
def test_links_and_devices(cache: Path, kind: int, name: str) -> None:
    def link(file: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = (kind | 0o777) << 16
        file.writestr(info, "/etc/passwd")

    refused(cache, zipped(GOOD, link), name, "link or a device")


def test_encrypted_and_oddly_packed(cache: Path) -> None:
    content = bytearray(zipped(GOOD).getvalue())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    refused(cache, io.BytesIO(bytes(content)), "cat/0.png", "encrypted")
    refused(
        cache, zipped(GOOD, lambda file: file.writestr("cat/l.png", picture(), zipfile.ZIP_LZMA)), "compressed in a way"
    )


def test_bombs(cache: Path) -> None:
    zeros = bytes(8 << 20)
    refused(cache, zipped(GOOD | {"cat/z.png": zeros}), "cat/z.png", "times its size")
    refused(cache, zipped(GOOD | {"cat/z.txt": zeros}), "cat/z.txt", "times its size")
    refused(cache, zipped(GOOD), "holds 6 members; at most 5", limits=Limits(members=5))
    refused(cache, zipped(GOOD), "unpacks to more than 1,000 bytes", limits=Limits(total=1000))


def test_a_directory_that_lies_about_a_size(cache: Path) -> None:
    """The claim is small, what comes is large: what comes is counted."""
    source = zipped(GOOD | {"cat/z.bmp": os.urandom(3 << 20)})
    size = (3 << 20).to_bytes(4, "little")
    assert source.getvalue().count(size) == 2
    refused(cache, io.BytesIO(source.getvalue().replace(size, (100).to_bytes(4, "little"))), "the file")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip" * 500, b"PK\x05\x06" + bytes(18)])
def test_no_zip_or_an_empty_one(cache: Path, content: bytes) -> None:
    refused(cache, io.BytesIO(content), "the file")


def test_cut_off_damaged_and_without_images(cache: Path) -> None:
    whole = zipped(GOOD).getvalue()
    for share in (0.2, 0.6, 0.98):
        refused(cache, io.BytesIO(whole[: int(share * len(whole))]), "not a complete zip")
    damaged = bytearray(whole)
    damaged[damaged.index(b"cat/1.png") + 60] ^= 0xFF
    refused(cache, io.BytesIO(bytes(damaged)), "not a complete zip")
    refused(cache, io.BytesIO(b"#!/bin/sh\n" + whole), "something comes before it")
    refused(cache, zipped({"notes.txt": b"x"}), "holds no images, only notes.txt")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), MemoryError])
def test_interrupted_in_the_middle_leaves_nothing_and_the_next_try_is_whole(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    written: list[int] = []

    def utime(path: Any, times: Any) -> None:
        written.append(1)
        if len(written) == 4:
            raise error

    monkeypatch.setattr(zips.os, "utime", utime)
    with pytest.raises((KeyboardInterrupt, TransferError)):
        unpack_images(zipped(GOOD), "x.zip")
    assert tree(cache / "folders") == [] and len(written) == 4
    assert unpack_images(zipped(GOOD), "x.zip").files == 6


def test_a_killed_unpacking_is_cleared_away_later(cache: Path) -> None:
    old, fresh = cache / "folders" / ".unpack-old", cache / "folders" / ".unpack-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    unpack_images(zipped(GOOD), "x.zip")
    assert not old.exists() and fresh.exists()


def test_a_full_disk_is_told_before_it_is_full(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips.shutil, "disk_usage", lambda path: type("Free", (), {"free": 10})())
    refused(cache, zipped(GOOD), "MB of the disk are free")
