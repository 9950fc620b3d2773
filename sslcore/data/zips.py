"""A person's zip of images -> a folder in the data cache, usable as folder:PATH.

Whoever can reach the page can send a zip, so nothing in it is believed: names, kinds, counts and sizes are checked before a
byte is written (the checks of archive.py), real sizes while it is. Only files named as images are written, with plain
permissions and one date. The folder is named by the content's hash, so that the same zip is unpacked once; it appears by
one rename, whole or not at all. Its images are opened later, by decode.py, as those of any folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import unicodedata
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from sslcore.archive import GIB, MIB, Careful, Limits, TransferError, bounded, chunks, listed, plain, remove_stale
from sslcore.data.cache import data_root
from sslcore.data.decode import formats
from sslcore.data.scan import listed as some_names

LIMITS = Limits(members=200_000, total=4 * GIB)
LARGEST = 256 * MIB  # of one image
DEEPEST = 12  # folders within folders
LONGEST = 240  # bytes of a file's or folder's name: common file systems take 255
DIRECTORY = 64 * MIB  # of the zip's table of members: 200,000 of them with long paths
TEMP = ".unpack-"
# What no name may hold or be, on any system that the folder may be copied to.
FORBIDDEN = frozenset('<>:"|?*\\\x7f') | {chr(code) for code in range(32)}
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(10))}
DATE = (
    946_684_800  # of every unpacked file: the cache knows files by path, size and date, and the same zip must be known
)


@dataclass(frozen=True)
class Unpacked:
    """Where the images lie now, and what the person should know: files that were left out."""

    folder: Path
    files: int
    notes: tuple[str, ...]


def unpack_images(source: BinaryIO, name: str, limits: Limits = LIMITS) -> Unpacked:
    """Unpack the open, seekable zip `source`, called `name`; return at once if its content is unpacked already.

    TransferError, one sentence, for whatever is wrong with it, and then nothing is left behind.
    """
    try:
        with zipfile.ZipFile(Careful(source, DIRECTORY, "a zip of images")) as archive:
            wanted, left_out = _wanted(archive, limits)
            top, inside = _without_top(wanted, name)
            home = data_root() / "folders" / _content_hash(source)
            if not home.exists():
                _write(archive, inside, home, top)
        folder = next(path for path in sorted(home.iterdir()) if path.is_dir())
    except TransferError:
        raise
    except OSError as error:
        raise TransferError(f"the file could not be unpacked: {error.strerror or error}") from error
    except MemoryError as error:
        raise TransferError("the file needs more memory than there is") from error
    except Exception as error:  # zipfile and zlib raise many kinds for a damaged file
        raise TransferError(f"the file is not a complete zip archive: {error}".splitlines()[0]) from error
    files = "1 file" if len(left_out) == 1 else f"{len(left_out):,} files"
    note = f"{files} without an image's file name {'was' if len(left_out) == 1 else 'were'} left out: {some_names(left_out)}."
    return Unpacked(folder, len(wanted), (note,) if left_out else ())


def _wanted(archive: zipfile.ZipFile, limits: Limits) -> tuple[dict[tuple[str, ...], zipfile.ZipInfo], list[str]]:
    """Return the image files by the parts of their path, once every claim of the directory is within bounds, and what is left out."""
    Image.init()
    endings = {ending for ending, kind in Image.EXTENSION.items() if kind in formats()}
    wanted: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    left_out: list[str] = []
    spelled: dict[str, tuple[str, bool]] = {}  # path without case -> (as it is written, whether it is a folder)
    for info in listed(archive, limits):
        parts, is_folder = _parts(info), info.filename.endswith("/")
        for depth in range(1, len(parts) + 1):
            path, folder = "/".join(parts[:depth]), is_folder or depth < len(parts)
            before = spelled.setdefault(unicodedata.normalize("NFC", path).casefold(), (path, folder))
            if before != (path, folder):
                raise TransferError(
                    f"{path[:120]!r} and {before[0][:120]!r} in the file can't both exist on every system"
                )
        if is_folder:
            continue
        if parts in wanted:
            raise TransferError(f"the file holds {info.filename[:120]!r} twice")
        is_image = Path(parts[-1]).suffix.lower() in endings
        plain(info, LARGEST if is_image else limits.total, limits)
        if any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue  # what macOS adds
        if is_image:
            wanted[parts] = info
        else:
            left_out.append(info.filename)
    if not wanted:
        raise TransferError("the file holds no images" + (f", only {some_names(left_out)}" if left_out else ""))
    return wanted, left_out


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return the parts of a member's path; TransferError for one that leaves the folder or that some system can't store."""
    shown = repr(info.orig_filename[:120])
    parts = tuple(info.filename.removesuffix("/").split("/"))
    if info.orig_filename != info.filename or any(part in ("", ".", "..") for part in parts):
        raise TransferError(f"{shown} in the file is not a path within the folder")
    if len(parts) > DEEPEST + 1:
        raise TransferError(f"{shown} in the file lies more than {DEEPEST} folders deep")
    for part in parts:
        reserved = part.partition(".")[0].casefold() in RESERVED
        if FORBIDDEN & set(part) or part[-1] in ". " or reserved or len(part.encode()) > LONGEST:
            raise TransferError(f"{shown} in the file has a name that not every system can store")
    return parts


def _without_top(
    wanted: dict[tuple[str, ...], zipfile.ZipInfo], name: str
) -> tuple[str, dict[tuple[str, ...], zipfile.ZipInfo]]:
    """Return a name for the folder and the members below it: folders that hold all the others add nothing but their name."""
    top = "".join(sign for sign in Path(name).stem if sign.isalnum() or sign in " -_").strip()[:60]
    while len({parts[0] for parts in wanted}) == 1 and all(len(parts) > 2 for parts in wanted):
        top = next(iter(wanted))[0]
        wanted = {parts[1:]: info for parts, info in wanted.items()}
    return top if top and top.casefold() not in RESERVED else "images", wanted


def _content_hash(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    source.seek(0)
    for chunk in chunks(source):
        digest.update(chunk)
    return digest.hexdigest()[:24]


def _write(archive: zipfile.ZipFile, members: dict[tuple[str, ...], zipfile.ZipInfo], home: Path, top: str) -> None:
    """Write the members below `home`/`top`, all or nothing."""
    home.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(home.parent, TEMP)
    total = sum(info.file_size for info in members.values())
    if total > (free := shutil.disk_usage(home.parent).free):
        raise TransferError(
            f"the file unpacks to {total / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB of the disk are free"
        )
    temp = home.with_name(f"{TEMP}{uuid.uuid4().hex}")
    try:
        for parts, info in members.items():
            path = temp.joinpath(top, *parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as member, open(path, "xb") as file:
                for chunk in bounded(member, info.file_size, info.filename):
                    file.write(chunk)
            os.utime(path, (DATE, DATE))
        if hasattr(os, "sync"):  # not on Windows
            os.sync()
        try:
            temp.rename(home)
        except OSError:
            if not home.exists():  # else another tab has just unpacked the same
                raise
    finally:
        shutil.rmtree(temp, ignore_errors=True)
