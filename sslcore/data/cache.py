"""Where downloaded and decoded data lie, and how decoded arrays are kept there.

One uncompressed .npz a data set: written to a temporary file, synced, renamed. Reading checks every member's CRC, and a
file that is cut short or damaged counts as absent, so the caller decodes again. A cache that can't be written is no
error. The least recently used files go when all together are larger than BUDGET.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

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


def load(name: str, members: tuple[str, ...]) -> dict[str, NDArray[Any]] | None:
    """Return the arrays kept under `name`, or None where there is no whole and undamaged file with these members."""
    path = _path(name)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {member: archive[member] for member in members}
    except Exception:  # a damaged zip can raise nearly anything; every case means: decode again
        return None
    try:
        os.utime(path)  # the time of last use, for _prune
    except OSError:
        pass  # a read-only cache still serves
    return arrays


def save(name: str, arrays: dict[str, NDArray[Any]]) -> str:
    """Keep `arrays` under `name`; return "", or a sentence for the person where that was not possible."""
    path = _path(name)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", suffix=".npz", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        return f"The decoded images could not be kept in {path.parent} ({reason}), so the next start decodes them again."
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    _prune(path)
    return ""


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
            try:
                path.unlink()
            except OSError:
                pass  # open elsewhere (Windows); the next save tries again
