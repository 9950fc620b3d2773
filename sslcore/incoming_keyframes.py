"""Keyframes of an imported run, read without trust and checked against what the pages expect. numpy only, no torch.

An .npz file is a zip of .npy arrays: each one's header is held against the bytes that really are there before numpy
makes room for it, and nothing is ever unpickled.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import keyframes
from sslcore.archive import CHUNK, MIB, TransferError

MOST_BYTES = 512 * MIB  # of one file, unpacked
MOST_ARRAYS = 64
Dims = dict[str, int]

# name -> (kinds of dtype, shape, lowest, highest value). P probe images, C classes, M test images, K views, H W S a picture.
PROBE: dict[str, tuple[str, str, str, str]] = {
    "unlabeled_index": ("iu", "P", "0", "N"), "unlabeled_truth": ("iu", "P", "-1", "C"), "test_index": ("iu", "Q", "0", "M"),
    "test_truth": ("iu", "M", "0", "C"), "weak_images": ("u", "PHWS", "0", "256"), "strong_images": ("u", "PHWS", "0", "256"),
}  # fmt: skip
OPTIONAL: dict[str, tuple[str, str, str, str]] = {  # that older runs don't have
    "more_weak_images": ("u", "PLHWS", "0", "256"), "view_lse": ("f", "PK", "-1000000", "1000000"),
    "strong_lse": ("f", "P", "-1000000", "1000000"), "test_conf": ("f", "M", "0", "2"),
}  # fmt: skip
FRAME: dict[str, tuple[str, str, str, str]] = {
    "weak_probs": ("f", "PC", "0", "2"), "strong_probs": ("f", "PC", "0", "2"), "view_probs": ("f", "PKC", "0", "2"),
    "guess": ("f", "PC", "0", "2"), "pseudo": ("iu", "P", "0", "C"), "mask": ("u", "P", "0", "2"), "threshold": ("f", "C", "0", "2"),
    "count": ("f", "c", "0", "big"),
}  # fmt: skip
EVALUATED: dict[str, tuple[str, str, str, str]] = {
    "test_pred": ("iu", "M", "0", "C"), "confusion": ("iu", "CC", "0", "big"), "hist_right": ("iu", "B", "0", "big"),
    "hist_wrong": ("iu", "B", "0", "big"),
}  # fmt: skip


def check(folder: Path, classes: int, num_train: int) -> None:
    """Check all keyframes below a run's folder; TransferError names the first that doesn't fit."""
    steps = keyframes.steps(folder)
    there = folder / keyframes.FOLDER / keyframes.PROBE
    if not steps and not there.exists():
        return
    if not classes or not there.exists():
        raise TransferError("the keyframes need probe.npz and the class names beside them")
    dims: Dims = {"C": classes, "c": classes + 1, "N": num_train, "B": 20, "big": 2**53}
    _fit(read(there), PROBE, dims, there.name)
    if dims["S"] not in (1, 3):
        raise TransferError("the pictures in probe.npz must have 1 or 3 channels")
    for step in steps:
        path = folder / keyframes.FOLDER / f"{step:09d}.npz"
        arrays = read(path)
        table = FRAME | EVALUATED if arrays.keys() & EVALUATED.keys() else FRAME
        _fit(arrays, table, {name: size for name, size in dims.items() if name != "K"}, path.name)


def _fit(arrays: keyframes.Arrays, table: dict[str, tuple[str, str, str, str]], dims: Dims, where: str) -> None:
    """Check type, shape and range of the arrays that the pages read; a letter's first size binds it."""
    if missing := table.keys() - arrays.keys():
        raise TransferError(f"keyframe {where} lacks {', '.join(sorted(missing))}")
    table = table | {name: told for name, told in OPTIONAL.items() if name in arrays}
    for name, (kinds, shape, _, _) in table.items():
        array = arrays[name]
        if array.dtype.kind not in kinds or array.ndim != len(shape):
            raise TransferError(f"{name} in keyframe {where} has another type than SSL Lab writes")
        for letter, size in zip(shape, array.shape, strict=True):
            dims.setdefault(letter, size)
        if array.shape != tuple(dims[letter] for letter in shape):
            raise TransferError(f"{name} in keyframe {where} has a shape that doesn't fit the run's other arrays")
    for name, (_, _, low, end) in table.items():  # ranges last: by now every letter is bound
        array = arrays[name]
        if array.size and not (array.min() >= int(low) and array.max() < (dims[end] if end in dims else int(end))):
            raise TransferError(f"{name} in keyframe {where} holds impossible values")


def read(path: Path) -> keyframes.Arrays:
    """Return the arrays of an untrusted .npz file: plain finite numbers, at most MOST_BYTES in all."""
    found: keyframes.Arrays = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_ARRAYS or len({info.filename for info in infos}) != len(infos):
                raise TransferError(f"keyframe {path.name} holds too many arrays, or one twice")
            for info in infos:
                data = _unpack(archive, info, left, path.name)
                left -= len(data)
                found[info.filename.removesuffix(".npy")] = _array(data, path.name)
    except (TransferError, OSError, MemoryError):
        raise
    except Exception as error:  # zipfile and zlib raise many kinds for a damaged file
        raise TransferError(f"keyframe {path.name} can't be read: {error}".splitlines()[0]) from error
    return found


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, where: str) -> bytes:
    parts, size = [], 0
    with archive.open(info) as member:
        while part := member.read(CHUNK):
            size += len(part)
            if size > most:
                raise TransferError(f"keyframe {where} unpacks to more than {MOST_BYTES:,} bytes")
            parts.append(part)
    return b"".join(parts)


def _array(data: bytes, where: str) -> np.ndarray:
    file = io.BytesIO(data)
    try:
        version: Any = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = reader(file)
        if dtype.kind not in "biuf" or dtype.hasobject:
            raise ValueError(f"arrays of {dtype} are not allowed")
        count = 1
        for side in shape:  # Python's whole numbers: no overflow
            count *= side
        if min(shape, default=0) < 0 or count * dtype.itemsize != len(data) - file.tell():
            raise ValueError(f"a header of shape {shape} over {len(data):,} bytes")
        file.seek(0)
        array = np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # numpy reads the header as Python text: a damaged one raises many kinds
        raise TransferError(f"keyframe {where} holds an array that can't be read: {error}".splitlines()[0]) from error
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TransferError(f"keyframe {where} holds numbers that are not finite")
    return array
