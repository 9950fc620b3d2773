"""Splits against loops over lists: balance, nesting, disjointness, and one sentence for what can't be had."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sslcore.config import ConfigError
from sslcore.data.splits import hold_out, make_split

SIZES = (9, 2, 14, 5)  # images of each class; uneven, so that classes run out
UNKNOWN = 6  # images without a label
TOTAL = sum(SIZES)


def some_labels(seed: int = 0) -> torch.Tensor:
    labels = [label for label, size in enumerate(SIZES) for _ in range(size)] + [-1] * UNKNOWN
    return torch.tensor(labels)[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def split(num_labels: int, num_val: int = 0, include: bool = False, seed: int = 3, labels: torch.Tensor | None = None):
    labels = some_labels() if labels is None else labels
    generator = torch.Generator().manual_seed(seed)
    return make_split(
        labels, len(SIZES), num_labels=num_labels, num_val=num_val, include_labeled=include, generator=generator
    )


def slow_split(num_labels: int, num_val: int, include: bool, seed: int) -> tuple[list[int], list[int], list[int]]:
    """The definition with lists and loops: one image a class in turn, labelled from the front, val from the back."""
    labels = some_labels().tolist()
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(SIZES), generator=generator).tolist()
    piles = []
    for label in range(len(SIZES)):
        members = [position for position, value in enumerate(labels) if value == label]
        piles.append([members[i] for i in torch.randperm(len(members), generator=generator).tolist()])
    val: list[int] = []
    while len(val) < num_val:
        for label in order:
            if len(val) < num_val and len(piles[label]) > 1:
                val.append(piles[label].pop())
    labeled: list[int] = []
    while len(labeled) < num_labels:
        for label in order:
            if len(labeled) < num_labels and piles[label]:
                labeled.append(piles[label].pop(0))
    pool = [i for i in range(len(labels)) if i not in val and (include or i not in labeled)]
    return sorted(labeled), pool, sorted(val)


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("num_val", [0, 1, 7, 15])
def test_equals_the_loop_for_every_count(num_val: int, include: bool) -> None:
    for num_labels in range(len(SIZES), TOTAL - num_val + 1):
        got = split(num_labels, num_val, include, seed=num_labels)
        wanted = slow_split(num_labels, num_val, include, seed=num_labels)
        assert (got.labeled.tolist(), got.unlabeled.tolist(), got.val.tolist()) == wanted


def test_every_count_lies_inside_the_next() -> None:
    before: set[int] = set()
    for num_labels in range(len(SIZES), TOTAL + 1):
        now = set(split(num_labels).labeled.tolist())
        assert len(now) == num_labels and before < now
        before = now


def test_class_counts_differ_by_one_at_most_until_a_class_runs_out() -> None:
    labels = some_labels()
    for num_labels in range(len(SIZES), TOTAL + 1):
        counts = torch.bincount(labels[split(num_labels).labeled], minlength=len(SIZES)).tolist()
        left = [count for count, size in zip(counts, SIZES, strict=True) if count < size]
        most = max(counts)
        assert all(count >= most - 1 for count in left)


def test_remainder_falls_on_seeded_classes() -> None:
    labels = some_labels()
    first = {
        int(labels[(set(split(5, seed=s).labeled.tolist()) - set(split(4, seed=s).labeled.tolist())).pop()])
        for s in range(20)
    }
    assert first == {0, 1, 2, 3}


def test_validation_depends_on_no_label_count_and_moves_no_labelled_image() -> None:
    assert torch.equal(split(4, 8).val, split(20, 8).val)
    assert torch.equal(split(4, 0).labeled, split(4, 8).labeled)
    even = torch.arange(80) % 4
    assert torch.equal(split(38, 0, labels=even).labeled, split(38, 40, labels=even).labeled)
    assert set(split(4, 3).val.tolist()) < set(split(4, 8).val.tolist())
    assert not torch.equal(split(4, 8, seed=1).val, split(4, 8, seed=2).val)


def test_parts_are_disjoint_and_lose_nothing() -> None:
    got = split(10, 6)
    parts = torch.cat([got.labeled, got.unlabeled, got.val]).tolist()
    assert sorted(parts) == list(range(TOTAL + UNKNOWN))
    with_labeled = split(10, 6, include=True)
    assert set(with_labeled.unlabeled.tolist()) == set(got.unlabeled.tolist()) | set(got.labeled.tolist())
    for part in (got.labeled, got.unlabeled, got.val):
        assert part.dtype == torch.int64 and torch.equal(part, part.sort().values)


def test_truly_unlabelled_images_are_only_ever_unlabelled() -> None:
    got = split(TOTAL)
    assert got.unlabeled.tolist() == torch.nonzero(some_labels() == -1).flatten().tolist()


def test_unlabelled_part_may_be_empty() -> None:
    labels = some_labels()
    got = split(TOTAL, labels=labels[labels >= 0])
    assert len(got.labeled) == TOTAL and len(got.unlabeled) == 0


def test_draws_within_a_class_are_uniform() -> None:
    """The one image of class 2 among 4 labels: 14 candidates, 1,400 seeds; chi-square with 13 degrees of freedom."""
    labels = some_labels()
    candidates = torch.nonzero(labels == 2).flatten().tolist()
    counts = dict.fromkeys(candidates, 0)
    for seed in range(1400):
        chosen = split(4, seed=seed, labels=labels).labeled
        counts[int(chosen[labels[chosen] == 2])] += 1
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 34.5  # p = 0.001


@pytest.mark.parametrize(
    ("num_labels", "num_val", "message"),
    [
        (3, 0, "data.labels must be at least 4, one for each class, got 3"),
        (31, 0, "data.labels must be at most 30 (30 labelled training images), got 31"),
        (26, 5, "data.labels must be at most 25 (30 labelled training images less 5 for validation), got 26"),
        (4, 27, "data.val must be from 0 to 26 (30 labelled training images, less one of each class), got 27"),
        (4, -1, "data.val must be from 0 to 26 (30 labelled training images, less one of each class), got -1"),
    ],
)
def test_says_what_is_available(num_labels: int, num_val: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        split(num_labels, num_val)
    assert str(caught.value) == message


def test_largest_validation_part_leaves_one_of_each_class() -> None:
    got = split(4, TOTAL - 4)
    assert sorted(some_labels()[got.labeled].tolist()) == [0, 1, 2, 3]


def test_a_class_without_labels_is_refused() -> None:
    with pytest.raises(ConfigError, match="class 1 has no labelled training image"):
        split(4, labels=torch.tensor([0, 0, 2, 3, -1]))


def test_held_out_images_stay_when_others_come() -> None:
    names = [f"cat/{i}.png" for i in range(40)]
    labels = np.zeros(40, np.int64)
    few, more = hold_out(names, labels, [8]), hold_out(names, labels, [16])
    assert few.sum() == 8 and more.sum() == 16 and not (few & ~more).any()
    # With one image more, at most one of the eight gives up its place.
    grown = hold_out([*names, "cat/new.png"], np.zeros(41, np.int64), [8])
    assert (few & grown[:40]).sum() >= 7
    backwards = hold_out(names[::-1], labels, [8])
    assert np.array_equal(backwards[::-1], few)
