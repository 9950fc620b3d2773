"""The GPU's kernels for 3 x 3 convolutions of few channels, played on the CPU."""

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
from sslcore.models import conv_kernels
from sslcore.models.conv_kernels import NAMES, SIZES, TUNED, WIDTH, source
from tests import stage
from tests.reference_conv import assert_equals_float64

BLOCKS = 2


made = stage.fixture(source, NAMES)


@pytest.fixture
def played(made: stage.Made, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """Have the layer take the kernels, on the CPU; the number format that they are for."""
    dtype, found = made

    def fits(x: Tensor, weight: Tensor) -> bool:
        sizes = (max(8, weight.shape[1]), weight.shape[0])
        return (
            x.dtype == dtype and sizes in SIZES and x.shape[3] == WIDTH and x.shape[2] % TUNED["CONVOLUTION_ROWS"] == 0
        )

    monkeypatch.setattr(conv_kernels, "_made", lambda *_: found)
    monkeypatch.setattr(conv_kernels, "_blocks", lambda _, stripes, each: min(stripes, BLOCKS))
    monkeypatch.setattr(conv_kernels, "fits", fits)
    return dtype


@pytest.mark.parametrize(("channels", "out"), [(1, 16), (3, 16), (16, 32), (32, 32)])
def test_the_kernels_equal_their_twin(played: torch.dtype, channels: int, out: int) -> None:
    """Against float64, forward and both gradients; blocks take several stripes, of several images, and one of each has more."""
    assert_equals_float64(channels, out, (3, 16), played, "cpu")


@pytest.mark.parametrize("made", [torch.bfloat16], ids=["bf16"], indirect=True)  # a CPU has no convolutions in fp16
def test_a_net_with_the_kernels_is_as_near_to_float32_as_one_without(
    played: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that fit go through them, the stem, too, whose images are filled up; the others don't."""
    model = models.build(ModelConfig(depth=10, widen_factor=2), 3, 10, torch.Generator().manual_seed(0))
    images = torch.randn(2, 3, 16, WIDTH, generator=torch.Generator().manual_seed(1))
    images = images.to(memory_format=torch.channels_last)
    taken: list[tuple[int, ...]] = []

    def noted(x: Tensor, weight: Tensor) -> Tensor:
        taken.append(tuple(weight.shape[:2]))
        return run_forward(x, weight)

    run_forward = conv_kernels.run_forward
    monkeypatch.setattr(conv_kernels, "run_forward", noted)

    def gradients(net: nn.Module) -> Tensor:
        F.cross_entropy(net(images), torch.arange(2)).backward()
        found = torch.cat([p.grad.double().flatten() for p in net.parameters() if p.grad is not None])
        assert len(found) == sum(p.numel() for p in model.parameters())
        net.zero_grad()
        return found

    expected = gradients(model)
    assert not taken
    with_kernels = gradients(precision.wrapped(model, "bf16"))
    assert taken == [(16, 3), (32, 16), (32, 32)]
    monkeypatch.setattr(conv_kernels, "fits", lambda *_: False)
    without = gradients(precision.wrapped(model, "bf16"))
    assert not torch.equal(with_kernels, without)
    assert (with_kernels - expected).norm() < 1.2 * (without - expected).norm() < 0.2 * expected.norm()


@pytest.mark.parametrize("made", [torch.bfloat16], ids=["bf16"], indirect=True)
def test_a_compiled_net_has_the_kernels_too(played: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile neither looks into them nor leaves them out."""
    model = models.build(ModelConfig(depth=10, widen_factor=2), 3, 10, torch.Generator().manual_seed(0))
    images = torch.randn(2, 3, 8, WIDTH, generator=torch.Generator().manual_seed(1))
    images = images.to(memory_format=torch.channels_last)
    started: list[str] = []
    found = conv_kernels._made(played, 0)
    assert found is not None

    def noted(name: str) -> Callable[..., None]:
        def start(*arguments: Tensor | int | float, shared_bytes: int = 0) -> None:
            started.append(name)
            found[name](*arguments)

        return start

    noting = {name: noted(name) for name in found}
    monkeypatch.setattr(conv_kernels, "_made", lambda *_: noting)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    results = []
    for compiled in (False, True):
        own = copy.deepcopy(model).train()
        net = precision.wrapped(own, "bf16", compiled)
        F.cross_entropy(net(images), torch.arange(2)).backward()
        gradients = torch.cat([p.grad.flatten() for p in own.parameters() if p.grad is not None])
        results.append((gradients, sorted(started)))
        started.clear()
    (plain, starts), (compiled_gradients, compiled_starts) = results
    assert starts == compiled_starts and len(starts) == 3 + 2 + 2 * 3  # forward, backward, gradients and their sums
    assert (compiled_gradients - plain).norm() < 0.02 * plain.norm()
