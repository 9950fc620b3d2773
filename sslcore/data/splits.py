"""Which images are labelled, which unlabelled, which validate: class-balanced and nested.

One seeded permutation per class and one seeded order of the classes give, dealt out in turn, ONE sequence of all
labelled images. The labelled subset is its first n, so 10 labels lie inside 20. The validation part is dealt in the
same way from the other end of the permutations, so its size never changes which images are labelled (unless a class
runs out), nor the number of labels which images validate. Where something else than chance chooses (picks.py), its piles
take the place of the permutations for the labelled images alone.

With a long tail (gamma) class c of C gets the share gamma^(-c / (C - 1)) of the first class's: the exponential profile
of the long-tail literature (Cui et al., arXiv:1901.05555). Labels are then dealt out by Sainte-Lague's divisors, which
follow the profile for every count, so they stay nested; each class gets its first one all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslcore.config import ConfigError


@dataclass(frozen=True, eq=False)
class Split:
    """Ascending int64 positions in an ImageSet's training images, on the CPU."""

    labeled: Tensor  # (n,)
    unlabeled: Tensor  # (m,): may hold the labelled ones too, never a validation image
    val: Tensor  # (v,)
    # (w,), labelled images that training is told a wrong class of; not part of a checkpoint, the config decides it
    mislabeled: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))


class Choice(NamedTuple):
    """Which images are labelled, where chance doesn't decide it."""

    piles: list[Tensor]  # (n,) int64 of each class: positions in the order in which they are labelled
    whole: bool  # validation may take none of them, else it leaves the first of each class


def make_split(
    labels: Tensor,
    num_classes: int,
    *,
    num_labels: int,
    num_val: int,
    num_wrong: int = 0,
    labeled_gamma: float = 1.0,
    unlabeled_gamma: float = 1.0,
    foreign: Tensor | None = None,
    foreign_share: float | None = None,
    include_labeled: bool,
    generator: torch.Generator,
    choice: Choice | None = None,
) -> Split:
    """Split the training images; labels (N,) int64, -1 = truth unknown, these are never labelled nor validated on.

    The counts of two classes differ by at most one as long as no class runs out and `labeled_gamma` is 1. `choice` None: at
    random. Draws from `generator` (CPU) do not depend on the numbers asked for, nor on the choice. The first `num_wrong` of
    the labelled sequence are the mislabelled ones. `unlabeled_gamma` thins the pool's images of known class, the labelled
    ones last, and `foreign_share` those of `foreign` (N,) bool, in seeded order. ConfigError where the images do not
    suffice; the unlabelled part may be empty.
    """
    labels = labels.cpu()
    order = torch.randperm(num_classes, generator=generator)
    members = [torch.nonzero(labels == label).flatten() for label in range(num_classes)]
    shuffled = [part[torch.randperm(len(part), generator=generator)] for part in members]
    piles, whole = choice or Choice(shuffled, False)
    _check(num_labels, num_val, [len(part) for part in members], sum(len(pile) for pile in piles) if whole else 0)

    # A class keeps its first image for training, so that every class can be labelled.
    kept = torch.zeros(len(labels), dtype=torch.bool)
    kept[torch.cat([pile if whole else pile[:1] for pile in piles])] = True
    val = _deal([part[~kept[part]].flip(0) for part in shuffled], order)[:num_val]
    validates = torch.zeros(len(labels), dtype=torch.bool)
    validates[val] = True
    labeled = _deal([pile[~validates[pile]] for pile in piles], order, profile(labeled_gamma, num_classes))[:num_labels]
    pool = ~validates
    if not include_labeled:
        pool[labeled] = False
    if unlabeled_gamma != 1:
        taught = torch.zeros(len(labels), dtype=torch.bool)
        taught[labeled] = True
        ranked = [torch.cat([part[taught[part]], part[~taught[part]]]) for part in shuffled]
        _thin(pool, [part[pool[part]] for part in ranked], profile(unlabeled_gamma, num_classes))
    if foreign is not None and foreign_share is not None:
        _thin_foreign(pool, foreign.cpu(), foreign_share, generator)
    wrong = labeled[:num_wrong].sort().values
    return Split(labeled.sort().values, torch.nonzero(pool).flatten(), val.sort().values, wrong)


