"""The float64 twin of a 3 x 3 convolution, held against whatever a device has for it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcore.models.conv_kernels import WIDTH, Convolution, NarrowConvolution


def assert_equals_float64(channels: int, out: int, size: tuple[int, int], dtype: torch.dtype, device: str) -> None:
    """Forward and both gradients of a batch of `size` images and rows, each to the digits of the number format."""
    generator = torch.Generator(device).manual_seed(channels)
    batch, height = size

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device).to(memory_format=torch.channels_last)

    layer = Convolution(channels, out).to(device, memory_format=torch.channels_last)
    with torch.no_grad():
        layer.weight.copy_(normal(*layer.weight.shape) / 8)
    x, dy = normal(batch, channels, height, WIDTH).to(dtype), normal(batch, out, height, WIDTH).to(dtype)
    near = x.clone().requires_grad_(channels >= 16)  # images have no gradient
    got = layer(near)
    assert type(got.grad_fn).__name__ == f"{NarrowConvolution.__name__}Backward"
    assert got.dtype == dtype and got.is_contiguous(memory_format=torch.channels_last)
    got.backward(dy)
    # Its weights are rounded as they are read.
    wide, weight = x.double().requires_grad_(), layer.weight.detach().to(dtype).double().requires_grad_()
    expected = F.conv2d(wide, weight, padding=1)
    expected.backward(dy.double())
    digits = 2**-8 if dtype == torch.bfloat16 else 2**-10
    torch.testing.assert_close(got.double(), expected, rtol=digits, atol=1e-5)
    assert layer.weight.grad is not None and weight.grad is not None and wide.grad is not None
    assert layer.weight.grad.dtype == torch.float32 and layer.weight.grad.stride() == layer.weight.stride()
    largest = float(weight.grad.abs().max())
    torch.testing.assert_close(layer.weight.grad.double(), weight.grad, rtol=1e-4, atol=1e-5 * largest)
    if channels >= 16:
        assert near.grad is not None
        torch.testing.assert_close(near.grad.double(), wide.grad, rtol=digits, atol=1e-5)
