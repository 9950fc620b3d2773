"""What a trained run says of pictures and of its unlabelled pool: predictions, pseudo-labels, what to label next.

All of it asks the averaged (EMA) weights of the last checkpoint with the numbers behind every accuracy that is shown. What
to label next are the images that it is least sure of, and among those a diverse sheet: each next one is the farthest from
all before it in the net's own feature space (the greedy k-centre choice; T. F. Gonzalez, 1985). The least certain alone
are often many times the same doubt; one that it is sure of is on the sheet only where there are not enough others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslcore.config import ConfigError, RunConfig
from sslcore.data.decode import decode, in_channels
from sslcore.data.image_set import Progress
from sslcore.evaluate import predict_features
from sslcore.inspect import opened
from sslcore.predictor import Predictor, averaged
from sslcore.tables import csv_line

USUAL = 0.95  # confidence from which an answer counts as sure, where the run's method has no threshold
BLOCK = 2048  # images asked about at once
SHORTLIST = 8  # times as many uncertain images as are wanted: a diverse choice is made among these


class UnreadableImage(ValueError):
    """A file that is no picture; the message is one sentence that names it."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers on n images of the training part."""

    index: NDArray[np.int64]  # (n,) positions in the training part
    paths: tuple[str, ...]
    guess: NDArray[np.int64]  # (n,)
    confidence: NDArray[np.float32]  # (n,)
    class_names: tuple[str, ...]

    def at(self, places: Sequence[int]) -> Answers:
        """Return some of them, in this order."""
        paths = tuple(self.paths[place] for place in places)
        where = np.asarray(places, np.int64)
        return Answers(self.index[where], paths, self.guess[where], self.confidence[where], self.class_names)


def usual_threshold(config: RunConfig) -> float:
    """The method's own threshold tau, else USUAL."""
    return float(getattr(config.method, "threshold", USUAL))


def read_picture(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Decode a file as the images of a folder are, into `shape` (side, side, channels); UnreadableImage, one sentence."""
    if path.is_dir():
        raise UnreadableImage(f"{path} is a folder; name the images in it")
    if not path.exists():
        raise UnreadableImage(f"there is no file {path}")
    try:
        return in_channels(decode(str(path), shape[0]), shape[2])
    except Exception:  # a broken file can raise anything, as in decode_many
        raise UnreadableImage(f"{path} can't be read as an image") from None


class Labeller:
    """A run's last checkpoint, its images and its pool; raises as `inspect.opened`."""

    def __init__(self, path: Path) -> None:
        state, self.config, self.images, self.model = opened(path)
        self.predictor: Predictor = averaged(state, self.images, self.model)
        self.step: int = state["step"]
        self.pool: Tensor = state["split"]["unlabeled"]
        self.labeled: Tensor = state["split"]["labeled"]

    def pseudo_labels(self, progress: Progress | None = None) -> Answers:
        """Return the answers on the whole unlabelled pool, in its order; it may hold the labelled images too. ConfigError if it is empty."""
        if not len(self.pool):
            raise ConfigError("every image of this run is labelled already, so it has no pool to give pseudo-labels")
        return self._ask(self.pool, progress)

    def to_label(self, count: int, diverse: bool = True, progress: Progress | None = None) -> Answers:
        """Return the `count` images a person should label next: the least certain first, or a diverse choice among these.

        Fewer where fewer are unlabelled. ConfigError if none is, or for a count below 1.
        """
        if count < 1:
            raise ConfigError(f"--count must be a whole number from 1, got {count}")
        open_ones = self.pool[~torch.isin(self.pool, self.labeled)]
        if not len(open_ones):
            raise ConfigError("every image of this run is labelled already, so none is left to label")
        answers = self._ask(open_ones, progress)
        doubtful = np.argsort(answers.confidence, kind="stable")
        if not diverse:
            return answers.at(doubtful[:count].tolist())
        unsure = int((answers.confidence < usual_threshold(self.config)).sum())
        doubtful = doubtful[: min(SHORTLIST * count, max(count, unsure))]
        mean, std = self.predictor.mean, self.predictor.std
        raw = self.images.train_images[torch.from_numpy(answers.index[doubtful])]
        points = predict_features(self.model, raw, mean, std)
        return answers.at(doubtful[farthest_first(points, count)].tolist())

    def predict_file(self, path: Path, threshold: float) -> dict[str, Any]:
        """Return path, class, confidence, sure and all probabilities of one file; path and error, a sentence, if it is no picture."""
        try:
            picture = read_picture(path, self.predictor.shape)
        except UnreadableImage as problem:
            return {"path": str(path), "error": str(problem)}
        probs = self.predictor.probs(torch.from_numpy(picture[None].copy()))[0].tolist()
        best = max(range(len(probs)), key=probs.__getitem__)
        names = self.images.class_names
        return {
            "path": str(path), "class": names[best], "confidence": probs[best], "sure": probs[best] >= threshold,
            "probs": dict(zip(names, probs, strict=True)),
        }  # fmt: skip

    def _ask(self, index: Tensor, progress: Progress | None) -> Answers:
        confidence, guess, done = [], [], 0
        for block in index.split(BLOCK):
            best = self.predictor.probs(self.images.train_images[block]).max(dim=1)
            confidence.append(best.values)
            guess.append(best.indices)
            done += len(block)
            if progress is not None:
                progress("Asking about images", done, len(index))
        paths = tuple(self.images.path("train", position) for position in index.tolist())
        empty = torch.empty(0)
        return Answers(
            index.numpy(), paths, torch.cat([empty.long(), *guess]).numpy(), torch.cat([empty, *confidence]).numpy(), self.images.class_names
        )  # fmt: skip


def farthest_first(points: Tensor, count: int) -> list[int]:
    """Return `count` places in points (n, d): the first one, then always the one farthest from all that are chosen.

    At most n. Of several equally far ones the first, so that points that coincide keep their order.
    """
    chosen = [0] if len(points) else []
    nearest = torch.full((len(points),), torch.inf)
    while 0 < len(chosen) < min(count, len(points)):
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).norm(dim=1))
        nearest[chosen[-1]] = -1.0  # never again, not even where all the others coincide with it
        chosen.append(int(nearest.argmax()))
    return chosen


def pseudo_label_lines(answers: Answers, threshold: float) -> Iterator[str]:
    """Yield a CSV of path, class, confidence, kept (1: confidence at or above the threshold), line by line."""
    yield csv_line(["path", "class", "confidence", "kept"])
    for path, guess, sure in zip(answers.paths, answers.guess, answers.confidence, strict=True):
        yield csv_line([path, answers.class_names[guess], f"{sure:.6f}", int(sure >= threshold)])


def to_label_lines(answers: Answers) -> Iterator[str]:
    """Yield a CSV of what to label next, the first line first: path, the guessed class, its confidence."""
    yield csv_line(["path", "guess", "confidence"])
    for path, guess, sure in zip(answers.paths, answers.guess, answers.confidence, strict=True):
        yield csv_line([path, answers.class_names[guess], f"{sure:.6f}"])
