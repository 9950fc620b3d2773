"""Which images of each class are labelled where chance doesn't decide: the most typical, the outliers, or a person's choice.

"Typical" is near the mean of its class in a label-free feature space: the pixels, averaged down to 16 x 16, on their first
32 principal axes. It costs a second on a CPU, needs no net and no seed, and gives the same on every machine; the distance
to the mean, unlike a density among neighbours, has no number to choose and can be looked at. That a class has a mean at
all uses the hidden labels of its other images: so does every person who looks for a typical one. Without that knowledge
nobody could do it, so such a run says what a good choice is worth, not what it costs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcore.config import ConfigError, DataConfig, hand_picked
from sslcore.data.image_set import ImageSet
from sslcore.data.splits import Choice

SIDE, AXES = 16, 32
BLOCK = 4096  # images averaged down at once


def choose(config: DataConfig, images: ImageSet) -> Choice | None:
    """Return what `data.pick` asks for, None for chance; ConfigError where images named by hand can't be labelled."""
    labels = images.train_labels.cpu()
    if config.pick == "random":
        return None
    if config.pick == "by-hand":
        return Choice(by_hand(hand_picked(config), labels, images.class_names), True)
    return Choice(ranked(features(images.train_images), labels, images.num_classes, config.pick == "outliers"), False)


def features(images: Tensor) -> Tensor:
    """Return uint8 images (N, H, W, channels) projected on their principal axes, (N, at most 32) float64; no label is used.

    In double precision, because the order of two images must not depend on the number of threads.
    """
    side = min(SIDE, *images.shape[1:3])
    blocks = (block.cpu().permute(0, 3, 1, 2).double() for block in images.split(BLOCK))
    flat = torch.cat([F.adaptive_avg_pool2d(block, side).flatten(1) for block in blocks])
    flat -= flat.mean(0)
    _, axes = torch.linalg.eigh(flat.T @ flat)  # ascending
    return flat @ axes[:, -AXES:]


def ranked(points: Tensor, labels: Tensor, num_classes: int, outliers: bool) -> list[Tensor]:
    """Return the positions of each class by their distance to its mean: the nearest first, or the farthest."""
    piles = []
    for label in range(num_classes):
        members = torch.nonzero(labels == label).flatten()
        own = points[members]
        distance = (own - own.mean(0)).norm(dim=1)
        piles.append(members[distance.argsort(descending=outliers, stable=True)])
    return piles


def by_hand(numbers: tuple[int, ...], labels: Tensor, class_names: tuple[str, ...]) -> list[Tensor]:
    """Return the named positions of each class in their order; ConfigError for one that doesn't exist, and an empty class."""
    beyond = next((number for number in numbers if number >= len(labels)), None)
    if beyond is not None:
        raise ConfigError(f"data.hand must name training images from 0 to {len(labels) - 1:,}, got {beyond:,}")
    unknown = next((number for number in numbers if labels[number] < 0), None)
    if unknown is not None:
        raise ConfigError(f"data.hand must name images whose class is known, got {unknown:,}, which has none")
    chosen = torch.tensor(numbers, dtype=torch.int64)
    piles = [chosen[labels[chosen] == label] for label in range(len(class_names))]
    missing = [name for name, pile in zip(class_names, piles, strict=True) if not len(pile)]
    if missing:
        raise ConfigError(f"data.hand must name an image of every class, got none of {missing[0]!r}")
    return piles
