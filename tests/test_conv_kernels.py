"""The GPU's kernels for 3 x 3 convolutions of few channels, played on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sslcore import models, precision
from sslcore.config import ModelConfig
from sslcore.models import conv_kernels
from sslcore.models.conv_kernels import NAMES, SIZES, TUNED, WIDTH, Convolution, source
from tests import stage
from tests.reference_conv import assert_equals_float64

BLOCKS = 2


@pytest.fixture(scope="module", params=[torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[torch.dtype, dict[str, Callable[..., None]]]:
    if stage.COMPILER is None:
        pytest.skip("needs a C++ compiler")
    return request.param, stage.played(tmp_path_factory.mktemp("kernel"), request.param, source(request.param), NAMES)


@pytest.fixture
def played(made: tuple[torch.dtype, dict[str, Callable[..., None]]], monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """Have the layer take the kernels, on the CPU; the number format that they are for."""
    dtype, found = made

    def fits(x: Tensor, weight: Tensor) -> bool:
        sizes = (max(8, weight.shape[1]), weight.shape[0])
        return x.dtype == dtype and sizes in SIZES and x.shape[3] == WIDTH and x.shape[2] % TUNED["FORWARD_ROWS"] == 0

    monkeypatch.setattr(conv_kernels, "_made", lambda *_: found)
    monkeypatch.setattr(conv_kernels, "_blocks", lambda _, stripes: min(stripes, BLOCKS))
    monkeypatch.setattr(conv_kernels, "fits", fits)
    return dtype


@pytest.mark.parametrize(("channels", "out"), [(1, 16), (3, 16), (16, 32), (32, 32)])
def test_the_kernels_equal_their_twin(played: torch.dtype, channels: int, out: int) -> None:
    """Against float64, forward and both gradients; blocks take several stripes, of several images, and one of each has more."""
    assert_equals_float64(channels, out, (3, 16), played, "cpu")
