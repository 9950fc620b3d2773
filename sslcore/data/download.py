"""One file from the network, whole and with the right MD5 or not at all.

Ours, because torchvision's download reports no progress to a page, has no time limit, and falls back to plain http.
"""

from __future__ import annotations

import hashlib
import http.client
import queue
import threading
import urllib.request
from pathlib import Path
from typing import Any

from sslcore.data import cache
from sslcore.data.image_set import Progress

CONNECT_SECONDS = 8.0  # for name look-up, connection and the first byte together
STALL_SECONDS = 15.0  # a download that receives nothing for so long has failed


def download(url: str, target: Path, md5: str, what: str, progress: Progress | None) -> str:
    """Load `url` into `target`; return "", or in a few words why it could not be. `what`: the name told with the progress."""
    try:
        with _open(url) as response, cache.written_whole(target) as file:
            total, done = int(response.headers.get("Content-Length") or 0), 0
            digest = hashlib.md5(usedforsecurity=False)
            while block := response.read(1 << 18):
                file.write(block)
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(f"Downloading {what}", done, max(total, done))
            if digest.hexdigest() != md5:
                raise OSError("it arrived damaged")
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors too
        return reason(error)
    return ""


def reason(error: object) -> str:
    """Return what went wrong in a few words; URLError wraps an OSError, which knows the words."""
    inner = getattr(error, "reason", None) or error
    return str(getattr(inner, "strerror", None) or inner)


def _open(url: str) -> Any:
    """Return urlopen's response within CONNECT_SECONDS or raise OSError.

    A name look-up obeys no time-out, so all of it runs in a thread that is left behind where it takes too long.
    """
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def connect() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=STALL_SECONDS))
        except Exception as error:  # handed to the caller, whatever it is
            answer.put(error)

    threading.Thread(target=connect, daemon=True, name="connect").start()
    try:
        result = answer.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result
