"""The X-ray's arithmetic: the logits of one unlabelled image -> target and loss, as MixMatch, FixMatch and FlexMatch say.

numpy only, no streamlit, no torch. Each method's numbers equal those of its `step` in `sslcore/methods/` for this image
alone; a test holds them together. MixMatch is taken before MixUp (every image mixed with itself).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dashboard import sandbox

METHODS = ("mixmatch", "fixmatch", "flexmatch")
TINY = float(np.finfo(np.float32).tiny)  # smallest probability that a keyframe can tell from 0


@dataclass(frozen=True, eq=False)
class Subject:
    """One unlabelled image as one model sees it.

    Pictures (H, W, channels) uint8; of keyframes written by earlier versions only the first weak one is there.
    """

    weak: tuple[np.ndarray, ...]
    strong: np.ndarray
    weak_logits: np.ndarray  # (K, C) float64, K >= len(weak)
    strong_logits: np.ndarray  # (C,)
    shifted: bool  # the logits are known up to a constant only, which changes no probability
    truth: int  # -1 = unknown
    counts: np.ndarray | None = None  # (C + 1,) what a FlexMatch run had recorded by then


@dataclass(frozen=True)
class Knobs:
    """What a person may turn. temperature >= 0 (0 = the limit: argmax); tau in [0, 1]."""

    method: str
    views: int = 2
    temperature: float = 0.5
    tau: float = 0.95
    mapping: str = "convex"
    warmup: bool = True


@dataclass(frozen=True, eq=False)
class Ray:
    """Every number on the image's way through the step. Probabilities (C,), natural logarithms."""

    view_probs: np.ndarray  # (K, C) of the weak views in use; one for FixMatch and FlexMatch
    probs: np.ndarray  # what the guess is made of: the first view's, or MixMatch's mean
    guess: int
    confidence: float
    target: np.ndarray  # sharpened, or one-hot
    kept: bool
    threshold: float | None  # of the guessed class; MixMatch has none
    thresholds: np.ndarray | None  # (C,)
    predicted: np.ndarray  # (n, C) what must agree with the target: the strong view, or MixMatch's own weak views
    loss: float  # this image's share of loss_u


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (..., C) of logits (..., C)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def sharpen(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Return p^(1/T) / sum p^(1/T) (MixMatch, Eq. 7) for probs (C,) and T >= 0; T = 0 is the limit, shared between equals."""
    if temperature == 0:
        top = (probs == probs.max()).astype(float)
        return top / top.sum()
    # Divided by the largest first: p^(1/T) of a small T would underflow to 0 / 0.
    powers = (probs / probs.max()) ** (1 / temperature)
    return powers / powers.sum()


def entropy(probs: np.ndarray) -> float:
    """Return -sum p ln p in nats, 0 for a certain guess, ln C for none at all."""
    some = probs[probs > 0]
    return max(0.0, float(-(some * np.log(some)).sum()))


def class_thresholds(knobs: Knobs, counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the thresholds in force (C,): 0 for MixMatch, tau for FixMatch, those of the learning status for FlexMatch."""
    if knobs.method == "flexmatch":
        return sandbox.flex_thresholds(counts, knobs.tau, knobs.mapping, knobs.warmup)
    return np.full(num_classes, knobs.tau if knobs.method == "fixmatch" else 0.0)


def trace(subject: Subject, knobs: Knobs, counts: np.ndarray) -> Ray:
    """Follow one image through the step. `counts` (C + 1,): the learning status that FlexMatch goes by."""
    weak = softmax(subject.weak_logits)
    if knobs.method == "mixmatch":
        views = weak[: knobs.views]
        probs = views.mean(axis=0)  # Eq. 6
        target = sharpen(probs, knobs.temperature)  # Eq. 7
        guess = int(probs.argmax())
        loss = float(np.square(views - target).mean())  # Eq. 4, over views and classes
        return Ray(views, probs, guess, float(probs[guess]), target, True, None, None, views, loss)
    probs = weak[0]
    guess = int(probs.argmax())
    thresholds = class_thresholds(knobs, counts, len(probs))
    keep = bool(probs[guess] >= thresholds[guess])
    target = np.zeros(len(probs))
    target[guess] = 1.0
    loss = -float(log_softmax(subject.strong_logits)[guess]) if keep else 0.0
    return Ray(
        weak[:1], probs, guess, float(probs[guess]), target, keep, float(thresholds[guess]), thresholds,
        softmax(subject.strong_logits)[None], loss,
    )  # fmt: skip


def from_keyframe(frame: Mapping[str, np.ndarray], image: int, recorded: bool) -> Subject:
    """Return probe image number `image` at a keyframe; `recorded`: its counts are those of a FlexMatch run."""
    views = frame.get("view_probs", frame["weak_probs"][:, None])[image]
    known = "view_lse" in frame
    more = frame["more_weak_images"][image] if "more_weak_images" in frame else ()
    return Subject(
        (frame["weak_images"][image], *more),
        frame["strong_images"][image],
        logits_of(views, frame["view_lse"][image] if known else None),
        logits_of(frame["strong_probs"][image], frame["strong_lse"][image] if known else None),
        not known,
        int(frame["unlabeled_truth"][image]),
        frame["count"].astype(float) if recorded and "count" in frame else None,
    )


def logits_of(probs: np.ndarray, lse: np.ndarray | None) -> np.ndarray:
    """Return log(probs) + lse, (..., C): the logits; without lse (...,) their mean is made 0."""
    logs = np.log(np.maximum(probs.astype(float), TINY))
    return logs - logs.mean(axis=-1, keepdims=True) if lse is None else logs + np.asarray(lse, float)[..., None]


def shown_classes(ray: Ray, truth: int, most: int = 10) -> list[int]:
    """Return the classes to draw in every box: all, or of many those that matter most for this image, in their order."""
    if len(ray.probs) <= most:
        return list(range(len(ray.probs)))
    weight = ray.probs + ray.predicted.max(axis=0) + ray.target
    weight[ray.guess] = np.inf
    if truth >= 0:
        weight[truth] = np.inf
    return sorted(np.argsort(-weight, kind="stable")[:most].tolist())
