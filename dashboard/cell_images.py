"""The test images behind a cell of a confusion matrix. The data set is read when the first cell is opened; torch only then.

Predictions are those of a keyframe; a set that has changed since the run is refused, its images would be the wrong ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from sslcore import config as cfg
from sslcore.events import Run

AGAIN = 60.0  # seconds until a set that could not be read is tried again
GONE = "The test images of this run can't be shown: {}."
OTHERS = "the data set is no longer the one that the run was made with"

_failed: dict[Any, tuple[float, str]] = {}
_lock = threading.Lock()


def in_cell(frame: Mapping[str, np.ndarray], truth: int, predicted: int) -> np.ndarray:
    """Return the places in the test set (n,) of the images of class `truth` that are taken for `predicted`."""
    return np.flatnonzero((frame["test_truth"] == truth) & (frame["test_pred"] == predicted))


def pictures(run: Run, frame: Mapping[str, np.ndarray], places: np.ndarray) -> np.ndarray | str:
    """Return test images (n, H, W, channels) uint8, or one sentence about why they can't be had."""
    key = tuple(sorted((name, value) for name, value in run.config["data"].items()))
    with _lock:  # one tab reads a set, the others wait for it
        failed = _failed.get(key)
        if failed and time.monotonic() - failed[0] < AGAIN:
            return failed[1]
        try:
            images, labels = _test_part(key)
        except (ValueError, OSError) as problem:
            _failed[key] = time.monotonic(), GONE.format(str(problem).rstrip("."))
            return _failed[key][1]
    if not np.array_equal(labels, frame["test_truth"]):
        return GONE.format(OTHERS)
    return images[places]


@lru_cache(maxsize=2)
def _test_part(key: tuple[tuple[str, Any], ...]) -> tuple[np.ndarray, np.ndarray]:
    from sslcore import data  # imports torch: not before a person asks for images

    found = data.load(cfg.from_dict({"data": dict(key)}).data, None)
    return found.test_images.numpy(), found.test_labels.numpy()
