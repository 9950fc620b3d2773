"""Files that are whole or not there, whatever happens in the middle. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sslcore.database import StoreError


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside `path`, flush to the disk, then rename: a reader sees the old file or the new one, never half.

    What is no file, such as /dev/null, is written into and stays what it is; of a link, what it leads to is written.
    """
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        write(path)
        return
    temp = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        write(temp)
        with open(temp, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temp, path)
    finally:
        with contextlib.suppress(OSError):  # a folder that can't be written holds none, either
            temp.unlink(missing_ok=True)


def keep_file(path: Path, write: Callable[[Path], Any]) -> None:
    """`write_atomically` for a run's own file: a full disk or a read-only folder is a StoreError, one sentence."""
    try:
        write_atomically(path, write)
    except OSError as error:
        full = "; make room, then go on" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise StoreError(f"{path} can't be written: {error.strerror or error}{full}") from error


def sweep_up(folder: Path) -> None:
    """Remove what a killed process left half written in a run's folder; only its new owner may call this."""
    for half in (*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")):
        with contextlib.suppress(OSError):
            half.unlink()
