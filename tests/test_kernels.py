"""The GPU's kernels compile for what PyTorch's own compiler library knows, the oldest and a present one; no GPU is needed for that."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

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


class Names(TorchDispatchMode):
    """Note the names of the operations that are run."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(func._schema.name)
        return func(*args, **(kwargs or {}))


def test_an_operation_is_one_of_torchs_only_where_something_is_compiled() -> None:
    """Called plainly it is the function itself, since torch's way to it takes long; torch.compile takes it whole."""

    def twice(x: Tensor) -> Tensor:
        return x + x

    operation = kernels.Operation("twice_for_a_test", twice, torch.empty_like)
    seen: list[str] = []

    def noting(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    x = torch.ones(3)
    with Names() as plain:
        got = operation(x)
    assert plain.seen == {"aten::add"} and torch.equal(got, x + x)
    torch._dynamo.reset()
    assert torch.equal(torch.compile(lambda x: operation(x) * 1, backend=noting)(x), x + x)
    assert any("twice_for_a_test" in name for name in seen) and not any("add" in name for name in seen)


@pytest.fixture
def compiler() -> None:
    try:
        kernels._compiler()
    except KernelError as problem:
        pytest.skip(str(problem))


@pytest.mark.usefixtures("compiler")
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


@pytest.mark.usefixtures("compiler")
def test_bf16_on_a_gpu_that_has_none_is_refused() -> None:
    """So PyTorch's own operations do it there; `auto` is fp16."""
    with pytest.raises(KernelError, match="sm_80 or higher"):
        kernels.compiled(SOURCES["bf16"], "sm_75")
