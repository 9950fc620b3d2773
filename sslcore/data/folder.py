"""A folder of images on this machine as an ImageSet.

Scanned (scan.py), decoded on all cores (decode_pool.py) to RGB squares of one size, and kept in the cache under a hash
of the files' paths, sizes and times: the second start opens none of them. Without a test part a share of the labelled
images is held out, stratified by class. Which ones depends on the files' paths alone, on no run's seed, and adding
images moves none of the old ones' order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslcore.data import cache
from sslcore.data.decode_pool import decode_files
from sslcore.data.image_set import DataError, ImageSet, Progress, build
from sslcore.data.scan import Scan, listed, shown
from sslcore.data.splits import hold_out

PREFIX = "folder:"


def root_of(source: str) -> Path:
    """Return the folder behind "folder:PATH", ~ expanded."""
    return Path(os.path.expanduser(source.removeprefix(PREFIX)))


def load(source: str, found: Scan, image_size: int, test_share: float, progress: Progress | None = None) -> ImageSet:
    """Return the images of a scanned folder; DataError where a class has no readable image or none can be held out."""
    images, readable, trouble = _decoded(found, image_size, progress)
    labels = np.asarray(found.labels, np.int64)[readable]
    paths = [found.files[position].path for position in readable]
    is_test = readable >= found.num_train
    skipped = sorted(set(range(len(found.files))) - set(readable.tolist()))
    _refuse_unreadable_classes(found, labels, is_test)

    notes = list(found.notes)
    if not found.has_test:
        per_class = np.bincount(labels[labels >= 0], minlength=len(found.class_names)).tolist()
        # At least one image of each class on either side; a class with a single image stays in training.
        amounts = [min(max(1, round(count * test_share)), count - 1) for count in per_class]
        if not any(amounts):
            raise DataError(f"{found.root} has one image of each class, so none can be held out for testing")
        is_test = hold_out(paths, labels, amounts)
        notes.append(
            f"There is no test part, so {int(is_test.sum()):,} of {sum(per_class):,} labelled images were held out for "
            "testing, the same ones in every run."
        )
    if skipped:
        names = listed([found.files[position].path for position in skipped])
        notes.append(f"{len(skipped):,} file{'s' * (len(skipped) > 1)} could not be read as an image: {names}.")
    unlabeled = int((labels < 0).sum())
    if unlabeled == 1:
        notes.append("1 image has no label: it is trained on, but no purity counts it.")
    elif unlabeled:
        notes.append(f"{unlabeled:,} images have no label: they are trained on, but no purity counts them.")
    notes.append(
        f"Every image was cropped to its central square and resized to {image_size} x {image_size} RGB, transparent parts "
        "made white."
    )
    if trouble:
        notes.append(trouble)
    return build(
        source=source,
        title=f"Folder {shown(found.root.resolve().name) or found.root}",
        train=_part(images, labels, ~is_test),
        test=_part(images, labels, is_test),
        class_names=found.class_names,
        flip=True,
        notes=tuple(notes),
        train_paths=tuple(shown(path) for path, test in zip(paths, is_test, strict=True) if not test),
        test_paths=tuple(shown(path) for path, test in zip(paths, is_test, strict=True) if test),
        files=found.content_key(image_size),
    )


def _decoded(found: Scan, size: int, progress: Progress | None) -> tuple[NDArray[np.uint8], NDArray[np.int64], str]:
    """Return the readable images, their positions in found.files, and a sentence if they could not be kept."""
    name = f"folder-{found.content_key(size)}"
    kept = cache.load(name, ("images", "readable"))
    if kept is not None and _fits(kept["images"], kept["readable"], len(found.files), size):
        return kept["images"], kept["readable"], ""
    images, readable = decode_files([str(found.root / file.path) for file in found.files], size, progress)
    return images, readable, cache.save(name, {"images": images, "readable": readable})


def _fits(images: NDArray[Any], readable: NDArray[Any], num_files: int, size: int) -> bool:
    """Whether arrays from the cache are what decode_files returns for this folder."""
    if images.dtype != np.uint8 or readable.dtype != np.int64 or images.shape != (*readable.shape, size, size, 3):
        return False
    inside = not len(readable) or (readable[0] >= 0 and readable[-1] < num_files)
    return bool(inside and (np.diff(readable) > 0).all())


def _refuse_unreadable_classes(found: Scan, labels: NDArray[np.int64], is_test: NDArray[np.bool_]) -> None:
    """Raise DataError for a class whose files were all skipped, in either part."""
    before = np.asarray(found.labels, np.int64)
    was_test = np.arange(len(before)) >= found.num_train
    for part, had, has in (("train", before[~was_test], labels[~is_test]), ("test", before[was_test], labels[is_test])):
        for label in sorted(set(had.tolist()) - set(has.tolist()) - {-1}):
            folder = f"the {part} part of {found.root}" if found.has_test else f"{found.root}"
            raise DataError(
                f"class {found.class_names[label]!r} is empty: no file of it in {folder} can be read as an image"
            )


def _part(images: NDArray[np.uint8], labels: NDArray[np.int64], chosen: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """Return (images, labels) of the chosen positions, without a copy where these stand together."""
    positions = np.flatnonzero(chosen)
    if len(positions) and positions[-1] - positions[0] + 1 == len(positions):
        where: slice | NDArray[np.int64] = slice(int(positions[0]), int(positions[-1]) + 1)
    else:
        where = positions
    return torch.from_numpy(images[where]), torch.from_numpy(labels[where])
