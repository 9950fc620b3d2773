"""BatchNorm and LeakyReLU of a batch in half precision as one operation on an NVIDIA GPU, forward and backward.

A net as narrow as WRN-28-2 spends most of its time on moving activations. Apart, the two read or write them thirteen
times, here eight: once for the statistics, then in and out; on the way back twice for the sums, then twice in, once out.
The residual sum before a norm is made by the kernel that reads it for the statistics, and the sum of its gradients by
the kernel that writes one of them: that saves three more of the nine that the two sums would take.
Sums are float32, in a fixed order, so the same input gives the same numbers. The twin is `F.leaky_relu(F.batch_norm(x + also))`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sslcore import kernels
from sslcore.kernels import Kernel, Operation

THREADS = 512
# Channels that the kernels can do: 16 bytes a load, and a warp ends at a pixel's end.
WIDTHS = (8, 16, 32, 64, 128, 256)
FORMATS = {torch.bfloat16: "BF16", torch.float16: "FP16"}
NAMES = ("statistics", "sum_statistics", "forward", "sums", "backward", "sum_backward")
HEADER, SOURCE = Path(__file__).with_name("half.cu"), Path(__file__).with_suffix(".cu")


@functools.cache
def source(dtype: torch.dtype) -> str:
    return f"#define {FORMATS[dtype]}\n#define THREADS {THREADS}\n{HEADER.read_text()}{SOURCE.read_text()}"


def _made(dtype: torch.dtype, device: int) -> dict[str, Kernel] | None:
    return kernels.built(source(dtype), NAMES, device)


@torch.compiler.assume_constant_result
def _can_be_made(dtype: torch.dtype, device: int) -> bool:
    return _made(dtype, device) is not None


def fits(x: Tensor, also: Tensor | None = None) -> bool:
    """Say whether the kernels can do this batch, or the sum of two."""
    return (
        x.is_cuda and kernels.in_use and x.dtype in FORMATS and x.shape[1] in WIDTHS and x.numel() > x.shape[1]
        and all(
            each.is_contiguous(memory_format=torch.channels_last) and (each.shape, each.dtype) == (x.shape, x.dtype)
            for each in (x, also) if each is not None
        )
        and _can_be_made(x.dtype, x.device.index)
    )  # fmt: skip


class NormLeaky(torch.autograd.Function):
    """(x + also, LeakyReLU(BatchNorm(x + also))) with the batch's own statistics, for (B, C, H, W) that `fits`.

    Without `also` the first is None. The running statistics move in place if `track`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, also: Tensor | None, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor,
        track: bool, momentum: float, eps: float, slope: float,
    ) -> tuple[Tensor | None, Tensor]:  # fmt: skip
        total, y, mean, scale = run_forward(
            x, also, weight, bias, running_mean, running_var, track, momentum, eps, slope
        )
        ctx.slope, ctx.summed = slope, also is not None
        ctx.save_for_backward(total if ctx.summed else x, weight, bias, mean, scale)
        ctx.set_materialize_grads(False)
        return total if ctx.summed else None, y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, scale = ctx.saved_tensors
        d_total, dy = (
            each if each is None else each.contiguous(memory_format=torch.channels_last) for each in gradients
        )
        if dy is None:
            dy = torch.zeros_like(x)
        dx, d_weight, d_bias = run_backward(x, dy, d_total, weight, bias, mean, scale, ctx.slope)
        return dx, dx if ctx.summed else None, d_weight, d_bias, *[None] * 6


def _forward(
    x: Tensor, also: Tensor | None, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor,
    track: bool, momentum: float, eps: float, slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return x + also (empty without also), the result, and each channel's mean and 1 / deviation, (C,) float32."""
    made = _made(x.dtype, x.device.index)
    assert made is not None
    pixels, groups, blocks = _shape(x)
    total, y, mean, scale = _like_forward(x, also, weight)
    partial = torch.empty(blocks, 2 * x.shape[1], device=x.device)
    found = (
        pixels, groups, partial, _count(x.device), mean, scale, running_mean, running_var, int(track), momentum, eps,
    )  # fmt: skip
    if also is None:
        made["statistics"](blocks, THREADS, x, *found)
    else:
        made["sum_statistics"](blocks, THREADS, x, also, total, *found)
    summed = x if also is None else total
    made["forward"](2 * blocks, THREADS, summed, y, pixels, groups, mean, scale, weight, bias, slope)
    return total, y, mean, scale


def _like_forward(x: Tensor, also: Tensor | None, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    total = x.new_empty(0) if also is None else torch.empty_like(x)
    return total, torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)


def _backward(
    x: Tensor,
    dy: Tensor,
    d_total: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    scale: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x (or the sum), weight and bias. `x`: what was normalised; `d_total`: what the sum got elsewhere."""
    made = _made(x.dtype, x.device.index)
    assert made is not None
    pixels, groups, blocks = _shape(x)
    partial = torch.empty(blocks, 2 * x.shape[1], device=x.device)
    dx, d_weight, d_bias = _like_backward(x, dy, d_total, weight, bias)
    given = (mean, scale, weight, bias, slope, d_weight, d_bias)
    made["sums"](blocks, THREADS, x, dy, pixels, groups, partial, _count(x.device), *given)
    if d_total is None:
        made["backward"](2 * blocks, THREADS, x, dy, dx, pixels, groups, *given)
    else:
        made["sum_backward"](2 * blocks, THREADS, x, dy, d_total, dx, pixels, groups, *given)
    return dx, d_weight, d_bias


def _like_backward(
    x: Tensor, dy: Tensor, d_total: Tensor | None, weight: Tensor, bias: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)


run_forward = Operation("norm_forward", _forward, _like_forward, ("running_mean", "running_var"))
run_backward = Operation("norm_backward", _backward, _like_backward)

_counts: dict[tuple[int, int], Tensor] = {}


def _count(device: torch.device) -> Tensor:
    """Return the int32 in which the blocks of a kernel count how many have ended: one a stream, since its kernels run one after the other.

    It is zero again after each kernel. A stream's first is made before anything on it is captured, and kept for ever.
    """
    stream = torch.cuda.current_stream(device)
    place = (device.index, stream.stream_id)
    if place not in _counts:
        _counts[place] = torch.zeros(1, dtype=torch.int32, device=device)
    return _counts[place]


def _shape(x: Tensor) -> tuple[int, int, int]:
    """Return pixels, groups of 8 channels and blocks: one a multiprocessor where there is work for them, so that the sums have few parts."""
    channels = x.shape[1]
    pixels, groups = x.numel() // channels, channels // 8
    most = torch.cuda.get_device_properties(x.device).multi_processor_count
    return pixels, groups, max(1, min(most, pixels * groups // (4 * THREADS)))
