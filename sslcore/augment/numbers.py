"""What the operations share about numbers: grey levels, their dtype on the way, and the cut back to uint8."""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 256  # grey levels of a uint8 channel


def wide_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype for the few numbers that Pillow computes as double: float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def to_uint8(pixels: Tensor) -> Tensor:
    """Clip to 0-255 and cut the fraction off, in place."""
    # By way of int16: five times as fast on a CPU as from float to uint8 at once.
    return pixels.clamp_(0.0, 255.0).to(torch.int16).to(torch.uint8)
