"""Data sources: a DataConfig becomes an ImageSet.

`load` is the only door. Sources are functions in a dict literal; a folder of the person's own comes in by its prefix.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sslcore.config import DATA_SOURCES, ConfigError, DataConfig
from sslcore.data import digits, folder, shapes, torchvision_sets
from sslcore.data.cache import data_root
from sslcore.data.image_set import DataError, ImageSet, Progress, with_foreign
from sslcore.data.scan import scan
from sslcore.data.splits import Split, make_split

__all__ = ["DataError", "ImageSet", "Progress", "Split", "data_root", "files_key", "load", "make_split"]

SOURCES: dict[str, Callable[[Progress | None], ImageSet]] = {
    "digits": digits.load,
    "shapes": shapes.load,
    **{source: partial(torchvision_sets.load, source) for source in torchvision_sets.KINDS},
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
        key: tuple[str, ...] = (source, config.flip, str(config.foreign_classes))
        return _remembered(key, lambda: _as_wanted(SOURCES[source](progress), config))
    if source.startswith(folder.PREFIX) and source != folder.PREFIX:
        found = scan(folder.root_of(source))
        size, share = config.image_size, config.test_share
        key = (source, config.flip, str(config.foreign_classes), found.content_key(size), str(share))
        return _remembered(key, lambda: _as_wanted(folder.load(source, found, size, share, progress), config))
    raise ConfigError(f"data.source must be one of {', '.join(DATA_SOURCES)}, got {source!r}")


def files_key(config: DataConfig) -> str:
    """Return what tells a folder's present files and their decoding from any others; empty for data that can't change.

    DataError where the folder can't be read.
    """
    source = config.source
    return scan(folder.root_of(source)).content_key(config.image_size) if source.startswith(folder.PREFIX) else ""


def _as_wanted(images: ImageSet, config: DataConfig) -> ImageSet:
    """Return the set with what a person decides about it: whether to mirror, and which classes are foreign."""
    if config.flip != "auto":
        images = replace(images, flip=config.flip == "on")
    return with_foreign(images, config.foreign_classes) if config.foreign_classes else images


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
