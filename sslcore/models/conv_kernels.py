"""3 x 3 convolutions of few channels in half precision on an NVIDIA GPU: forward, and both gradients.

A third of a FixMatch step of WRN-28-2 goes into its first stage, 32 channels of 32 x 32 pixels, for which cuDNN's
kernels are made too wide. Here each pixel is read once, and the products are as narrow as the channels.
Sums are float32, in a fixed order, so the same input gives the same numbers. The twin is `F.conv2d`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcore import kernels
from sslcore.kernels import Kernel
from sslcore.models.norm_kernels import FORMATS

WIDTH = 32  # pixels a row
# Rows that a block computes at once and how many such stripes it holds; of the weights' gradient, with its groups of warps.
TUNED = {"FORWARD_ROWS": 8, "FORWARD_STAGES": 4, "BACK_ROWS": 4, "BACK_STAGES": 4, "BACK_GROUPS": 4}
SIZES = ((8, 16), (16, 32), (32, 32))  # channels in and out; fewer than 8 are filled up with zeros
NAMES = (
    *(f"convolution_{a}_{b}" for a, b in (*SIZES, (32, 16))),
    *(f"{name}_{a}_{b}" for a, b in SIZES for name in ("gradient", "sum")),
)
HEADER, SOURCE = Path(__file__).with_name("half.cu"), Path(__file__).with_suffix(".cu")


@functools.cache
def source(dtype: torch.dtype) -> str:
    defined = {FORMATS[dtype]: "", "WIDTH": WIDTH, **TUNED}
    head = "".join(f"#define {name} {value}\n" for name, value in defined.items())
    return f"{head}{HEADER.read_text()}{SOURCE.read_text()}"


def _made(dtype: torch.dtype, device: int) -> dict[str, Kernel] | None:
    return kernels.built(source(dtype), NAMES, device)


@torch.compiler.assume_constant_result
def _can_be_made(dtype: torch.dtype, device: int) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0) and _made(dtype, device) is not None


def fits(x: Tensor, weight: Tensor) -> bool:
    """Say whether the kernels can do this layer's convolution of this batch."""
    channels = max(8, weight.shape[1])
    return (
        x.is_cuda and kernels.in_use and x.dtype in FORMATS and (channels, weight.shape[0]) in SIZES
        and x.shape[3] == WIDTH and x.shape[2] % TUNED["FORWARD_ROWS"] == 0
        and all(each.is_contiguous(memory_format=torch.channels_last) for each in (x, weight))
        and _can_be_made(x.dtype, x.device.index)
    )  # fmt: skip


class Convolution(nn.Conv2d):
    """A 3 x 3 convolution without bias, over images padded by a pixel."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, 3, stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (1, 1) and fits(x, self.weight):
            short = 8 - x.shape[1]
            result: Tensor = NarrowConvolution.apply(F.pad(x, (0, 0, 0, 0, 0, short)) if short > 0 else x, self.weight)
            return result
        return super().forward(x)


class NarrowConvolution(torch.autograd.Function):
    """x (B, C, H, W) in half precision, weight (O, C, 3, 3) float32 -> (B, O, H, W), for what `fits`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return run_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dy = gradients[0].contiguous(memory_format=torch.channels_last)
        dx = run_backward(dy, weight) if ctx.needs_input_grad[0] else None
        return dx, run_gradient(x, dy, weight) if ctx.needs_input_grad[1] else None


# Operations of torch's own kind, as in norm_kernels.py.
@torch.library.custom_op("ssllab::conv_forward", mutates_args=())
def run_forward(x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution, its sums rounded to x's number format."""
    return _convolve(x, weight, _like_forward(x, weight), False)


@run_forward.register_fake
def _like_forward(x: Tensor, weight: Tensor) -> Tensor:
    return _images(x, weight.shape[0])


@torch.library.custom_op("ssllab::conv_backward", mutates_args=())
def run_backward(dy: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of what was convolved."""
    return _convolve(dy, weight, _like_backward(dy, weight), True)


@run_backward.register_fake
def _like_backward(dy: Tensor, weight: Tensor) -> Tensor:
    return _images(dy, weight.shape[1])


@torch.library.custom_op("ssllab::conv_gradient", mutates_args=())
def run_gradient(x: Tensor, dy: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the weights, float32."""
    (channels, out), tuned = (x.shape[1], dy.shape[1]), TUNED
    made = _made(x.dtype, x.device.index)
    assert made is not None
    stripes = x.shape[0] * x.shape[2] // tuned["BACK_ROWS"]
    blocks = _blocks(x.device, stripes)
    size = 9 * out * channels
    stage = (tuned["BACK_ROWS"] + 2) * (WIDTH + 2) * channels + tuned["BACK_ROWS"] * WIDTH * out
    partial = torch.empty(blocks, size, device=x.device)
    result = _like_gradient(x, dy, weight)
    shared = max(2 * stage * tuned["BACK_STAGES"], 4 * size)
    threads = 96 * tuned["BACK_GROUPS"]
    made[f"gradient_{channels}_{out}"](blocks, threads, x, dy, partial, stripes, x.shape[2], shared_bytes=shared)
    made[f"sum_{channels}_{out}"](size // 64, 512, partial, result, blocks, weight.shape[1])
    return result


@run_gradient.register_fake
def _like_gradient(x: Tensor, dy: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(weight)


def _convolve(x: Tensor, weight: Tensor, y: Tensor, back: bool) -> Tensor:
    channels, out = x.shape[1], y.shape[1]
    made = _made(x.dtype, x.device.index)
    assert made is not None
    stripes = x.shape[0] * x.shape[2] // TUNED["FORWARD_ROWS"]
    stage = (TUNED["FORWARD_ROWS"] + 2) * (WIDTH + 2) * channels
    shared = 2 * (stage * TUNED["FORWARD_STAGES"] + (9 * out + 1) * channels)
    made[f"convolution_{channels}_{out}"](
        _blocks(x.device, stripes), 256, x, weight, y, stripes, x.shape[2], weight.shape[1], int(back), shared_bytes=shared
    )  # fmt: skip
    return y


def _images(like: Tensor, channels: int) -> Tensor:
    shape = (like.shape[0], channels, *like.shape[2:])
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _blocks(device: torch.device, stripes: int) -> int:
    """One a multiprocessor."""
    return min(stripes, torch.cuda.get_device_properties(device).multi_processor_count)
