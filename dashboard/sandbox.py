"""The threshold sandbox's arithmetic: frozen predictions + thresholds -> what would be kept, and how much of it is wrong.

numpy only, no streamlit, no torch: nothing trains, a knob is answered in well under a millisecond. The FlexMatch part
(arXiv:2110.08263, Eq. 5 to 7, 11, 12) says the same as `sslcore/methods/flexmatch.py`; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

BINS = 20
MAPPINGS = ("convex", "linear", "concave")
Z = 1.96  # of a 95 % interval


@dataclass(frozen=True, eq=False)
class Predictions:
    """Frozen predictions of n images: confidence (n,) in [0, 1], predicted (n,), truth (n,) with -1 = unknown."""

    confidence: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    num_classes: int

    @property
    def known(self) -> np.ndarray:
        return self.truth >= 0

    @property
    def right(self) -> np.ndarray:
        return self.known & (self.predicted == self.truth)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What thresholds do to predictions. Shares are fractions; None where nothing is known."""

    total: int
    kept: int
    known: int  # kept, and the truth is known
    wrong: int  # of those
    by_class: (
        np.ndarray
    )  # (C, 4) by predicted class: kept right (or truth unknown), kept wrong, dropped right (or unknown), dropped wrong

    @property
    def coverage(self) -> float | None:
        """Share of the images whose guess is kept: the mask rate."""
        return self.kept / self.total if self.total else None

    @property
    def purity(self) -> float | None:
        """Share of the kept guesses that are right."""
        return 1 - self.wrong / self.known if self.known else None


def from_keyframe(frame: Mapping[str, np.ndarray], which: str) -> Predictions | None:
    """Return the predictions that a keyframe holds: "probe" (weak views) or "test"; None where it has none."""
    classes = frame["weak_probs"].shape[1]
    if which == "probe":
        probs = frame["weak_probs"]
        return Predictions(probs.max(axis=1), probs.argmax(axis=1), frame["unlabeled_truth"].astype(int), classes)
    if "test_conf" not in frame or "test_truth" not in frame:
        return None
    return Predictions(
        frame["test_conf"].astype(np.float32), frame["test_pred"].astype(int), frame["test_truth"].astype(int), classes
    )


def learning_status(predictions: Predictions, tau: float) -> np.ndarray:
    """Return sigma of every class and the number of images below tau, (C + 1,): as if each were recorded once (Eq. 5)."""
    sure = predictions.confidence >= tau
    sigma = np.bincount(predictions.predicted[sure], minlength=predictions.num_classes)
    return np.append(sigma, (~sure).sum()).astype(float)


def status_to_share(beta: np.ndarray, mapping: str) -> np.ndarray:
    """Map beta in [0, 1] to the share of tau (Eq. 12): convex beta / (2 - beta), linear, concave ln(1 + beta) / ln 2."""
    if mapping == "convex":
        return beta / (2 - beta)
    if mapping == "concave":
        return np.log(beta + 1) / np.log(2)
    return beta


def most_of(counts: np.ndarray, warmup: bool) -> float:
    """Return what sigma is divided by: the largest, with warm-up also the unused images (Eq. 11); at least 1."""
    most = counts.max() if warmup else counts[:-1].max()
    return max(float(most), 1.0)


def flex_thresholds(counts: np.ndarray, tau: float, mapping: str, warmup: bool) -> np.ndarray:
    """Return T of every class from counts (C + 1,), the last = without a confident class: (C,) in [0, tau]."""
    return status_to_share(counts[:-1] / most_of(counts, warmup), mapping) * tau


def kept(predictions: Predictions, thresholds: np.ndarray) -> np.ndarray:
    """Return which guesses are kept, (n,) bool: confidence at or above the threshold of the guessed class."""
    return predictions.confidence >= thresholds[predictions.predicted]


def outcome(predictions: Predictions, thresholds: np.ndarray) -> Outcome:
    """Return what class thresholds (C,) keep and how much of it is wrong."""
    keep = kept(predictions, thresholds)
    wrong = predictions.known & ~predictions.right
    cell = predictions.predicted * 4 + 2 * ~keep + wrong
    by_class = np.bincount(cell, minlength=4 * predictions.num_classes).reshape(-1, 4)
    return Outcome(
        len(keep), int(keep.sum()), int((keep & predictions.known).sum()), int((keep & wrong).sum()), by_class
    )


def expected_wrong(result: Outcome, labeled_total: int, pool: int) -> tuple[float, float, float] | None:
    """Return how many wrong labels a pool would get: (expected, low, high), a 95 % Wilson interval of the share.

    `labeled_total`: images among the predictions whose truth is known. None if there is none.
    """
    if not labeled_total:
        return None
    low, high = wilson(result.wrong, labeled_total)
    return pool * result.wrong / labeled_total, pool * low, pool * high


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share of `hits` in n > 0 draws."""
    share, z2 = hits / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def histogram(predictions: Predictions, keep: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return counts (4, bins) by confidence: kept right (or unknown), kept wrong, dropped right (or unknown), dropped wrong."""
    wrong = predictions.known & ~predictions.right
    place = np.minimum((predictions.confidence * bins).astype(int), bins - 1)
    row = 2 * ~keep + wrong
    return np.bincount(row * bins + place, minlength=4 * bins).reshape(4, bins)


def trade_off(predictions: Predictions, taus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage and purity (NaN where nothing is kept) at every single threshold of `taus`, each (len(taus),)."""
    order = np.argsort(-predictions.confidence, kind="stable")
    falling = -predictions.confidence[order]
    count = np.searchsorted(falling, -taus, side="right")  # images with confidence >= tau
    known = np.append(0, np.cumsum(predictions.known[order]))[count]
    right = np.append(0, np.cumsum(predictions.right[order]))[count]
    purity = np.divide(right, known, out=np.full(len(taus), np.nan), where=known > 0)
    return count / max(len(order), 1), purity
