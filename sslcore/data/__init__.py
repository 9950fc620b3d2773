"""Data sources: a DataConfig becomes an ImageSet.

`load` is the only door. Sources are functions in a dict literal; a folder of the person's own comes in by its prefix.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from sslcore.config import DATA_SOURCES, ConfigError, DataConfig
from sslcore.data import digits, folder, shapes, torchvision_sets
from sslcore.data.cache import data_root
from sslcore.data.image_set import DataError, ImageSet, Progress
from sslcore.data.scan import scan
from sslcore.data.splits import Split, make_split

__all__ = ["DataError", "ImageSet", "Progress", "Split", "data_root", "load", "make_split"]

SOURCES: dict[str, Callable[[Progress | None], ImageSet]] = {
    "digits": digits.load,
    "shapes": shapes.load,
    "cifar10": torchvision_sets.load_cifar10,
}
REMEMBERED = 2  # sets: that of the run and that of the run before

_recent: OrderedDict[tuple[str, ...], ImageSet] = OrderedDict()
_lock = threading.Lock()


def load(config: DataConfig, progress: Progress | None = None) -> ImageSet:
    """Return the images that `config` names, on the CPU.

    Asked again for the same content it returns the same object, which callers never change. DataError or ConfigError,
    one sentence, where they can't be had. An exception raised by `progress` ends the loading and comes through.
    """
    source = config.source
    if source in SOURCES:
        key: tuple[str, ...] = (source, config.flip)
        return _remembered(key, lambda: _with_flip(SOURCES[source](progress), config.flip))
    if source.startswith(folder.PREFIX) and source != folder.PREFIX:
        found = scan(folder.root_of(source))
        key = (source, config.flip, found.content_key(config.image_size), str(config.test_share))
        size, share = config.image_size, config.test_share
        return _remembered(key, lambda: _with_flip(folder.load(source, found, size, share, progress), config.flip))
    raise ConfigError(f"data.source must be one of {', '.join(DATA_SOURCES)}, got {source!r}")


def _with_flip(images: ImageSet, flip: str) -> ImageSet:
    return images if flip == "auto" else replace(images, flip=flip == "on")


def _remembered(key: tuple[str, ...], make: Callable[[], ImageSet]) -> ImageSet:
    """Return the set kept under `key`, or make and keep it; two threads that make the same one both get the first."""
    with _lock:
        if key in _recent:
            _recent.move_to_end(key)
            return _recent[key]
    made = make()  # outside of the lock: digits need not wait until a large folder is decoded
    with _lock:
        made = _recent.setdefault(key, made)
        _recent.move_to_end(key)
        while len(_recent) > REMEMBERED:
            _recent.popitem(last=False)
    return made
