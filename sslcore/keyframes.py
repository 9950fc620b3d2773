"""Keyframes on disk: at most 64 small files of arrays a run, what every exhibit draws from. numpy only.

`probe.npz` holds what never changes: the probe images' places, truths and fixed views. `000000120.npz` holds what the
model thought of them at step 120, the thresholds, and the predictions on the whole test set.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sslcore.files import keep_file

MOST = 64
FOLDER, PROBE = "keyframes", "probe.npz"
Arrays = dict[str, np.ndarray]


class KeyframeError(ValueError):
    """A keyframe that can't be read; the message names the file."""


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    def dump(temp: Path) -> None:
        with open(temp, "wb") as file:
            np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]

    with contextlib.suppress(OSError):  # a full disk: the writing says so
        path.parent.mkdir(exist_ok=True)
    keep_file(path, dump)


def planned(run_steps: int, evals: int) -> Iterator[int]:
    """Yield the steps after which a run is evaluated and a keyframe is made, in order; with more evaluations than steps each one."""
    last = 0
    for k in range(1, evals + 1):
        step = max(1, round(run_steps * k / evals))
        if step > last:
            yield step
            last = step


def write_probe(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    _write(folder / FOLDER / PROBE, arrays)


def write(folder: Path, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Add a keyframe; of more than 64 the most crowded go, so the rest stay evenly spread."""
    _write(folder / FOLDER / f"{step:09d}.npz", arrays)
    for old in crowded(steps(folder), MOST):
        (folder / FOLDER / f"{old:09d}.npz").unlink(missing_ok=True)


def crowded(steps: Sequence[int], most: int) -> list[int]:
    """Return which of the sorted `steps` to drop until `most` are left: always the one with the closest neighbours, the earliest first.

    Dropping every second one whenever there are too many would thin the beginning of a long run over and over.
    """
    left, dropped = list(steps), []
    while len(left) > most:
        inner = min(range(1, len(left) - 1), key=lambda k: left[k + 1] - left[k - 1])
        dropped.append(left.pop(inner))
    return dropped


def drop_after(folder: Path, step: int) -> None:
    """Delete keyframes beyond `step`: a resumed run makes them again."""
    for later in steps(folder):
        if later > step:
            (folder / FOLDER / f"{later:09d}.npz").unlink(missing_ok=True)


def steps(folder: Path) -> list[int]:
    """Return the steps that have a keyframe, in order; `folder` is the run's folder."""
    return sorted(int(path.stem) for path in (folder / FOLDER).glob("*.npz") if path.stem.isdigit())


def probe(folder: Path) -> Arrays:
    """Return the unchanging part: unlabeled_index, unlabeled_truth (-1 unknown), test_index, test_truth, the views.

    weak_images and strong_images (64, H, W, channels) uint8; more_weak_images (64, K - 1, H, W, channels).
    """
    return _read(folder / FOLDER / PROBE)


def load(folder: Path, step: int, only: Sequence[str] | None = None) -> Arrays:
    """Return the arrays of one keyframe, or `only` some of them; `sslcore.probe` says which there are.

    FileNotFoundError if it has been thinned away, KeyframeError if it is damaged.
    """
    return _read(folder / FOLDER / f"{step:09d}.npz", only)


def _read(path: Path, only: Sequence[str] | None = None) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if only is None or name in only}
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds for a truncated or damaged file
        problem = f"keyframe {path.name} of run {path.parent.parent.name} can't be read: {error}"
        raise KeyframeError(problem.splitlines()[0]) from error
