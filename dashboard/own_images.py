"""What the Images page asks of the engine: a data set's health, sample rows, and labelled images by choice.

Each answer is kept by the data set it is about. Arrays are numpy. No streamlit; torch only inside the functions.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dashboard import text
from dashboard.images import picture_sheet
from sslcore import presets, sweep
from sslcore.config import ConfigError, DataConfig, hand_picked

if TYPE_CHECKING:
    from sslcore.data import ImageSet
    from sslcore.data.health import Health
    from sslcore.data.zips import Unpacked

CLASSES = 12  # on a page of the sample sheet
SAMPLES = 8  # images of each class there
EACH = (1, 2, 4, 10, 40)  # labels a class with which a curve of a person's own images begins
BEGIN = 10  # labels a class with which a run of a person's own images begins, where there are so many


def unpack(file: BinaryIO, name: str) -> Unpacked:
    """Unpack an uploaded zip into the data cache; TransferError, one sentence, if that can't be."""
    from sslcore.data.zips import unpack_images

    return unpack_images(file, name)


@lru_cache(maxsize=2)
def health(images: ImageSet) -> Health:
    from sslcore.data.health import examine

    return examine(images)


@lru_cache(maxsize=4 * CLASSES)
def sample_row(images: ImageSet, label: int) -> bytes:
    """Return a sample of a class as one PNG."""
    from sslcore.data.health import sample

    return row(list(sample(images, label, SAMPLES)))


@lru_cache(maxsize=4 * CLASSES)
def chosen_row(images: ImageSet, numbers: tuple[int, ...]) -> bytes:
    """Return these training images as one PNG."""
    return row(list(images.train_images[list(numbers)].numpy()))


def row(pictures: Sequence[np.ndarray]) -> bytes:
    """As wide for one picture as for SAMPLES, so that those of all classes are of one size."""
    return picture_sheet(pictures, SAMPLES, 1)


def members(images: ImageSet, label: int) -> np.ndarray:
    """Return the numbers of the training images of a class (n,)."""
    return np.flatnonzero(images.train_labels.numpy() == label)


@lru_cache(maxsize=8)
def _orders(images: ImageSet, how: str) -> tuple[np.ndarray, ...]:
    """Numbers of each class in the order of a choice; `random` in that of the files, to be shuffled."""
    from sslcore.data import picks

    if how == "random":
        return tuple(members(images, label) for label in range(images.num_classes))
    config = DataConfig(pick=how)
    choice = picks.choose(config, images)
    assert choice is not None
    return tuple(pile.numpy() for pile in choice.piles)


def suggest(images: ImageSet, how: str, each: int, seed: int = 0) -> tuple[int, ...]:
    """Return up to `each` numbers of every class: typical ones, outliers, or random ones of a seed."""
    piles = _orders(images, how)
    if how == "random":
        chance = np.random.default_rng(seed)
        piles = tuple(chance.permutation(pile) for pile in piles)
    return tuple(int(number) for pile in piles for number in pile[:each])


def read_hand(written: str) -> tuple[tuple[int, ...], str]:
    """Return the numbers that an address names, and a sentence if they can't be read."""
    try:
        return hand_picked(DataConfig(hand=written)), ""
    except ConfigError as problem:
        return (), str(problem)


def check_hand(images: ImageSet, hand: tuple[int, ...]) -> str:
    """Return a sentence on what is wrong with the chosen images, "" if training can begin with them."""
    from sslcore.data import picks

    try:
        picks.by_hand(hand, images.train_labels, images.class_names)
    except ConfigError as problem:
        return str(problem)
    return ""


def train_params(images: ImageSet, size: int, hand: Sequence[int] = ()) -> dict[str, str]:
    """Return what the address of the Train page must say to begin with these images, and with these labels if there are any."""
    kind, _, path = images.source.partition(":")
    preset = presets.lesson_for(kind)
    prefix = "" if preset == presets.DEFAULT else f"{preset}."
    params = {"preset": presets.PRESETS[preset].title} if prefix else {}
    params[f"{prefix}data"] = text.DATA[kind]
    if kind == "folder":
        params["folder"] = path
        params[f"{prefix}labels"] = str(max(each for each in _counts(images) if each <= BEGIN * images.num_classes))
        if size != DataConfig().image_size:
            params[f"{prefix}data.image_size"] = str(size)
    if hand:
        params[f"{prefix}data.pick"], params[f"{prefix}data.hand"] = "by-hand", ",".join(map(str, hand))
        params[f"{prefix}labels"] = str(len(hand))
    return params


def _counts(images: ImageSet) -> list[int]:
    """Return the label counts of EACH that leave a fifth of the training images unlabelled, at least one label a class."""
    total = sum(images.counts("train"))
    fits = [each * images.num_classes for each in EACH if 1.25 * each * images.num_classes <= total]
    return fits or [images.num_classes]


def curve_params(images: ImageSet, size: int) -> dict[str, str]:
    """Return what the address of the Label curves page must say to begin with these images."""
    kind, _, path = images.source.partition(":")
    base = next(name for name, named in sweep.NAMED.items() if named.plan.preset == presets.lesson_for(kind))
    prefix = "sweep." if base == sweep.DEFAULT else f"{base}."
    params = {} if base == sweep.DEFAULT else {"sweep": sweep.NAMED[base].title}
    params[f"{prefix}data"] = text.DATA[kind]
    if kind == "folder":
        params |= {"folder": path, f"{prefix}counts": ",".join(map(str, _counts(images)))}
        if size != DataConfig().image_size:
            params["more"] = f"data.image_size={size}"
    return params


def command(images: ImageSet, size: int, hand: Sequence[int]) -> str:
    """The command line that trains with these images and labels."""
    kind = images.source.partition(":")[0]
    words: list[Any] = [
        "python",
        "-m",
        "sslcore",
        "train",
        "--preset",
        presets.lesson_for(kind),
        "--data",
        images.source,
    ]
    if kind == "folder" and size != DataConfig().image_size:
        words += ["--set", f"data.image_size={size}"]
    if hand:
        words += ["--labels", len(hand), "--set", "data.pick=by-hand", "--set", f"data.hand={','.join(map(str, hand))}"]
    return shlex.join(map(str, words))
