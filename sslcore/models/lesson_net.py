"""LessonNet: a net small and fast enough that a lesson on two CPU cores ends within seconds.

Space-to-depth first (2x2 pixels become channels, so no layer works at full resolution), then three 3x3 convolutions, each
with BatchNorm and LeakyReLU, max-pooling after the first two, then the mean over positions. No residuals: at this depth
they only cost time. The pooling comes before the norm, which then sees a quarter of the pixels: a step is an eighth shorter.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcore.models.norm import BatchNorm, init_convolution, init_linear, mean_of_pixels

SLOPE = 0.1


class LessonNet(nn.Module):
    """Images (B, channels, H, W), normalised, H and W of 8 and more -> logits (B, num_classes).

    Of odd sides the last pixels are left out, here and by the pooling, so multiples of 8 are seen whole.
    """

    def __init__(self, width: int, num_classes: int, channels: int = 3, bn_momentum: float = 0.05) -> None:
        super().__init__()
        widths = [4 * channels, width, 2 * width, 4 * width]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 1, 1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm(b, bn_momentum) for b in widths[1:])
        self.head = nn.Linear(widths[3], num_classes)

    def init_weights(self, generator: torch.Generator) -> None:
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            init_convolution(conv, generator)
        init_linear(self.head, generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer reads, (B, 4 * width)."""
        x = space_to_depth(x)
        for k, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(x)
            if k < len(self.convs) - 1:
                x = F.max_pool2d(x, 2)  # before the norm and the activation, which then have a quarter of the work
            x = norm(x, SLOPE)
        return mean_of_pixels(x)


def space_to_depth(x: Tensor) -> Tensor:
    """`F.pixel_unshuffle(x, 2)` in channels_last memory, on a CPU in a third of its time: (B, C, H, W) -> (B, 4 C, H // 2, W // 2)."""
    pixels = x.permute(0, 2, 3, 1)[:, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    return torch.stack([pixels[:, y::2, x::2] for y in (0, 1) for x in (0, 1)], dim=-1).flatten(3).permute(0, 3, 1, 2)
