"""The GPU's kernels compile for what PyTorch's own compiler library knows, the oldest and a present one; no GPU is needed for that."""

from __future__ import annotations

import pytest
import torch

from sslcore import kernels
from sslcore.augment import strong_kernel
from sslcore.augment.ops import OP_NAMES
from sslcore.kernels import KernelError
from sslcore.models import conv_kernels, norm_kernels

SOURCES = {
    "strong views": strong_kernel.source(OP_NAMES),
    "bf16": norm_kernels.source(torch.bfloat16),
    "fp16": norm_kernels.source(torch.float16),
    "convolutions in bf16": conv_kernels.source(torch.bfloat16),
    "convolutions in fp16": conv_kernels.source(torch.float16),
}


@pytest.fixture(autouse=True)
def compiler() -> None:
    try:
        kernels._compiler()
    except KernelError as problem:
        pytest.skip(str(problem))


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("strong views", "sm_75"),
        ("fp16", "sm_75"),
        ("bf16", "sm_80"),
        ("bf16", "sm_90"),
        ("fp16", "sm_90"),
        *(
            (f"convolutions in {name}", architecture)
            for name in ("bf16", "fp16")
            for architecture in ("sm_80", "sm_90")
        ),
    ],
)
def test_a_kernel_compiles(name: str, architecture: str) -> None:
    assert kernels.compiled(SOURCES[name], architecture).startswith(b"\x7fELF")


def test_bf16_on_a_gpu_that_has_none_is_refused() -> None:
    """So PyTorch's own operations do it there; `auto` is fp16."""
    with pytest.raises(KernelError, match="sm_80 or higher"):
        kernels.compiled(SOURCES["bf16"], "sm_75")
