"""RandAugment and cutout on an NVIDIA GPU: one block per image, which stays in shared memory from the first operation to the last.

The same bytes as `apply_grouped` and `apply_selected`, which are its twins: whole numbers, and where Pillow rounds, the
same roundings in the same order. An image passes through the operations that were drawn for it and no others.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sslcore import kernels
from sslcore.kernels import Kernel

if TYPE_CHECKING:
    from sslcore.augment.randaugment import StrongDraw

THREADS = 256
MOST_BYTES = 20_000  # of an image: two of them must fit into a block's shared memory

SOURCE = Path(__file__).with_suffix(".cu")


def source(op_names: Sequence[str], threads: int = THREADS) -> str:
    """Return the CUDA C for operations in an order: OP_NAMES of `augment/ops.py`."""
    words = {"ShearX": "SHEAR_X", "ShearY": "SHEAR_Y", "TranslateX": "TRANSLATE_X", "TranslateY": "TRANSLATE_Y"}
    numbers = [f"#define {words.get(name, name.upper())} {k}\n" for k, name in enumerate(op_names)]
    return "".join(numbers) + f"#define THREADS {threads}\n" + SOURCE.read_text()


@functools.cache
def _kernel(device: int) -> Kernel | None:
    from sslcore.augment.ops import OP_NAMES

    made = kernels.built(source(OP_NAMES), ("strong",), device)
    return made["strong"] if made else None


def fits(images: Tensor) -> bool:
    """Say whether the kernel can do this batch, uint8 (B, H, W, C)."""
    return (
        images.is_cuda and kernels.in_use and len(images) > 0 and images.shape[3] in (1, 3)
        and images[0].numel() <= MOST_BYTES and _kernel(images.device.index) is not None
    )  # fmt: skip


def apply_in_shared_memory(images: Tensor, draw: StrongDraw, fill: int, cutout_fill: int) -> Tensor:
    """Return the strong views of images that `fits`: the operations of `draw`, then its box painted; see `apply_strong`."""
    strong = _kernel(images.device.index)
    assert strong is not None
    images = images.contiguous()
    out = torch.empty_like(images)
    tensors = [each.contiguous() for each in (draw.op, draw.value, draw.applied, draw.box)]
    size = images[0].numel()
    strong(
        len(images), THREADS, images, out, *tensors, draw.op.shape[1], *images.shape[1:], fill, cutout_fill,
        shared_bytes=2 * size,
    )  # fmt: skip
    return out
