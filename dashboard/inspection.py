"""Kept checkpoints opened for the exhibits: each file is read once and kept, the views of an image are drawn once.

torch is imported here only when a checkpoint is really opened. No streamlit.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from dashboard.xray import Subject

Inspector: TypeAlias = Any  # sslcore.inspect.Inspector, which imports torch
_lock = threading.Lock()


def open_checkpoint(path: Path) -> Inspector:
    """Return the model behind a checkpoint file, ready to be asked. ValueError, one sentence, where it can't be."""
    with _lock:  # two tabs, one reading
        return _open(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=2)
def _open(path: Path, written: int) -> Inspector:
    from sslcore import inspect

    return inspect.Inspector(path)


@lru_cache(maxsize=64)
def subject(inspector: Inspector, position: int, draw: int) -> Subject:
    """Return the image at a position of the pool as the checkpoint's model sees it; `draw` picks the chance in its views."""
    look = inspector.look(position, draw)
    return Subject(
        tuple(look.weak),
        look.strong,
        look.weak_logits.astype(float),
        look.strong_logits.astype(float),
        False,
        look.truth,
        None if inspector.counts is None else inspector.counts.astype(float),
    )


@lru_cache(maxsize=8)
def originals(inspector: Inspector, first: int, count: int) -> tuple[np.ndarray, ...]:
    """Return images of the pool as they are in the data set."""
    return tuple(inspector.originals(first, count))
