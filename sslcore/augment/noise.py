"""Gaussian noise, an operation to try by hand. No method here trains with it: neither the papers' weak view nor their strong view has it.

A widespread tutorial adds it to MixMatch's weak view, 0.15 times a normal number on normalised pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sslcore.augment.numbers import to_uint8

TUTORIAL_STD = 0.15  # in standard deviations of the data set's pixels


def gaussian_noise(images: Tensor, std: Tensor, generator: torch.Generator) -> Tensor:
    """Add a normal number to every value: uint8 (B, H, W, C) in and out; std (B,) float32 in grey levels, 0 = no change.

    The same numbers are scaled for all images of the batch, so that a row of them differs in strength alone.
    """
    normal = torch.randn(images.shape[1:], generator=generator, device=images.device)
    return to_uint8((images + normal * std[:, None, None, None]).round_())
