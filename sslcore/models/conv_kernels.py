"""3 x 3 convolutions of few channels in half precision on an NVIDIA GPU: forward, and both gradients.

With cuDNN a third of a FixMatch step of WRN-28-2 went into its stem and first stage, 3 to 32 channels of 32 x 32 pixels, for
which its kernels are too wide. Here each pixel is read once, and the products are as narrow as the channels.
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
from sslcore.kernels import Kernel, Operation
from sslcore.models.norm_kernels import FORMATS

WIDTH = 32  # pixels a row
# Rows that a block computes at once, such stripes that it holds, blocks a multiprocessor: what was fastest on an H200.
TUNED = {
    "CONVOLUTION_ROWS": 4, "CONVOLUTION_STAGES": 3, "CONVOLUTION_THREADS": 128, "CONVOLUTION_BLOCKS": 2,
    "GRADIENT_ROWS": 4, "GRADIENT_STAGES": 3, "GRADIENT_GROUPS": 2, "GRADIENT_BLOCKS": 2,
}  # fmt: skip
SIZES = ((8, 16), (16, 32), (32, 32))  # channels in and out; fewer than 8 are filled up with zeros
NAMES = tuple(
    f"{name}_{a}_{b}"
    for name in ("forward", "backward", "gradient", "sum")
    for a, b in SIZES
    if (name, a) != ("backward", 8)
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
    if torch.cuda.get_device_capability(device) < (8, 0):
        return False
    most = getattr(torch.cuda.get_device_properties(device), "shared_memory_per_block_optin", 0)
    return max(_shared_convolution(32, 32), _shared_gradient(32, 32)) <= most and _made(dtype, device) is not None


def fits(x: Tensor, weight: Tensor) -> bool:
    """Say whether the kernels can do this layer's convolution of this batch."""
    out, channels = weight.shape[:2]
    return (
        x.is_cuda and kernels.in_use and x.dtype in FORMATS and (max(8, channels), out) in SIZES
        and x.shape[3] == WIDTH and not x.shape[2] % TUNED["CONVOLUTION_ROWS"] and not x.shape[2] % TUNED["GRADIENT_ROWS"]
        and all(each.is_contiguous(memory_format=torch.channels_last) for each in (x, weight))
        and (channels > 8 or not x.requires_grad)  # images have no gradient
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


def _forward(x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution, its sums rounded to x's number format."""
    return _convolve("forward", x, weight, _like_forward(x, weight))


def _like_forward(x: Tensor, weight: Tensor) -> Tensor:
    return _images(x, weight.shape[0])


def _backward(dy: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of what was convolved."""
    return _convolve("backward", dy, weight, _like_backward(dy, weight))


def _like_backward(dy: Tensor, weight: Tensor) -> Tensor:
    return _images(dy, weight.shape[1])


def _gradient(x: Tensor, dy: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the weights, float32."""
    made, (channels, out), height = _made(x.dtype, x.device.index), (x.shape[1], dy.shape[1]), x.shape[2]
    assert made is not None
    stripes = len(x) * height // TUNED["GRADIENT_ROWS"]
    blocks, threads = _blocks(x.device, stripes, TUNED["GRADIENT_BLOCKS"]), 3 * 32 * TUNED["GRADIENT_GROUPS"]
    partial, result = torch.empty(blocks, 9 * out * channels, device=x.device), _like_gradient(x, dy, weight)
    shared = _shared_gradient(channels, out)
    made[f"gradient_{channels}_{out}"](blocks, threads, x, dy, partial, stripes, height, shared_bytes=shared)
    made[f"sum_{channels}_{out}"](partial.shape[1] // 64, 512, partial, result, blocks, weight.shape[1])
    return result


def _like_gradient(x: Tensor, dy: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(weight)


run_forward = Operation("conv_forward", _forward, _like_forward)
run_backward = Operation("conv_backward", _backward, _like_backward)
run_gradient = Operation("conv_gradient", _gradient, _like_gradient)


def _convolve(name: str, x: Tensor, weight: Tensor, y: Tensor) -> Tensor:
    made, (out, have), height = _made(x.dtype, x.device.index), weight.shape[:2], x.shape[2]
    assert made is not None
    stripes = len(x) * height // TUNED["CONVOLUTION_ROWS"]
    blocks, threads = _blocks(x.device, stripes, TUNED["CONVOLUTION_BLOCKS"]), TUNED["CONVOLUTION_THREADS"]
    shared = _shared_convolution(x.shape[1], y.shape[1])
    made[f"{name}_{max(8, have)}_{out}"](blocks, threads, x, weight, y, stripes, height, have, shared_bytes=shared)
    return y


def _images(like: Tensor, channels: int) -> Tensor:
    shape = (like.shape[0], channels, *like.shape[2:])
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _shared_convolution(channels: int, out: int) -> int:
    """Return the bytes of shared memory that a block of a convolution needs: its stripes and the weights."""
    stripes = TUNED["CONVOLUTION_STAGES"] * (TUNED["CONVOLUTION_ROWS"] + 2) * (WIDTH + 2)
    return (stripes + 9 * out + 1) * _apart(channels)


def _shared_gradient(channels: int, out: int) -> int:
    """Return the same of the weights' gradient: stripes of x and dy, at the end all sums."""
    rows = TUNED["GRADIENT_ROWS"]
    stripes = (rows + 2) * (WIDTH + 2) * _apart(channels) + rows * WIDTH * _apart(out)
    return max(TUNED["GRADIENT_STAGES"] * stripes, 4 * 9 * out * channels)


def _apart(channels: int) -> int:
    """Return the bytes from one pixel to the next in shared memory."""
    return 16 * (channels // 8 | 1)


def _blocks(device: torch.device, stripes: int, each: int) -> int:
    return min(stripes, each * torch.cuda.get_device_properties(device).multi_processor_count)
