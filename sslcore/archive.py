"""Zip files written with checksums, and read as what a stranger may have made: nothing is believed until it is counted.

A reader decides by name which members may be there and how large each may become. Names, links, duplicates, packed and
unpacked sizes are checked before a byte is written, real sizes and sha256 while it is; whatever is wrong is a
TransferError, one sentence.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import stat
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MANIFEST = "manifest.json"
MIB, GIB = 1 << 20, 1 << 30
CHUNK = MIB
PIECE = 1 << 16
READ = 2 * MIB  # at once: the directory of an export has a few kilobytes
STALE = 86_400.0  # seconds after which the rest of an unpacking that was killed is removed
SMALL = MIB  # a member that unpacks to less is no bomb, however well it is packed


class TransferError(ValueError):
    """A file that can't be exported to or imported from; the message is one sentence."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold; sizes in bytes."""

    members: int = 256
    total: int = 16 * GIB  # of all members, unpacked
    ratio: int = 200  # unpacked size as a multiple of the packed one, above SMALL


class Packer:
    """Writes members one after the other and keeps their sizes and checksums; the manifest comes last."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.members: dict[str, dict[str, Any]] = {}

    def add(self, name: str, chunks: Iterable[bytes], packed: bool = True) -> None:
        """Write one member from chunks; `packed`: deflated, for text. Arrays and weights hardly get smaller."""
        digest, size = hashlib.sha256(), 0
        with self.archive.open(_info(name, packed), "w", force_zip64=True) as member:
            for chunk in _gathered(chunks):
                member.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self.members[name] = {"size": size, "sha256": digest.hexdigest()}

    def add_json(self, name: str, value: Any) -> None:
        self.add(name, [json.dumps(value, indent=1, allow_nan=False).encode()])

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest with the table of members."""
        text = json.dumps(manifest | {"members": self.members}, indent=1, allow_nan=False)
        self.archive.writestr(_info(MANIFEST, True), text)


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces that are worth a call: single lines are not."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) >= PIECE:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


def _info(name: str, packed: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield what is left of a file."""
    while chunk := file.read(CHUNK):
        yield chunk


def unpack(source: BinaryIO, folder: Path, most: Callable[[str], int | None], limits: Limits) -> dict[str, Any]:
    """Write every member of the zip `source` below `folder`, which exists, and return the manifest.

    `most(name)` is the largest size a member may have, None where there must be no such member. TransferError at the
    first thing that is wrong; what has been written by then is the caller's to remove.
    """
    try:
        with zipfile.ZipFile(Careful(source)) as archive:
            infos = _directory(archive, most, limits)
            manifest = _manifest(archive, infos.pop(MANIFEST, None), most(MANIFEST) or 0)
            told = manifest.get("members")
            if not isinstance(told, dict) or set(told) != set(infos):
                raise TransferError("the file's table of members doesn't match what it holds")
            for name, info in infos.items():
                _write_member(archive, info, folder / name, told[name], most(name) or 0)
    except (TransferError, OSError, MemoryError):
        raise
    except Exception as error:  # zipfile and zlib raise many kinds for a damaged file
        raise TransferError(f"the file is not a complete zip archive: {error}".splitlines()[0]) from error
    return manifest


class Careful:
    """A file whose single reads are bounded: zipfile reads the whole directory at once, whatever size it claims."""

    def __init__(self, file: BinaryIO, most: int = READ, what: str = "an export of SSL Lab") -> None:
        self.file, self.most, self.what = file, most, what
        self.seek, self.tell = file.seek, file.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > self.most or len(data := self.file.read(size if size >= 0 else self.most + 1)) > self.most:
            raise TransferError(f"the file's directory is too long for {self.what}")
        return data


def _directory(
    archive: zipfile.ZipFile, most: Callable[[str], int | None], limits: Limits
) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, once every claim of the directory is within bounds."""
    infos = listed(archive, limits)
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename
        shown = repr(info.orig_filename[:120])
        if most(name) is None or info.orig_filename != name:
            raise TransferError(f"the file holds {shown}, which is not part of an SSL Lab export")
        if name in found:
            raise TransferError(f"the file holds {shown} twice")
        plain(info, most(name) or 0, limits)
        found[name] = info
    return found


def listed(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """Return the members of a whole archive; TransferError for too many of them, or if they claim to unpack to too much."""
    infos = archive.infolist()
    if min((info.header_offset for info in infos), default=0):
        raise TransferError("the file is not a complete zip archive: it was cut off, or something comes before it")
    if len(infos) > limits.members:
        raise TransferError(f"the file holds {len(infos):,} members; at most {limits.members:,} are allowed")
    if sum(info.file_size for info in infos) > limits.total:
        raise TransferError(f"the file unpacks to more than {limits.total:,} bytes")
    return infos


def plain(info: zipfile.ZipInfo, most: int, limits: Limits) -> None:
    """Raise TransferError unless a member claims to be a plain file of at most `most` bytes, and no bomb."""
    shown = repr(info.orig_filename[:120])
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise TransferError(f"{shown} in the file is a link or a device, not a plain file")
    if info.flag_bits & 1:
        raise TransferError(f"{shown} in the file is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise TransferError(
            f"{shown} in the file is compressed in a way that isn't read here; only stored and deflated files are"
        )
    if info.file_size > most:
        raise TransferError(f"{shown} in the file is {info.file_size:,} bytes long; at most {most:,} are allowed")
    if info.file_size > max(SMALL, limits.ratio * info.compress_size):
        raise TransferError(f"{shown} in the file unpacks to {limits.ratio} times its size or more")


def _manifest(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, most: int) -> dict[str, Any]:
    if info is None:
        raise TransferError(f"the file has no {MANIFEST}: it is not an SSL Lab export")
    with archive.open(info) as member:
        text = b"".join(bounded(member, most, MANIFEST))
    manifest = parse_json(text, MANIFEST)
    if not isinstance(manifest, dict):
        raise TransferError(f"{MANIFEST} in the file is not a JSON object")
    return manifest


def _write_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, told: Any, most: int) -> None:
    digest, size = hashlib.sha256(), 0
    path.parent.mkdir(exist_ok=True)
    with archive.open(info) as member, open(path, "xb") as file:
        for chunk in bounded(member, most, info.filename):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    if told != {"size": size, "sha256": digest.hexdigest()}:
        raise TransferError(f"{info.filename!r} in the file is damaged: its size or sha256 is not the manifest's")


def bounded(member: Any, most: int, name: str) -> Iterator[bytes]:
    """Yield a member's chunks; the bytes that really come are counted, whatever the directory claims."""
    size = 0
    for chunk in chunks(member):
        size += len(chunk)
        if size > most:
            raise TransferError(f"{name!r} in the file is longer than {most:,} bytes")
        yield chunk


def remove_stale(folder: Path, prefix: str) -> None:
    """Remove what unpackings that were killed have left in `folder`, once it is old."""
    for path in folder.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                shutil.rmtree(path, ignore_errors=True)


def parse_json(text: bytes, name: str) -> Any:
    """Read JSON from untrusted bytes; NaN and Infinity, which are no JSON, are refused. `name` is for the sentence."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise TransferError(f"{name} in the file is not valid JSON: {error}") from error
