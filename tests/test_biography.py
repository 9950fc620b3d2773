"""The biographies and the three lists, against loops that say the definitions word by word."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dashboard import biography as bio
from dashboard.biography import History

STEPS = (0, 10, 20, 30, 40)
TRUE = 2  # the truth of every image below
# one row an image: the guesses at the five keyframes, and whether each was kept
IMAGES = {
    "right all along": ([2, 2, 2, 2, 2], [1, 1, 1, 1, 1]),
    "wrong for ever": ([2, 1, 1, 1, 1], [1, 1, 1, 1, 1]),  # right by chance at step 0, before any training
    "wrong since it was kept": ([0, 2, 1, 1, 1], [0, 0, 1, 1, 1]),
    "wrong, but not kept now": ([1, 1, 1, 1, 1], [1, 1, 1, 1, 0]),
    "kept when right, wrong now": ([1, 2, 1, 1, 1], [0, 1, 0, 1, 1]),
    "three changes": ([2, 1, 2, 1, 2], [0, 0, 0, 0, 0]),
    "two changes and step 0": ([1, 2, 1, 2, 2], [0, 0, 0, 0, 1]),
    "bloomed at the end": ([1, 1, 1, 1, 2], [0, 0, 0, 0, 1]),
    "bloomed just at half": ([1, 1, 1, 2, 2], [0, 0, 0, 1, 1]),
    "bloomed early": ([1, 1, 2, 2, 2], [0, 0, 1, 1, 1]),
}
NAMES = list(IMAGES)


def life(truth: int = TRUE, steps: tuple[int, ...] = STEPS) -> History:
    guess = np.array([row for row, _ in IMAGES.values()]).T[: len(steps)]
    kept = np.array([row for _, row in IMAGES.values()], bool).T[: len(steps)]
    ones = np.ones(guess.shape)
    return History(np.array(steps), guess, 0.9 * ones, kept, 0.5 * ones, np.full(len(IMAGES), truth))


def names(numbers: list[int]) -> list[str]:
    return [NAMES[i] for i in numbers]


def test_the_lists_hold_whom_they_should() -> None:
    assert names(bio.wrong_for_ever(life())) == ["wrong for ever", "wrong since it was kept"]
    assert names(bio.flip_floppers(life())) == ["three changes"]
    assert names(bio.late_bloomers(life())) == [
        "three changes",
        "bloomed at the end",
        "two changes and step 0",
        "bloomed just at half",
    ]


def slow_lists(life: History) -> dict[str, set[int]]:
    """The three definitions, image by image and keyframe by keyframe."""
    counted = [k for k in range(len(life.steps)) if life.steps[k] > 0]
    found: dict[str, set[int]] = {"wrong": set(), "flips": set(), "late": set()}
    for i in range(len(life.truth)):
        right = {k: life.truth[i] >= 0 and life.guess[k, i] == life.truth[i] for k in counted}
        wrong = {k: life.truth[i] >= 0 and life.guess[k, i] != life.truth[i] for k in counted}
        kept = [k for k in counted if life.kept[k, i]]
        if kept and kept[-1] == counted[-1] and all(wrong[k] for k in counted if k >= kept[0]):
            found["wrong"].add(i)
        changes = 0
        for before, after in pairwise(counted):
            changes += int(life.guess[before, i] != life.guess[after, i])
        if changes >= 3:
            found["flips"].add(i)
        if (
            counted
            and right[counted[-1]]
            and any(wrong[k] for k in counted if life.steps[k] >= life.steps[counted[-1]] / 2)
        ):
            found["late"].add(i)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_lists_equal_the_definitions_on_random_lives(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n, m = int(draw.integers(1, 9)), 60
    steps = np.sort(draw.choice(100, n, replace=False)) if seed % 2 else np.arange(n) * 10
    guess = draw.integers(0, 3, (n, m))
    if n > 1:
        guess[1:][draw.random((n - 1, m)) < 0.6] = guess[0][0]  # some calm, else nobody is wrong for ever
    made = History(
        steps, guess, draw.random((n, m)), draw.random((n, m)) < 0.6, draw.random((n, m)), draw.integers(-1, 3, m)
    )
    expected = slow_lists(made)
    for name, pick in bio.LISTS.items():
        picked = pick(made)
        assert set(picked) == expected[name] and len(picked) == len(set(picked)), (name, seed)


def test_without_a_trained_keyframe_the_lists_are_empty() -> None:
    assert all(pick(life(steps=(0,))) == [] for pick in bio.LISTS.values())
    assert (bio.first_kept(life(steps=(0,))) == -1).all() and (bio.flips(life(steps=(0,))) == 0).all()


def test_where_the_truth_is_not_known_nothing_is_wrong() -> None:
    unknown = life(truth=-1)
    assert not unknown.wrong.any() and bio.wrong_for_ever(unknown) == [] and bio.late_bloomers(unknown) == []
    assert names(bio.flip_floppers(unknown)) == ["three changes"], "who changes can be seen without it"
    assert bio.biography(unknown, 0).right_since is None


@pytest.mark.parametrize(
    ("name", "flips", "first_kept", "right_since"),
    [
        ("right all along", 0, 10, 0),
        ("wrong for ever", 0, 10, None),
        ("wrong since it was kept", 1, 20, None),
        ("three changes", 3, -1, 40),
        ("bloomed just at half", 1, 30, 30),
    ],
)
def test_a_biography_says_what_happened(name: str, flips: int, first_kept: int, right_since: int | None) -> None:
    found = bio.biography(life(), NAMES.index(name))
    assert (found.flips, found.first_kept, found.right_since, found.truth) == (flips, first_kept, right_since, TRUE)
    assert found.guess.tolist() == IMAGES[name][0] and found.kept.tolist() == [bool(k) for k in IMAGES[name][1]]


def test_a_history_is_read_off_the_keyframes() -> None:
    draw = np.random.default_rng(0)
    frames = [
        {"weak_probs": draw.dirichlet(np.ones(4), 6), "mask": draw.integers(0, 2, 6).astype(np.uint8), "threshold": draw.random(4)}
        for _ in range(3)
    ]  # fmt: skip
    made = bio.history([0, 5, 9], frames, np.arange(6))
    for k, frame in enumerate(frames):
        for i in range(6):
            probs = frame["weak_probs"][i]
            assert made.guess[k, i] == np.argmax(probs) and made.confidence[k, i] == max(probs)
            assert (
                made.kept[k, i] == (frame["mask"][i] == 1)
                and made.threshold[k, i] == frame["threshold"][np.argmax(probs)]
            )
