"""The GPU's kernels for BatchNorm and LeakyReLU, played on the CPU."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcore import models, precision
from sslcore.config import ModelConfig
from sslcore.models import norm, norm_kernels
from sslcore.models.norm import BatchNorm
from sslcore.models.norm_kernels import NAMES, THREADS, WIDTHS, source
from tests import stage
from tests.reference_norm import WAYS, assert_equals_float64, layer_and_input, sum_before

BLOCKS = 2


made = stage.fixture(source, NAMES)


@pytest.fixture
def played(made: stage.Made, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """Have BatchNorm take the kernels, on the CPU; the number format that they are for."""
    dtype, found = made

    def shape(x: Tensor) -> tuple[int, int, int]:
        return x.numel() // x.shape[1], x.shape[1] // 8, BLOCKS

    def fits(x: Tensor, also: Tensor | None = None) -> bool:
        return x.dtype == dtype and all(
            t is None or t.is_contiguous(memory_format=torch.channels_last) for t in (x, also)
        )

    count = torch.zeros(1, dtype=torch.int32)
    monkeypatch.setattr(norm_kernels, "_made", lambda *_: found)
    monkeypatch.setattr(norm_kernels, "_count", lambda _: count)
    monkeypatch.setattr(norm_kernels, "_shape", shape)
    monkeypatch.setattr(norm, "fits", fits)
    return dtype


@pytest.mark.parametrize("channels", [min(WIDTHS), 64, max(WIDTHS)])
def test_the_kernels_equal_their_twin(played: torch.dtype, channels: int) -> None:
    """Against float64, forward and backward, with means far from zero; the running statistics move alike, or not at all."""
    pixels = (3, 5, 7) if channels > 8 else (16, 15, 13)  # some threads have none, some more than one
    assert_equals_float64(*layer_and_input((pixels[0], channels, *pixels[1:]), played, "cpu"), most_far=1e-3)


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("channels", [min(WIDTHS), 64])
def test_the_sum_before_a_norm_and_that_of_its_gradients_equal_their_twins(
    played: torch.dtype, channels: int, way: str
) -> None:
    layer, x, dy = layer_and_input((3, channels, 5, 7), played, "cpu")
    assert_equals_float64(layer, x, dy, 1e-3, *sum_before(x, way))


@pytest.mark.parametrize("made", [torch.bfloat16], ids=["bf16"], indirect=True)  # a CPU has no convolutions in fp16
def test_a_net_with_the_kernels_is_as_near_to_float32_as_one_without(
    played: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shortcuts and branches meet in the right places, on the way back, too."""
    model = models.build(ModelConfig(depth=10, widen_factor=1), 3, 10, torch.Generator().manual_seed(0))
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)).to(memory_format=torch.channels_last)

    def gradients(net: nn.Module, x: Tensor) -> Tensor:
        F.cross_entropy(net(x), torch.arange(6)).backward()
        found = torch.cat([p.grad.double().flatten() for p in net.parameters() if p.grad is not None])
        assert len(found) == sum(p.numel() for p in model.parameters())
        net.zero_grad()
        return found

    expected = gradients(model, images)
    with_kernels = gradients(precision.wrapped(model, "bf16"), images)
    monkeypatch.setattr(norm, "fits", lambda *_: False)
    without = gradients(precision.wrapped(model, "bf16"), images)
    assert not torch.equal(with_kernels, without)
    assert (with_kernels - expected).norm() < 1.2 * (without - expected).norm() < 0.1 * expected.norm()


@pytest.mark.parametrize("made", [torch.bfloat16], ids=["bf16"], indirect=True)
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_net_has_the_kernels_too(played: torch.dtype, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """torch.compile neither looks into them nor leaves them out: the same numbers, gradients and running statistics."""
    model = models.build(ModelConfig(depth=10, widen_factor=1), 3, 10, torch.Generator().manual_seed(0))
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)).to(memory_format=torch.channels_last)
    started: list[str] = []
    found = norm_kernels._made(played, 0)
    assert found is not None

    def noted(name: str) -> Callable[..., None]:
        def start(*arguments: Tensor | int | float) -> None:
            started.append(name)
            found[name](*arguments)

        return start

    noting = {name: noted(name) for name in found}
    monkeypatch.setattr(norm_kernels, "_made", lambda *_: noting)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    results = []
    for compiled in (False, True):
        own = copy.deepcopy(model).train()
        net = precision.wrapped(own, "bf16", compiled)
        F.cross_entropy(net(images), torch.arange(6)).backward()
        results.append((
            torch.cat([p.grad.flatten() for p in own.parameters() if p.grad is not None]),
            torch.cat([b.flatten() for b in own.buffers()]), len(started),
        ))  # fmt: skip
        started.clear()
    (grads, statistics, calls), (grads_compiled, statistics_compiled, calls_compiled) = results
    layers = sum(isinstance(module, BatchNorm) for module in model.modules())
    assert calls == calls_compiled == 4 * layers
    torch.testing.assert_close(statistics_compiled, statistics, rtol=1e-2, atol=1e-2)
    assert (grads_compiled - grads).norm() < 0.02 * grads.norm()
    assert not torch.equal(statistics, torch.cat([b.flatten() for b in model.buffers()]))


def test_a_block_is_as_on_the_gpu() -> None:
    assert f"#define THREADS {THREADS}" in source(torch.bfloat16)
