"""The float64 twin of BatchNorm and LeakyReLU, held against whatever a device has for it."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcore.models import norm_kernels
from sslcore.models.norm import BatchNorm

WAYS = ("no sum", "a sum", "a sum read elsewhere, too")


def layer_and_input(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> tuple[BatchNorm, Tensor, Tensor]:
    """Return a BatchNorm, an input with means far from zero, and a gradient of its output, both of the shape and in channels_last."""
    generator = torch.Generator(device).manual_seed(shape[1])
    offset = torch.linspace(-9, 9, shape[1], device=device)[:, None, None]
    x, dy = (torch.randn(shape, generator=generator, device=device) + add for add in (offset, 0))
    layer = BatchNorm(shape[1], momentum=0.3).to(device)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2, generator=generator)
        layer.bias.uniform_(-1, 1, generator=generator)
    return layer, x.to(dtype, memory_format=torch.channels_last), dy.to(dtype, memory_format=torch.channels_last)


def sum_before(x: Tensor, way: str) -> tuple[Tensor | None, Tensor | None]:
    """Return what is added to x before the norm, and the gradient that the sum gets from elsewhere; None for nothing."""
    generator = torch.Generator(x.device).manual_seed(7)
    also, d_total = (
        torch.randn(x.shape, generator=generator, device=x.device).to(x.dtype, memory_format=torch.channels_last)
        for _ in range(2)
    )
    return None if way == "no sum" else also, d_total if way == "a sum read elsewhere, too" else None


def assert_equals_float64(
    layer: BatchNorm, x: Tensor, dy: Tensor, most_far: float, also: Tensor | None = None, d_total: Tensor | None = None
) -> None:
    """Forward, backward and the running statistics, two times over; at most the share `most_far` of the gradient may be another.

    Where a value lies at the bend of LeakyReLU, float64 may see it on the other side. With `also` the norm is that of x + also,
    and `d_total` is the gradient that the sum gets from elsewhere, None for nothing.
    """
    twin = copy.deepcopy(layer).double()
    total = x if also is None else x + also
    wide, near = total.double().requires_grad_(), x.clone().requires_grad_()
    expected = F.leaky_relu(
        F.batch_norm(wide, twin.running_mean, twin.running_var, twin.weight, twin.bias, True, 0.3, layer.eps), 0.1
    )
    torch.autograd.backward(
        [expected, wide], [dy.double(), torch.zeros_like(wide) if d_total is None else d_total.double()]
    )
    for _ in range(2):  # what the blocks count in must be zero again
        layer.running_mean.zero_()
        layer.running_var.fill_(1)
        near.grad = layer.weight.grad = layer.bias.grad = None
        second = None if also is None else also.clone().requires_grad_()
        summed, got = layer.of_sum(near, second, 0.1)
        assert torch.equal(summed, total)
        torch.autograd.backward(*([got], [dy]) if d_total is None else ([got, summed], [dy, d_total]))
        assert norm_kernels._count(x.device).item() == 0
    digits = 2**-8 if x.dtype == torch.bfloat16 else 2**-10
    torch.testing.assert_close(got.double(), expected, rtol=digits, atol=1e-4)
    assert wide.grad is not None and near.grad is not None
    assert second is None or (second.grad is not None and torch.equal(second.grad, near.grad))
    far = (wide.grad - near.grad.double()).abs() > digits * wide.grad.abs() + 1e-4
    assert far.double().mean() < most_far
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(layer, name).double(), getattr(twin, name), rtol=1e-4, atol=1e-4)
    for ours, theirs in ((layer.weight, twin.weight), (layer.bias, twin.bias)):
        assert ours.grad is not None and theirs.grad is not None
        scale = float(theirs.grad.abs().max())
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-3, atol=1e-4 * scale + 1e-3)
    before = layer.running_mean.clone()
    layer.track = False
    assert torch.equal(layer(total, 0.1), got) and torch.equal(layer.running_mean, before)
