"""What lies in a folder of images: its classes and files, without opening one.

Layouts: train/<class>/ with test/<class>/ or without, or just <class>/ (then a share is held out for testing, see
folder.py). A folder `unlabeled` beside or within train/, or beside the classes, holds truly unlabelled images. A
class's own subfolders are read too. Names that start with a dot are left out; every other file is a candidate.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sslcore.data import decode
from sslcore.data.image_set import DataError

PARTS = ("train", "test")
UNLABELED = ("unlabeled", "unlabelled")
MORE_PARTS = ("val", "valid", "validation", *UNLABELED)  # folder names that are no classes where they stand alone


class Found(NamedTuple):
    path: str  # relative to the root, "/" between
    size: int  # bytes
    mtime_ns: int
    mode: int  # permissions: a file that was made readable must count as changed


@dataclass(frozen=True)
class Scan:
    """A folder's files: training images class by class, then unlabelled ones, then test images class by class."""

    root: Path
    files: tuple[Found, ...]
    labels: tuple[int, ...]  # class of each file, -1 unlabelled
    num_train: int  # files before this position are training images, labelled or not
    class_names: tuple[str, ...]
    has_test: bool  # whether the folder has a test part; else one has to be held out
    notes: tuple[str, ...]

    def content_key(self, image_size: int) -> str:
        """Return a hash that changes when a file is added, removed, renamed or written, or its decoding changes."""
        # In this order, since the cache holds the images in it.
        digest = hashlib.sha256(f"{decode.VERSION} {image_size}".encode())
        for path, *state in self.files:
            # \0 can stand in no path, so no two lists of files give one text
            digest.update(b"\0" + os.fsencode(path) + f"\0{state}".encode())
        return digest.hexdigest()[:32]


def scan(root: Path) -> Scan:
    """List a folder's images; DataError where the folder, its layout or a class can't be used."""
    if not root.exists():
        raise DataError(f"there is no folder {root}; data.source folder:PATH needs a folder of images")
    if not root.is_dir():
        raise DataError(f"{root} is a file, but data.source folder:PATH needs a folder of images")
    try:
        return _scan(root)
    except OSError as error:
        raise DataError(f"{error.filename or root} could not be read: {error.strerror or error}") from None


def _scan(root: Path) -> Scan:
    top, loose = _folders(root)
    by_name = {name.lower(): name for name in sorted(top)}  # "Train" counts as train; the exact name wins
    train, train_loose = _folders(root / by_name["train"]) if "train" in by_name else ({}, [])
    test, test_loose = _folders(root / by_name["test"]) if "test" in by_name else ({}, [])
    notes: list[str] = []
    if train:
        classes, prefix = train, by_name["train"] + "/"
        loose += train_loose + test_loose
        others = [name for name in top if name.lower() not in (*PARTS, *UNLABELED)]
        if others:
            notes.append(f"Beside train and test these folders were left out: {listed(others)}.")
        if "test" in by_name and not test:
            notes.append("The folder test has no class folders, so it was left out.")
    else:
        if test:
            raise DataError(f"{root} has a folder test but no train with a folder for each class")
        if all(name.lower() in (*PARTS, *MORE_PARTS) for name in top):
            raise DataError(f"{root} must hold a folder for each class, or train with a folder for each class")
        classes, prefix = top, ""
    names = sorted((name for name in classes if name.lower() not in UNLABELED), key=natural)
    if len(names) < 2:
        raise DataError(f"{root} must have at least 2 classes, got {len(names)}" + (f": {names[0]}" if names else ""))
    if loose:
        notes.append(f"Left out, since they lie in no class folder: {listed(loose)}.")
    unknown = sorted(set(test) - set(names), key=natural)
    if unknown:
        raise DataError(f"class {shown(unknown[0])!r} of {root / by_name['test']} has no folder in train")

    seen = {_identity(root), *(_identity(Path(path)) for part in (top, train, test) for path in part.values())}
    files: list[Found] = []
    labels: list[int] = []

    def add(folder: str, label: int) -> None:
        found = _files(root, folder, seen)
        if label >= 0 and not found:
            raise DataError(f"class {shown(names[label])!r} is empty: no file in {root / folder}")
        files.extend(found)
        labels.extend([label] * len(found))

    for label, name in enumerate(names):
        add(prefix + name, label)
    unlabeled = [prefix + name for name in classes if name.lower() in UNLABELED]
    if prefix:
        unlabeled += [name for name in top if name.lower() in UNLABELED]
    for folder in sorted(unlabeled):
        add(folder, -1)
    num_train = len(files)
    for label, name in enumerate(names):
        if name in test:
            add(f"{by_name['test']}/{name}", label)
    missing = [name for name in names if test and name not in test]
    if missing:
        notes.append(f"The test part has no images of: {listed(missing)}.")
    return Scan(root, tuple(files), tuple(labels), num_train, tuple(map(shown, names)), bool(test), tuple(notes))


def _folders(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return {name: path} of a folder's folders and the names of its files; neither hidden ones nor macOS's extras."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    folders = {entry.name: entry.path for entry in visible if entry.is_dir()}
    return folders, [entry.name for entry in visible if entry.name not in folders]


def _files(root: Path, folder: str, seen: set[tuple[int, int]]) -> list[Found]:
    """Return the files in a folder and its subfolders, sorted by path.

    Links to files and folders are followed, but no folder in `seen` is entered: a link back up can't loop, nor bring in
    another class. A dangling link is listed and will count as unreadable; pipes and devices are no files.
    """
    found: list[Found] = []
    inside: set[tuple[int, int]] = set()
    todo = [folder]
    while todo:
        here = todo.pop()
        with os.scandir(root / here) as entries:
            for entry in entries:
                path = f"{here}/{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    identity = _identity(Path(entry.path))
                    if identity not in seen and identity not in inside:
                        inside.add(identity)
                        todo.append(path)
                elif entry.is_file():
                    stat = entry.stat()
                    found.append(Found(path, stat.st_size, stat.st_mtime_ns, stat.st_mode))
                elif entry.is_symlink():
                    found.append(Found(path, 0, 0, 0))
    return sorted(found)


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key under which 2 comes before 10, alone and within a name."""
    return [int(part) if position % 2 else part for position, part in enumerate(re.split(r"([0-9]+)", name))], name


def shown(name: str) -> str:
    """Return a file name as text that can be stored and printed; bytes that are no UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def listed(names: list[str], most: int = 5) -> str:
    """Return the first few names as text, and how many more there are."""
    text = ", ".join(map(shown, sorted(names, key=natural)[:most]))
    return text + (f" and {len(names) - most:,} more" if len(names) > most else "")
