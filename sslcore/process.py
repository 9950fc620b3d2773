"""Who is alive: a process told apart from a later one with the same pid. Standard library only."""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

HOST = socket.gethostname()


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return ""


def process_mark(pid: int) -> str:
    """Return a text that no other process of this host ever has: boot and start tick. Empty where the system tells none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name in parentheses may hold spaces and parentheses itself; the start time is the 20th field after it.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else f"{_boot()}:{fields[19]}"


def alive(pid: int, mark: str) -> bool:
    """Say whether the process that had this pid and mark still runs on this host."""
    if mark or sys.platform == "linux":
        return process_mark(pid) == mark != ""
    if sys.platform == "win32":
        return pid == os.getpid()  # no signal 0 there: only our own process is known to live
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def owner() -> dict[str, Any]:
    """Return the columns that make this process a run's owner."""
    return {"host": HOST, "pid": os.getpid(), "process": process_mark(os.getpid())}
