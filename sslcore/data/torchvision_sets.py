"""CIFAR-10 (A. Krizhevsky, 2009) through torchvision: found or downloaded once, checked, decoded into the cache.

Looked for in the downloads folder: cifar-10-python.tar.gz, then cifar-10-batches-py, unpacked; else the archive is
downloaded there. torchvision owns the address, the MD5 sums and the format. The download is ours, because
torchvision's reports no progress to a page, has no time limit, and falls back to plain http.
"""

from __future__ import annotations

import hashlib
import http.client
import queue
import tempfile
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sslcore.data import cache
from sslcore.data.image_set import DataError, ImageSet, Progress, build

CACHE_NAME = "cifar10-1"
MEMBERS = ("train_images", "train_labels", "test_images", "test_labels", "class_names")
ARCHIVES = ("cifar-10-python.tar.gz", "cifar-10-batches-py")
CONNECT_SECONDS = 8.0  # for name look-up, connection and the first byte together
STALL_SECONDS = 15.0  # a download that receives nothing for so long has failed


def load_cifar10(progress: Progress | None = None) -> ImageSet:
    """Return CIFAR-10: (50000, 32, 32, 3) for training, (10000, 32, 32, 3) for testing.

    DataError where it is neither here nor can be downloaded, or where what is here is damaged.
    """
    arrays = cache.load(CACHE_NAME, MEMBERS)
    trouble = ""
    if arrays is None:
        arrays = _read(cache.data_root() / "downloads", progress)
        trouble = cache.save(CACHE_NAME, arrays)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "class_names"}
    return build(
        source="cifar10",
        title="CIFAR-10",
        train=(tensors["train_images"], tensors["train_labels"]),
        test=(tensors["test_images"], tensors["test_labels"]),
        class_names=tuple(arrays["class_names"].tolist()),
        flip=True,
        notes=(trouble,) if trouble else (),
    )


def is_here() -> bool:
    """Whether CIFAR-10 can be had without a download: decoded, or its archive in the downloads folder."""
    downloads = cache.data_root() / "downloads"
    return cache.has(CACHE_NAME) or any((downloads / name).exists() for name in ARCHIVES)


def _read(downloads: Path, progress: Progress | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of MEMBERS from the unpacked folder or the archive, whichever is there."""
    try:
        from torchvision.datasets import CIFAR10
        from torchvision.datasets.utils import calculate_md5, extract_archive
    except (ImportError, RuntimeError) as error:  # a torchvision built for another torch raises RuntimeError
        raise DataError(
            f"data.source cifar10 needs the package torchvision, which can't be imported ({error}); install torch and "
            "torchvision together, as the README says"
        ) from None

    archive = downloads / CIFAR10.filename
    if not archive.exists() and (downloads / CIFAR10.base_folder).is_dir():
        return _unpickled(CIFAR10, downloads)
    if not archive.exists():
        _download(CIFAR10.url, archive, CIFAR10.tgz_md5, progress)
    elif calculate_md5(archive) != CIFAR10.tgz_md5:
        raise DataError(f"{archive} is damaged or not the original archive: its MD5 is not {CIFAR10.tgz_md5}")
    try:
        # Not beside the archive, which may lie where nothing can be written.
        with tempfile.TemporaryDirectory(prefix="ssl-lab-") as folder:
            extract_archive(str(archive), folder)
            return _unpickled(CIFAR10, Path(folder))
    except OSError as error:
        raise DataError(f"{archive} could not be unpacked in {tempfile.gettempdir()}: {_reason(error)}") from None


def _unpickled(kind: Any, folder: Path) -> dict[str, NDArray[Any]]:
    """Read the batches in `folder` with torchvision's class, which checks their MD5 before it unpickles."""
    try:
        train, test = kind(str(folder), train=True), kind(str(folder), train=False)
    except (RuntimeError, OSError):
        raise DataError(
            f"{folder / kind.base_folder} is incomplete or damaged: its files' MD5 are not the original's"
        ) from None
    return {
        "train_images": np.ascontiguousarray(train.data),
        "train_labels": np.asarray(train.targets, np.int64),
        "test_images": np.ascontiguousarray(test.data),
        "test_labels": np.asarray(test.targets, np.int64),
        "class_names": np.asarray(train.classes),
    }


def _download(url: str, target: Path, md5: str, progress: Progress | None) -> None:
    """Load `url` into `target`, whole and with the right MD5 or not at all."""
    try:
        with _open(url) as response, cache.written_whole(target) as file:
            total, done = int(response.headers.get("Content-Length") or 0), 0
            digest = hashlib.md5(usedforsecurity=False)
            while block := response.read(1 << 18):
                file.write(block)
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress("Downloading CIFAR-10", done, max(total, done))
            if digest.hexdigest() != md5:
                raise OSError("it arrived damaged")
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors too
        raise DataError(
            f"cifar10 could not be downloaded ({_reason(error)}): put {target.name} into {target.parent}, or choose "
            "digits, shapes or folder:PATH, which need no network"
        ) from None


def _reason(error: object) -> str:
    """Return what went wrong in a few words; URLError wraps an OSError, which knows the words."""
    inner = getattr(error, "reason", None) or error
    return str(getattr(inner, "strerror", None) or inner)


def _open(url: str) -> Any:
    """Return urlopen's response within CONNECT_SECONDS or raise OSError.

    A name look-up obeys no time-out, so all of it runs in a thread that is left behind where it takes too long.
    """
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def connect() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=STALL_SECONDS))
        except Exception as error:  # handed to the caller, whatever it is
            answer.put(error)

    threading.Thread(target=connect, daemon=True, name="connect").start()
    try:
        result = answer.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result
