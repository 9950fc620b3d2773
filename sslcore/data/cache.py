"""Where downloaded and decoded data lie, and how decoded arrays are kept there.

One uncompressed .npz a data set: written to a temporary file, synced, renamed. Reading checks every member's CRC, and a
file that is cut short or damaged counts as absent, so the caller decodes again. A cache that can't be written is no
error. The least recently used files go when all together are larger than BUDGET.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

BUDGET = 8 << 30  # bytes of decoded data kept; the newest file stays even where it is larger alone


def data_root() -> Path:
    """Return the folder for downloads and decoded data: $SSLLAB_DATA, or ssl-lab in the user's cache folder."""
    chosen = os.environ.get("SSLLAB_DATA")
    if chosen:
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    try:
        home = Path.home()
    except RuntimeError:  # a container's user without a home
        return Path(tempfile.gettempdir()) / "ssl-lab"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ssl-lab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "ssl-lab"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "ssl-lab"


def has(name: str) -> bool:
    """Whether something is kept under `name`, whole or not."""
    return _path(name).exists()


def load(name: str, members: tuple[str, ...]) -> dict[str, NDArray[Any]] | None:
    """Return the arrays kept under `name`, or None where there is no whole and undamaged file with these members."""
    path = _path(name)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {member: archive[member] for member in members}
    except Exception:  # a damaged zip can raise nearly anything; every case means: decode again
        return None
    with contextlib.suppress(OSError):  # a read-only cache still serves
        os.utime(path)  # the time of last use, for _prune
    return arrays


def save(name: str, arrays: dict[str, Any]) -> str:
    """Keep `arrays` under `name`; return "", or a sentence for the person where that was not possible."""
    path = _path(name)
    try:
        with written_whole(path) as file:
            np.savez(file, **arrays)
    except OSError as error:
        reason = error.strerror or str(error)
        return (
            f"The decoded images could not be kept in {path.parent} ({reason}), so the next start decodes them again."
        )
    _prune(path)
    return ""


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes `path` when the block ends, and vanishes when it raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: its files can be read by nobody else, and a class may share one SSLLAB_DATA.
    temporary = path.with_name(f".{uuid.uuid4().hex}-{path.name}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _path(name: str) -> Path:
    return data_root() / "cache" / f"{name}.npz"


def _prune(newest: Path) -> None:
    """Delete the files that were not used for longest until the rest fits BUDGET."""
    found = []
    for path in newest.parent.glob("*.npz"):
        try:
            stat = path.stat()
        except OSError:
            continue  # another process pruned it first
        found.append((path == newest, stat.st_mtime_ns, stat.st_size, path))
    total = 0
    for is_newest, _, size, path in sorted(found, reverse=True):
        total += size
        if total > BUDGET and not is_newest:
            with contextlib.suppress(OSError):  # open elsewhere (Windows); the next save tries again
                path.unlink()
