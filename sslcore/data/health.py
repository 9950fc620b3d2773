"""What a person should know about a data set before training on it: tiny classes, lopsided ones, duplicated images.

Images are compared as training sees them, pixel by pixel after decoding: a copy that was saved again as another kind of
file without loss counts, one that was cropped or compressed anew does not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sslcore.data.image_set import ImageSet

TINY = 10  # labelled training images of a class: fewer make every number a matter of luck
LOPSIDED = 10  # times as many images in the largest class as in the smallest
NAMED = 3  # examples in a sentence

Pair = tuple[str, str]  # the names of two equal images


@dataclass(frozen=True)
class Health:
    """Counts of labelled images are by class; pairs name two images with the same pixels."""

    class_names: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    unlabeled: int
    leaks: tuple[Pair, ...]  # (test, train)
    quarrels: tuple[Pair, ...]  # two training images of different classes
    repeats: tuple[Pair, ...]  # two training images, of one class or unlabelled

    def warnings(self) -> tuple[str, ...]:
        """Return one sentence for each thing that is wrong, the worst first."""
        found = []
        if self.leaks:
            found.append(
                f"{_images(len(self.leaks), 'test')} also in the training part, pixel by pixel: {_named(self.leaks)}. They make "
                "the test accuracy look better than it is; remove them from one of the two parts."
            )
        if self.quarrels:
            found.append(
                f"{_images(len(self.quarrels), 'training')} in two classes at once: {_named(self.quarrels)}. One of each pair has a wrong label."
            )
        tiny = [f"{name} ({count})" for name, count in zip(self.class_names, self.train, strict=True) if count < TINY]
        if tiny:
            shown = ", ".join(tiny[:5]) + (f" and {len(tiny) - 5} more" if len(tiny) > 5 else "")
            found.append(f"Fewer than {TINY} labelled training images in: {shown}. What is learnt about these is luck.")
        few, many = min(self.train), max(self.train)
        if many >= LOPSIDED * few:
            small, large = (self.class_names[self.train.index(count)] for count in (few, many))
            found.append(
                f"{large} has {many / few:.0f} times as many training images as {small}: look at the accuracy of each class, not at the mean alone."
            )
        if self.repeats:
            found.append(f"{_images(len(self.repeats), 'training')} there twice: {_named(self.repeats)}.")
        return tuple(found)


def examine(images: ImageSet) -> Health:
    """Look through a data set; about a second for 60,000 small images."""
    train, test = _hashes(images.train_images), _hashes(images.test_images)
    labels = images.train_labels.tolist()
    first: dict[bytes, int] = {}
    quarrels: list[Pair] = []
    repeats: list[Pair] = []
    for position, digest in enumerate(train):
        known = first.setdefault(digest, position)
        if known == position:
            continue
        pair = (images.path("train", known), images.path("train", position))
        differ = labels[known] != labels[position] and min(labels[known], labels[position]) >= 0
        (quarrels if differ else repeats).append(pair)
    leaks = [
        (images.path("test", position), images.path("train", first[digest]))
        for position, digest in enumerate(test)
        if digest in first
    ]
    return Health(
        images.class_names, images.counts("train"), images.counts("test"), images.num_unlabeled, tuple(leaks), tuple(quarrels), tuple(repeats)
    )  # fmt: skip


def sample(images: ImageSet, label: int, count: int) -> np.ndarray:
    """Return up to `count` training images of a class, evenly spread over its files, (n, H, W, channels) uint8."""
    members = np.flatnonzero(images.train_labels.numpy() == label)
    places = members[np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(int)]
    return np.asarray(images.train_images[places].numpy())


def _hashes(images: Tensor) -> list[bytes]:
    return [hashlib.sha256(image.tobytes()).digest() for image in images.cpu().numpy()]


def _images(count: int, part: str) -> str:
    return f"{count:,} {part} image{' is' if count == 1 else 's are'}"


def _named(pairs: tuple[Pair, ...]) -> str:
    text = ", ".join(f"{one} = {other}" for one, other in pairs[:NAMED])
    return text + (f" and {len(pairs) - NAMED:,} more" if len(pairs) > NAMED else "")
