"""BatchNorm whose running statistics can be left alone for a forward pass, and the initial weights of the nets.

MixMatch needs the first: its label guesses and all but the first of its interleaved batches must not move them.
Without nn.BatchNorm2d's counter of batches, which costs one kernel a layer and that nobody reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcore.models.norm_kernels import NormLeaky, fits


class BatchNorm(nn.Module):
    """Normalise (B, C, H, W) over B, H, W; `slope`: of a LeakyReLU after it.

    `momentum` = share of the new batch in the running statistics (PyTorch's sense).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float, eps: float = 1e-3) -> None:
        super().__init__()
        self.momentum, self.eps, self.track = momentum, eps, True
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, slope: float = 1.0) -> Tensor:
        return self.of_sum(x, None, slope)[1]

    def of_sum(self, x: Tensor, also: Tensor | None, slope: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return x + also and its norm, x itself for None: where a GPU has kernels for it, the sum costs little beside the norm."""
        keep = self.track or not self.training
        if self.training and fits(x, also):
            statistics = (self.running_mean, self.running_var, keep, self.momentum, self.eps)
            total, normal = NormLeaky.apply(x, also, self.weight, self.bias, *statistics, slope)
            return x if total is None else total, normal
        if also is not None:
            x = x + also
        mean, var = (self.running_mean, self.running_var) if keep else (None, None)
        normal = F.batch_norm(x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)
        return x, normal if slope == 1 else F.leaky_relu(normal, slope)


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Inside, training-mode forwards use their batch's statistics and leave the running ones untouched."""
    layers = [layer for layer in model.modules() if isinstance(layer, BatchNorm)]
    for layer in layers:
        layer.track = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track = True


def mean_of_pixels(x: Tensor) -> Tensor:
    """Return the mean over positions, (B, C, H, W) in channels_last memory -> (B, C) float32.

    Over pixels as they lie in memory: the gradient of a mean over H and W is written the other way round, and whatever
    reads it then takes ten times as long on a CPU.
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2).mean(dim=1, dtype=torch.float32)


def init_convolution(conv: nn.Conv2d, generator: torch.Generator) -> None:
    """Normal weights with deviation sqrt(2 / (k * k * channels out)), as in the original TensorFlow code."""
    fan_out = conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]
    nn.init.normal_(conv.weight, 0.0, (2.0 / fan_out) ** 0.5, generator=generator)


def init_linear(linear: nn.Linear, generator: torch.Generator) -> None:
    """Xavier normal weights, zero bias."""
    nn.init.xavier_normal_(linear.weight, generator=generator)
    nn.init.zeros_(linear.bias)
