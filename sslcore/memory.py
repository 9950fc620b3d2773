"""Let the C library keep the memory that a step frees, since the next step takes the same again.

glibc gives large blocks back to the system at once, and the system clears them page by page when they are taken anew:
4,000 page faults a step of the shapes lesson, an eighth of its time. Elsewhere than on glibc nothing is changed.
"""

from __future__ import annotations

import ctypes
import functools
import sys

# Their numbers in glibc's malloc.h. From 32 MB on glibc always asks the system for a block of its own.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _LARGEST = -1, -3, 32 << 20
KEPT = 256 << 20  # bytes free at the end of the heap before they are given back


@functools.cache
def keep_freed_memory() -> bool:
    """Set it for this process, once; return whether the C library took it."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))
