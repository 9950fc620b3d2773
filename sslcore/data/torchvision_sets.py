"""The public data sets that torchvision knows: found or downloaded once, checked, decoded into the cache.

Looked for in the downloads folder (cache.data_root()): the archive, then its contents unpacked; else it is downloaded
there. torchvision owns the addresses, the MD5 sums and, but for STL-10, the reading. Nothing is opened before its MD5 is
right: CIFAR's files are pickles.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sslcore.data import cache, stl10
from sslcore.data.download import download, reason
from sslcore.data.image_set import DataError, ImageSet, Progress, build

MEMBERS = ("train_images", "train_labels", "test_images", "test_labels", "class_names")
Arrays = dict[str, NDArray[Any]]


class Archive(NamedTuple):
    url: str
    name: str
    md5: str


@dataclass(frozen=True)
class Kind:
    """One data set: how it is called, where its files lie, how they are read."""

    title: str
    dataset: str  # torchvision's class
    flip: bool
    archives: Callable[[Any], list[Archive]]  # torchvision's class -> what is downloaded
    read: Callable[
        [Any, Path, Progress | None], Arrays
    ]  # (torchvision's class, folder of the archives, ...) -> MEMBERS
    folder: str = ""  # within the downloads folder: a set of several files has one of its own
    unpacked: str = ""  # what the archive unpacks to, where that may lie there instead
    notes: tuple[str, ...] = ()


def load(source: str, progress: Progress | None = None) -> ImageSet:
    """Return the data set `source`, a key of KINDS; DataError where it can't be had or what is here is damaged."""
    kind = KINDS[source]
    arrays = cache.load(f"{source}-1", MEMBERS)
    trouble = ""
    if arrays is None:
        arrays = _read(source, kind, progress)
        trouble = cache.save(f"{source}-1", arrays)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "class_names"}
    return build(
        source=source,
        title=kind.title,
        train=(tensors["train_images"], tensors["train_labels"]),
        test=(tensors["test_images"], tensors["test_labels"]),
        class_names=tuple(arrays["class_names"].tolist()),
        flip=kind.flip,
        notes=kind.notes + ((trouble,) if trouble else ()),
    )


def is_here(source: str) -> bool:
    """Whether a data set can be had without a download: decoded, or its files in the downloads folder. No torchvision."""
    kind = KINDS[source]
    folder = _folder(kind)
    return (
        cache.has(f"{source}-1")
        or all((folder / name).exists() for name in FILES[source])
        or bool(kind.unpacked and (folder / kind.unpacked).is_dir())
    )


def _folder(kind: Kind) -> Path:
    return cache.data_root() / "downloads" / kind.folder


def _read(source: str, kind: Kind, progress: Progress | None) -> Arrays:
    try:
        import torchvision.datasets as datasets
        from torchvision.datasets.utils import calculate_md5
    except (ImportError, RuntimeError) as error:  # a torchvision built for another torch raises RuntimeError
        raise DataError(
            f"data.source {source} needs the package torchvision, which can't be imported ({error}); install torch and "
            "torchvision together, as the README says"
        ) from None

    dataset, folder = getattr(datasets, kind.dataset), _folder(kind)
    archives = kind.archives(dataset)
    for archive in [] if _only_unpacked(kind, folder, archives) else archives:
        path = folder / archive.name
        if not path.exists():
            if problem := download(archive.url, path, archive.md5, kind.title, progress):
                raise DataError(
                    f"{source} could not be downloaded ({problem}): put {', '.join(each.name for each in archives)} into "
                    f"{folder}, or choose digits, shapes or folder:PATH, which need no network"
                )
        elif calculate_md5(path) != archive.md5:
            raise DataError(f"{path} is damaged or not the original archive: its MD5 is not {archive.md5}")
    try:
        return kind.read(dataset, folder, progress)
    except OSError as error:
        raise DataError(f"{source} could not be unpacked from {folder}: {reason(error)}") from None
    except ImportError as error:
        raise DataError(f"data.source {source} can't be read: {error}; requirements.txt names what it needs") from None


def _only_unpacked(kind: Kind, folder: Path, archives: list[Archive]) -> bool:
    there = any((folder / archive.name).exists() for archive in archives)
    return bool(kind.unpacked) and not there and (folder / kind.unpacked).is_dir()


def _checked(make: Callable[[], Any], what: Path) -> Any:
    """Return a data set of torchvision, which compares its files' MD5 before it reads them."""
    try:
        return make()
    except RuntimeError:
        raise DataError(f"{what} is incomplete or damaged: its files' MD5 are not the original's") from None