def taught_labels(truth: Tensor, split: Split, num_classes: int) -> Tensor:
    """Return the labels that training is given, (N,) int64: the truth, but for the mislabelled images the next class."""
    if not len(split.mislabeled):
        return truth
    wrong = split.mislabeled.to(truth.device)
    return truth.index_copy(0, wrong, (truth[wrong] + 1) % num_classes)


def _check(num_labels: int, num_val: int, per_class: list[int], by_hand: int) -> None:
    total, num_classes = sum(per_class), len(per_class)
    if min(per_class) == 0:
        raise ConfigError(f"class {per_class.index(0)} has no labelled training image")
    if num_labels < num_classes:
        raise ConfigError(f"data.labels must be at least {num_classes}, one for each class, got {num_labels}")
    most, less = total - (by_hand or num_classes), f"the {by_hand:,} of data.hand" if by_hand else "one of each class"
    if not 0 <= num_val <= most:
        raise ConfigError(
            f"data.val must be from 0 to {most:,} ({total:,} labelled training images, less {less}), got {num_val:,}"
        )
    if num_labels > total - num_val:
        cut = f" less {num_val:,} for validation" if num_val else ""
        there = f"{total:,} labelled training images{cut}"
        raise ConfigError(f"data.labels must be at most {total - num_val:,} ({there}), got {num_labels:,}")


def profile(gamma: float, num_classes: int) -> list[float]:
    """Return the share of every class relative to the first: 1 down to 1 / gamma; below 1 the last class is the largest."""
    return [gamma ** (-label / (num_classes - 1)) for label in range(num_classes)]


def _thin(pool: Tensor, members: list[Tensor], shares: list[float]) -> None:
    """Leave as many of each class's members in the pool (N,) bool as the shares allow, the first of each; one at least.

    A class with none left, since all its images are labelled, doesn't count.
    """
    scale = min((len(part) / share for part, share in zip(members, shares, strict=True) if len(part)), default=0.0)
    for part, share in zip(members, shares, strict=True):
        pool[part[max(1, int(scale * share + 1e-9)) :]] = False


def _thin_foreign(pool: Tensor, foreign: Tensor, share: float, generator: torch.Generator) -> None:
    """Leave as many foreign images in the pool (N,) bool as make up `share` of it; ConfigError where there are too few."""
    there = torch.nonzero(foreign & pool).flatten()
    others = int(pool.sum()) - len(there)
    wanted = round(others * share / (1 - share))
    if wanted > len(there):
        raise ConfigError(
            f"data.foreign_share must be at most {int(1000 * len(there) / (len(there) + others)) / 1000:g} ({len(there):,} "
            f"foreign images beside {others:,} others), got {share:g}; more foreign classes have more images"
        )
    pool[there[torch.randperm(len(there), generator=generator)[wanted:]]] = False


def _deal(piles: list[Tensor], order: Tensor, shares: list[float] | None = None) -> Tensor:
    """Return the members of all piles in turn: the first of each in the given order, then the second of each, ...

    An empty pile is passed over. With `shares` a pile's turns come as much more seldom as its share is smaller.
    """
    turns = [np.arange(len(pile)) for pile in piles]
    seats = [np.full(len(pile), seat) for pile, seat in zip(piles, order.argsort().tolist(), strict=True)]
    if shares is not None:  # Sainte-Lague: the k-th falls due at (k + 1/2) / share; the first of each pile before all
        turns = [np.where(turn > 0, (turn + 0.5) / share, 0.0) for turn, share in zip(turns, shares, strict=True)]
    return torch.cat(piles)[torch.from_numpy(np.lexsort((np.concatenate(seats), np.concatenate(turns))))]


def hold_out(names: Sequence[str], labels: NDArray[np.int64], amounts: Sequence[int]) -> NDArray[np.bool_]:
    """Choose `amounts[c]` positions of each class c, by the hash of their names: the same on every machine and run.

    Returns (N,) bool. More asked for are a superset of fewer, and a new name changes no other's place in the order.
    """
    chosen = np.zeros(len(names), np.bool_)
    ranks = [hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() for name in names]
    for label, amount in enumerate(amounts):
        members = sorted(np.flatnonzero(labels == label).tolist(), key=lambda position: ranks[position])
        chosen[members[:amount]] = True
    return chosen
