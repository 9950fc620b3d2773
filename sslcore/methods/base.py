"""What passes between the batch stream, a method and the trainer."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

# The views that a method may declare: data, so that no data set ever branches on a method's name.
WEAK, STRONG = "weak", "strong"


class Mix(NamedTuple):
    """MixUp's draws for n images: a method draws nothing itself."""

    lam: Tensor  # (n,) in [0, 1], from Beta(alpha, alpha)
    permutation: Tensor  # (n,) int64


class Batch(NamedTuple):
    """One step's images, normalised: B labelled ones and the declared views of the same mu * B unlabelled ones."""

    x: Tensor  # (B, channels, H, W)
    y: Tensor  # (B,) int64
    u: tuple[Tensor, ...]  # each (mu * B, channels, H, W)
    u_index: Tensor  # (mu * B,) int64, positions in the unlabelled pool
    mix: Mix | None


class Pseudo(NamedTuple):
    """The pseudo-labels of one step, for diagnostics against the hidden truth (which no method sees)."""

    targets: Tensor  # (mu * B,) int64
    mask: Tensor  # (mu * B,) float, 1 = kept


class StepOutput(NamedTuple):
    loss: Tensor  # scalar with a graph
    metrics: dict[str, Tensor]  # 0-d, detached, on the device
    pseudo: Pseudo | None
