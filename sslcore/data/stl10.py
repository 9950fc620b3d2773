"""STL-10 (A. Coates, H. Lee, A. Ng, 2011): 96 x 96 photographs, 5,000 labelled, 100,000 unlabelled, 8,000 for testing.

Read straight from the archive into the one array that is kept: torchvision's own reader needs three times its 3 GB.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sslcore.data.image_set import DataError, Progress

SIDE = 96  # pixels
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
IMAGE = 3 * SIDE * SIDE  # bytes
BLOCK = 256  # images read at once
IMAGES = {"train_X.bin": "train_images", "unlabeled_X.bin": "train_images", "test_X.bin": "test_images"}
LABELS = {"train_y.bin": "train_labels", "test_y.bin": "test_labels"}


def read(dataset: Any, folder: Path, progress: Progress | None) -> dict[str, NDArray[Any]]:
    """Return train_images (labelled, then unlabelled ones), train_labels (-1 unlabelled), test_images, test_labels, class_names.

    From the archive in `folder`, whose MD5 was compared, or what it unpacks to, whose files' MD5 are compared here.
    """
    archive = folder / dataset.filename
    if archive.exists():
        with _archived(archive) as files:
            return _read(files, str(archive), progress)
    from torchvision.datasets.utils import check_integrity

    unpacked = folder / dataset.base_folder
    for name, md5 in dataset.train_list + dataset.test_list:
        if not check_integrity(unpacked / name, md5):
            raise DataError(f"{unpacked} is incomplete or damaged: the MD5 of {name} is not the original's")
    return _read({name: _opened(unpacked / name) for name in (*IMAGES, *LABELS)}, str(unpacked), progress)


File = tuple[int, Any]  # size, and a function that opens it


def _opened(path: Path) -> File:
    return path.stat().st_size, lambda: open(path, "rb")


@contextmanager
def _archived(path: Path) -> Iterator[dict[str, File]]:
    """Yield the files in a .tar.gz, in the order in which they lie there: going back means unpacking from the start."""
    try:
        with tarfile.open(path) as tar:
            found = {Path(member.name).name: member for member in tar if member.isfile()}
            yield {
                name: (member.size, lambda member=member: tar.extractfile(member))
                for name, member in found.items()
                if name in IMAGES or name in LABELS
            }
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} can't be unpacked: {error}") from None


def _read(files: dict[str, File], where: str, progress: Progress | None) -> dict[str, NDArray[Any]]:
    if missing := [name for name in (*IMAGES, *LABELS) if name not in files]:
        raise DataError(f"{where} lacks {missing[0]}")
    counts = {name: files[name][0] // IMAGE for name in IMAGES}
    labeled, unlabeled = counts["train_X.bin"], counts["unlabeled_X.bin"]
    arrays: dict[str, NDArray[Any]] = {
        "train_images": np.empty((labeled + unlabeled, SIDE, SIDE, 3), np.uint8),
        "train_labels": np.full(labeled + unlabeled, -1, np.int64),
        "test_images": np.empty((counts["test_X.bin"], SIDE, SIDE, 3), np.uint8),
        "test_labels": np.empty(counts["test_X.bin"], np.int64),
        "class_names": np.asarray(CLASSES),
    }
    done, total = 0, sum(counts.values())
    for name, (size, opened) in files.items():
        with opened() as file:
            if name in LABELS:
                numbers = np.frombuffer(file.read(), np.uint8)  # from 1 on
                arrays[LABELS[name]][:size] = numbers.astype(np.int64) - 1
                continue
            out = arrays[IMAGES[name]][labeled if name == "unlabeled_X.bin" else 0 :][: counts[name]]
            for start in range(0, counts[name], BLOCK):
                part = out[start : start + BLOCK]
                _fill(file, part)
                done += len(part)
                if progress is not None:
                    progress("Unpacking STL-10", done, total)
    return arrays


def _fill(file: IO[bytes], out: NDArray[np.uint8]) -> None:
    """Read len(out) images: each three planes of columns, turned here into lines of pixels."""
    planes = np.frombuffer(file.read(len(out) * IMAGE), np.uint8).reshape(len(out), 3, SIDE, SIDE)
    out[:] = planes.transpose(0, 3, 2, 1)