def _read_cifar(dataset: Any, folder: Path, progress: Progress | None) -> Arrays:
    from torchvision.datasets.utils import extract_archive

    archive = folder / dataset.filename
    if not archive.exists():
        return _unpickled(dataset, folder)
    # Not beside the archive, which may lie where nothing can be written.
    with tempfile.TemporaryDirectory(prefix="ssl-lab-") as unpacked:
        extract_archive(str(archive), unpacked)
        return _unpickled(dataset, Path(unpacked))


def _unpickled(dataset: Any, folder: Path) -> Arrays:
    train, test = (
        _checked(lambda: dataset(str(folder), train=True), folder / dataset.base_folder),
        _checked(lambda: dataset(str(folder), train=False), folder / dataset.base_folder),
    )
    return _arrays((train.data, train.targets), (test.data, test.targets), train.classes)


def _read_svhn(dataset: Any, folder: Path, progress: Progress | None) -> Arrays:
    def part(name: str) -> tuple[Any, Any]:
        found = _checked(lambda: dataset(str(folder), split=name), folder)
        return np.ascontiguousarray(
            found.data.transpose(0, 2, 3, 1)
        ), found.labels  # torchvision has the channels first

    return _arrays(part("train"), part("test"), [str(digit) for digit in range(10)])


def _read_fashion(dataset: Any, folder: Path, progress: Progress | None) -> Arrays:
    with tempfile.TemporaryDirectory(prefix="ssl-lab-") as unpacked:
        raw = Path(unpacked) / dataset.__name__ / "raw"
        raw.mkdir(parents=True)
        for name, _ in dataset.resources:
            with gzip.open(folder / name) as packed, open(raw / name.removesuffix(".gz"), "wb") as file:
                shutil.copyfileobj(packed, file)
        train, test = (_bordered(dataset(unpacked, train=train)) for train in (True, False))
    return _arrays(train, test, dataset.classes)


def _bordered(part: Any) -> tuple[Any, Any]:
    """Return images (N, 32, 32, 1) and labels: 28 is no multiple of 8, and the background is black to the edge."""
    return np.pad(part.data.numpy()[..., None], ((0, 0), (2, 2), (2, 2), (0, 0))), part.targets.numpy()


def _arrays(train: tuple[Any, Any], test: tuple[Any, Any], classes: list[str]) -> Arrays:
    return {
        "train_images": np.ascontiguousarray(train[0]),
        "train_labels": np.asarray(train[1], np.int64),
        "test_images": np.ascontiguousarray(test[0]),
        "test_labels": np.asarray(test[1], np.int64),
        "class_names": np.asarray(classes),
    }


def _one(dataset: Any) -> list[Archive]:
    return [Archive(dataset.url, dataset.filename, dataset.tgz_md5)]


# The files' names once more, so that a page can ask what is here without torchvision, which takes seconds to import.
FILES = {
    "cifar10": ("cifar-10-python.tar.gz",),
    "cifar100": ("cifar-100-python.tar.gz",),
    "svhn": ("train_32x32.mat", "test_32x32.mat"),
    "stl10": ("stl10_binary.tar.gz",),
    "fashion_mnist": tuple(
        f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    ),
}
KINDS = {
    "cifar10": Kind("CIFAR-10", "CIFAR10", True, _one, _read_cifar, unpacked="cifar-10-batches-py"),
    "cifar100": Kind("CIFAR-100", "CIFAR100", True, _one, _read_cifar, unpacked="cifar-100-python"),
    "svhn": Kind(
        "SVHN", "SVHN", False,  # house numbers: a mirrored 2 is none
        lambda dataset: [Archive(*dataset.split_list[part]) for part in ("train", "test")], _read_svhn, folder="svhn",
        notes=("The 531,131 easier digits of the part called extra are not used.",),
    ),
    "stl10": Kind(
        "STL-10", "STL10", True, _one, stl10.read, unpacked="stl10_binary",
        notes=(
            "The 100,000 unlabelled images come from a wider range of things than the ten classes; their true classes are unknown, so no purity "
            "counts them.",
        ),
    ),
    "fashion_mnist": Kind(
        "Fashion-MNIST", "FashionMNIST", True, lambda dataset: [Archive(dataset.mirrors[0] + name, name, md5) for name, md5 in dataset.resources],
        _read_fashion, folder="fashion_mnist", notes=("The 28 x 28 images got a black border of 2 pixels: 32 x 32, as the nets need.",),
    ),
}  # fmt: skip
