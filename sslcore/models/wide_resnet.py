"""WideResNet-d-k of the MixMatch, FixMatch and FlexMatch papers (28-2 on CIFAR-10: 1,467,610 parameters).

As in the original TensorFlow code every convolution of a block sees activated input. The PyTorch ports feed the raw
input to the first convolution of stages 2 and 3, which leaves that BatchNorm without a gradient; we don't.
LeakyReLU 0.1, BatchNorm eps 1e-3, convolutions without bias (the TensorFlow code has biases; BatchNorm makes them moot).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sslcore.models.conv_kernels import Convolution
from sslcore.models.norm import BatchNorm, init_convolution, init_linear, mean_of_pixels

SLOPE = 0.1


class Block(nn.Module):
    """Two 3x3 convolutions, each after BatchNorm and LeakyReLU, beside a shortcut."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, activate_before_residual: bool, momentum: float
    ) -> None:
        super().__init__()
        self.activate_before_residual = activate_before_residual
        self.bn1 = BatchNorm(channels_in, momentum)
        self.conv1 = Convolution(channels_in, channels_out, stride)
        self.bn2 = BatchNorm(channels_out, momentum)
        self.conv2 = Convolution(channels_out, channels_out)
        self.shortcut = (
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False) if channels_in != channels_out else None
        )

    def forward(self, x: Tensor, branch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the shortcut and the branch; the block after it, given both, adds them up as it normalises them."""
        x, out = self.bn1.of_sum(x, branch, SLOPE)
        if self.activate_before_residual:
            x = out
        out = self.conv1(out)
        out = self.conv2(self.bn2(out, SLOPE))
        return x if self.shortcut is None else self.shortcut(x), out


class WideResNet(nn.Module):
    """Images (B, channels, H, W), normalised, of any size from 8 x 8 -> logits (B, num_classes)."""

    def __init__(
        self, depth: int, widen_factor: int, num_classes: int, channels: int = 3, bn_momentum: float = 0.001
    ) -> None:
        super().__init__()
        blocks_per_stage = (depth - 4) // 6
        widths = [16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
        self.stem = Convolution(channels, widths[0])
        blocks = []
        for stage in range(3):
            for k in range(blocks_per_stage):
                first = k == 0
                channels_in = widths[stage] if first else widths[stage + 1]
                stride = 2 if first and stage > 0 else 1
                blocks.append(Block(channels_in, widths[stage + 1], stride, first and stage == 0, bn_momentum))
        self.blocks = nn.ModuleList(blocks)
        self.bn = BatchNorm(widths[3], bn_momentum)
        self.head = nn.Linear(widths[3], num_classes)

    def init_weights(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init_convolution(module, generator)
        init_linear(self.head, generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer reads, (B, 64 * widen_factor)."""
        x = self.stem(x)
        branch: Tensor | None = None
        for block in self.blocks:
            x, branch = block(x, branch)
        return mean_of_pixels(self.bn.of_sum(x, branch, SLOPE)[1])
