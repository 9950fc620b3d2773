"""ImageSet: the one form in which every data source hands over its images.

Images are uint8 with the channels last, because augmentation gathers whole pixels. An ImageSet is checked when it is
made, so that nothing after it has to ask again. The sources themselves stand beside this file; splits in splits.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sslcore.config import ConfigError

Progress = Callable[[str, int, int], None]  # (what is being done, how much is done, how much there is)

# Values summed at once: from 32,768 on torch would use several threads, which cost 20 times more on busy cores.
VALUE_BLOCK = 1 << 15


class DataError(ValueError):
    """Data that can't be used or reached; the message is one sentence for the person who asked for it."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A labelled training part, perhaps with unlabelled images, and a labelled test part.

    Compared by identity; `fingerprint` says whether two sets hold the same data. Raises DataError when made from parts
    that do not fit together.
    """

    source: str  # the setting it came from: "digits", "cifar10", "folder:PATH"
    title: str  # what a person reads
    train_images: Tensor  # (N, H, W, C) uint8, C = 1 or 3
    train_labels: Tensor  # (N,) int64, -1 = truly unlabelled: the truth is unknown
    test_images: Tensor  # (M, H, W, C) uint8
    test_labels: Tensor  # (M,) int64
    class_names: tuple[str, ...]
    mean: tuple[float, ...]  # per channel of the training images, in [0, 1]
    std: tuple[float, ...]  # same; above 0
    flip: bool  # weak augmentation may mirror
    notes: tuple[str, ...]  # sentences for the person: skipped files, held-out share, ...
    fingerprint: str  # sha256 over images and labels of both parts: the data's identity for checkpoints
    train_paths: tuple[str, ...] = ()  # folders only: path of each training image relative to the root, "/" between
    test_paths: tuple[str, ...] = ()
    files: str = ""  # folders only: tells the files that were read and their decoding from any others
    # (N,) bool: training images of a class that was left out on purpose; their label is -1
    foreign: Tensor | None = None

    def __post_init__(self) -> None:
        for part, images, labels, paths, low in (
            ("training", self.train_images, self.train_labels, self.train_paths, -1),
            ("test", self.test_images, self.test_labels, self.test_paths, 0),
        ):
            if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[-1] not in (1, 3):
                raise DataError(
                    f"{part} images must be uint8 of shape (N, H, W, 1 or 3), got {images.dtype} {tuple(images.shape)}"
                )
            if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
                got = f"{labels.dtype} {tuple(labels.shape)}"
                raise DataError(f"{part} labels must be int64, one for each of {len(images):,} images, got {got}")
            if not len(images):
                raise DataError(f"{self.title} has no {part} images")
            if int(labels.min()) < low or int(labels.max()) >= self.num_classes:
                got = f"{int(labels.min())} to {int(labels.max())}"
                raise DataError(f"{part} labels must be from {low} to {self.num_classes - 1}, got {got}")
            if paths and len(paths) != len(images):
                raise DataError(f"{len(paths):,} {part} paths for {len(images):,} {part} images")
        if self.num_classes < 2:
            raise DataError(f"{self.title} must have at least 2 classes, got {self.num_classes}")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            shapes = f"{tuple(self.train_images.shape[1:])} and {tuple(self.test_images.shape[1:])}"
            raise DataError(f"training and test images must have one shape, got {shapes}")
        if len(self.mean) != self.channels or len(self.std) != self.channels or min(self.std) <= 0:
            raise DataError(f"mean and std need {self.channels} numbers each, std above 0; got {self.mean}, {self.std}")
        empty = [name for name, count in zip(self.class_names, self.counts("train"), strict=True) if not count]
        if empty:
            raise DataError(f"{self.title} has no training image of class {empty[0]!r}")

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def channels(self) -> int:
        return int(self.train_images.shape[-1])

    @property
    def num_unlabeled(self) -> int:
        """Training images whose truth is unknown."""
        return int((self.train_labels < 0).sum())

    def counts(self, part: str) -> tuple[int, ...]:
        """Return the number of labelled images of each class; part is "train" or "test"."""
        labels = {"train": self.train_labels, "test": self.test_labels}[part]
        return tuple(torch.bincount(labels[labels >= 0], minlength=self.num_classes).tolist())

    def path(self, part: str, position: int) -> str:
        """Return the name of an image of "train" or "test": its path in the folder, else such as "digits/train/123"."""
        paths = {"train": self.train_paths, "test": self.test_paths}[part]
        return paths[position] if paths else f"{self.source}/{part}/{position}"

    def summary(self) -> dict[str, Any]:
        """Return what there is in plain values that JSON can hold; no image."""
        train, test = self.counts("train"), self.counts("test")
        return {
            "source": self.source,
            "title": self.title,
            "image_shape": list(self.train_images.shape[1:]),  # H, W, C
            "train": sum(train),
            "unlabeled": self.num_unlabeled,
            "test": sum(test),
            "classes": [
                {"name": name, "train": train[index], "test": test[index]}
                for index, name in enumerate(self.class_names)
            ],
            "mean": list(self.mean),
            "std": list(self.std),
            "flip": self.flip,
            "notes": list(self.notes),
            "fingerprint": self.fingerprint,
        }

    def to(self, device: torch.device | str) -> ImageSet:
        """Return the set with its tensors on `device`; itself where they are there already."""
        names = ["train_images", "train_labels", "test_images", "test_labels"]
        names += ["foreign"] if self.foreign is not None else []
        moved = {name: getattr(self, name).to(device) for name in names}
        return self if all(moved[name] is getattr(self, name) for name in names) else replace(self, **moved)


def build(
    *,
    source: str,
    title: str,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    class_names: tuple[str, ...],
    flip: bool,
    notes: tuple[str, ...] = (),
    train_paths: tuple[str, ...] = (),
    test_paths: tuple[str, ...] = (),
    files: str = "",
) -> ImageSet:
    """Make an ImageSet of (images, labels) pairs; mean, std and fingerprint are computed here."""
    mean, std = channel_stats(train[0])
    return ImageSet(
        source,
        title,
        *train,
        *test,
        class_names,
        mean,
        std,
        flip,
        notes,
        fingerprint(*train, *test),
        train_paths,
        test_paths,
        files,
    )


def with_foreign(images: ImageSet, count: int) -> ImageSet:
    """Return the set without its last `count` classes: their training images stay, foreign and unlabelled; their test
    images go. ConfigError unless two classes are left.
    """
    kept = images.num_classes - count
    if kept < 2:
        raise ConfigError(
            f"data.foreign_classes must be from 0 to {images.num_classes - 2} ({images.num_classes} classes, of which 2 must "
            f"stay), got {count}"
        )
    foreign, tested = images.train_labels >= kept, images.test_labels < kept
    train_labels = torch.where(foreign, -1, images.train_labels)
    test_images, test_labels = images.test_images[tested], images.test_labels[tested]
    names = ", ".join(images.class_names[kept:][:5]) + (f" and {count - 5:,} more" if count > 5 else "")
    note = (
        f"{count} class{'es are' if count > 1 else ' is'} foreign ({names}): at most {int(foreign.sum()):,} of their images are in the "
        "unlabelled pool, and none is labelled or tested."
    )
    return replace(
        images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=images.class_names[:kept],
        notes=(*images.notes, note),
        fingerprint=fingerprint(images.train_images, train_labels, test_images, test_labels),
        test_paths=tuple(path for path, keep in zip(images.test_paths, tested.tolist(), strict=False) if keep),
        foreign=foreign,
    )


def channel_stats(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of (N, H, W, C) uint8 images, in [0, 1].

    Summed in whole numbers, so the result depends on no order. A std below one grey level counts as one: images of a
    single colour must not divide by zero.
    """
    channels = images.shape[-1]
    # Whole image lines as rows make the inner loop long; with 3 channels innermost it is 8 times slower.
    rows = images.reshape(-1, images.shape[2] * channels)
    total = torch.zeros(2, rows.shape[1], dtype=torch.int64, device=images.device)
    step = max(1, (VALUE_BLOCK - 1) // rows.shape[1])
    for start in range(0, len(rows), step):
        wide = rows[start : start + step].int()
        total[0] += wide.sum(0)
        total[1] += (wide * wide).sum(0)
    sums, squares = (part.view(-1, channels).sum(0).tolist() for part in total)
    pixels = max(1, images.numel() // channels)
    mean = tuple(value / pixels / 255 for value in sums)
    # Python's whole numbers do not overflow: the variance is exact before its one division and root.
    variance = ((pixels * square - value * value) / pixels**2 for value, square in zip(sums, squares, strict=True))
    return mean, tuple(max(value**0.5, 1.0) / 255 for value in variance)


def fingerprint(*tensors: Tensor) -> str:
    """Return the sha256 of the tensors' types, shapes and values as hex."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().cpu().contiguous().numpy()
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{array.dtype.name} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()
