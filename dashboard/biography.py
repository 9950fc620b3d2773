"""The life of the probe images over a run: what the model took each for, how surely, and when it began to believe it. numpy only.

Everything is read off the keyframes. The untrained model of step 0 is drawn but not counted: its guesses are nobody's
belief. The three lists are defined in the functions below, in the same words as on the page (`text_time.LISTS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

FLIPS = 3  # changes of the class from which an image is a flip-flopper


@dataclass(frozen=True, eq=False)
class History:
    """n keyframes of m probe images, in the order of the steps; `truth` is -1 where it isn't known."""

    steps: np.ndarray  # (n,)
    guess: np.ndarray  # (n, m) class
    confidence: np.ndarray  # (n, m) in [0, 1]
    kept: np.ndarray  # (n, m) bool
    threshold: np.ndarray  # (n, m) that of the guessed class
    truth: np.ndarray  # (m,)

    @property
    def counted(self) -> np.ndarray:
        """(n,) bool: the keyframes that count, those of a model that has trained."""
        return self.steps > 0

    @property
    def wrong(self) -> np.ndarray:
        """(n, m) bool: the truth is known and the guess isn't it."""
        return (self.truth >= 0) & (self.guess != self.truth)


def history(steps: Sequence[int], frames: Sequence[Mapping[str, np.ndarray]], truth: np.ndarray) -> History:
    """Put keyframes together; each needs weak_probs (m, C), mask (m,) and threshold (C,)."""
    guess = np.stack([frame["weak_probs"].argmax(axis=1) for frame in frames])
    return History(
        np.asarray(steps, np.int64),
        guess,
        np.stack([frame["weak_probs"].max(axis=1) for frame in frames]),
        np.stack([frame["mask"].astype(bool) for frame in frames]),
        np.stack([frame["threshold"][row] for frame, row in zip(frames, guess, strict=True)]),
        truth,
    )


def flips(life: History) -> np.ndarray:
    """Return (m,): how often the guessed class changed from one counted keyframe to the next."""
    guess = life.guess[life.counted]
    return (guess[1:] != guess[:-1]).sum(axis=0) if len(guess) else np.zeros(len(life.truth), np.int64)


def first_kept(life: History) -> np.ndarray:
    """Return (m,): the step of the first counted keyframe at which the guess was kept; -1 if there is none."""
    kept, steps = life.kept[life.counted], life.steps[life.counted]
    if not len(steps):
        return np.full(len(life.truth), -1)
    return np.where(kept.any(axis=0), steps[kept.argmax(axis=0)], -1)


def wrong_for_ever(life: History) -> list[int]:
    """Kept at the newest keyframe, and wrong there and at every one since it was first kept; longest first."""
    kept, wrong, steps = life.kept[life.counted], life.wrong[life.counted], life.steps[life.counted]
    if not len(steps):
        return []
    since = first_kept(life)
    later = steps[:, None] >= since
    found = kept[-1] & wrong[-1] & (wrong | ~later).all(axis=0)
    return sorted(np.flatnonzero(found).tolist(), key=lambda i: (since[i], i))


def flip_floppers(life: History) -> list[int]:
    """The class changed at least three times; most changes first."""
    count = flips(life)
    return sorted(np.flatnonzero(count >= FLIPS).tolist(), key=lambda i: (-count[i], i))


def late_bloomers(life: History) -> list[int]:
    """Right at the newest keyframe, but wrong at one in the second half of the steps so far; latest first."""
    wrong, steps = life.wrong[life.counted], life.steps[life.counted]
    if not len(steps):
        return []
    half = wrong & (2 * steps >= steps[-1])[:, None]
    found = half.any(axis=0) & (life.guess[-1] == life.truth)
    last_wrong = np.where(half, steps[:, None], 0).max(axis=0)
    return sorted(np.flatnonzero(found).tolist(), key=lambda i: (-last_wrong[i], i))


LISTS = {"wrong": wrong_for_ever, "flips": flip_floppers, "late": late_bloomers}


@dataclass(frozen=True, eq=False)
class Biography:
    """One probe image over the run; the arrays have one entry a keyframe, step 0 included."""

    number: int
    truth: int  # -1: not known
    steps: np.ndarray
    guess: np.ndarray
    confidence: np.ndarray
    kept: np.ndarray
    threshold: np.ndarray
    flips: int
    first_kept: int  # step, -1: never
    right_since: (
        int | None
    )  # step of the keyframe from which it has been right without a break; None: wrong now, or truth not known


def biography(life: History, number: int) -> Biography:
    """Return the life of probe image `number`."""
    right = life.guess[:, number] == life.truth[number]
    last_wrong = int(np.flatnonzero(~right)[-1]) if (~right).any() else -1
    since = int(life.steps[last_wrong + 1]) if last_wrong + 1 < len(right) else None
    return Biography(
        number, int(life.truth[number]), life.steps, life.guess[:, number], life.confidence[:, number], life.kept[:, number],
        life.threshold[:, number], int(flips(life)[number]), int(first_kept(life)[number]), since,
    )  # fmt: skip
