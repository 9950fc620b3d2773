"""What the Runs page asks of a run's last checkpoint: pictures, its pool, what to label next. No streamlit; torch only inside the functions."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dashboard import sheets
from dashboard.bars import Bar
from dashboard.text import told_apart
from dashboard.theme import class_color

if TYPE_CHECKING:
    from sslcore.labelling import Answers, Labeller

BARS = 5  # classes shown of an answer, the likeliest first
STRIP = 4  # pictures side by side in one image: two of these stand beside each other, or one on a phone


def labeller(path: Path) -> Labeller:
    """Load a checkpoint, once for each version of the file. CheckpointError, DataError, ConfigError or OSError."""
    return _labeller(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _labeller(path: Path, version: int) -> Labeller:
    from sslcore.labelling import Labeller

    return Labeller(path)


@lru_cache(maxsize=4)
def pool(model: Labeller) -> Answers:
    """The answers on the whole unlabelled pool."""
    return model.pseudo_labels()


@lru_cache(maxsize=8)
def next_ones(model: Labeller, count: int, diverse: bool) -> Answers:
    return model.to_label(count, diverse)


@lru_cache(maxsize=8)
def next_strips(model: Labeller, count: int, diverse: bool, theme: str) -> tuple[tuple[bytes, str], ...]:
    """The images to label next with the guess on each: strips as PNG, and each in words."""
    found, strips = next_ones(model, count, diverse), []
    lines = [
        f"{' '.join(found.class_names[guess].split())}\n{100 * sure:.0f} %"
        for guess, sure in zip(found.guess, found.confidence, strict=True)
    ]
    for first in range(0, len(lines), STRIP):
        part = slice(first, first + STRIP)
        pictures = list(model.images.train_images[found.index[part]].numpy())
        strips.append((sheets.grid(pictures, lines[part], STRIP, theme), "; ".join(lines[part]).replace("\n", ", ")))
    return tuple(strips)


def probs(model: Labeller, picture: np.ndarray) -> np.ndarray:
    """Return the class probabilities (C,) of one picture (H, W, channels) uint8."""
    import torch

    return np.asarray(model.predictor.probs(torch.from_numpy(picture[None].copy()))[0].numpy())


def bars_of(found: np.ndarray, names: tuple[str, ...], sure: float) -> list[Bar]:
    """Return the likeliest classes as bars, with the threshold as a tick."""
    best, apart = np.argsort(-found, kind="stable")[:BARS], told_apart(names)
    return [
        Bar(apart[c], float(found[c]), f"{100 * found[c]:.1f} %", class_color(int(c)), tick=sure, strong=place == 0)
        for place, c in enumerate(best)
    ]


def pseudo_csv(model: Labeller, threshold: float) -> str:
    from sslcore.labelling import pseudo_label_lines

    return "".join(pseudo_label_lines(pool(model), threshold))


def next_csv(model: Labeller, count: int, diverse: bool) -> str:
    from sslcore.labelling import to_label_lines

    return "".join(to_label_lines(next_ones(model, count, diverse)))
