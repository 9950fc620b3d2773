"""Each operation against Pillow's, over every value that a preset can draw, and the laws that all of them keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sslcore.augment.magnitudes import PRESETS, Range, legal, magnitude_at
from sslcore.augment.moves import MOVE_NAMES
from sslcore.augment.ops import BLENDS, IDENTITY, MOVES, NO_CHANGE, OP_NAMES, OPS, POSTERIZE, REMAPS, SOLARIZE
from sslcore.augment.pillow_twin import pillow_op, to_pillow
from tests.reference_augment import assert_equals_pillow, pictures


def values_of(name: str, height: int, width: int) -> list[float]:
    """Return what the presets can draw at strengths up to 2, and the ends of what is legal."""
    bounds = legal(name, height, width)
    values = {bounds.low, bounds.high, NO_CHANGE.get(name, 0.0)}
    for preset in PRESETS.values():
        for strength in (0.5, 1.0, 2.0):
            magnitude = magnitude_at(preset, name, strength, height, width)
            if isinstance(magnitude, Range):
                values.update(np.linspace(magnitude.low, magnitude.high, 12).tolist())
            else:
                values.update(magnitude.values)
    values = {min(max(value, bounds.low), bounds.high) for value in values}
    return sorted(values | {-value for value in values} if name in MOVE_NAMES else values)


def by_pillow(name: str, images: Tensor, values: Tensor, fill: int) -> Tensor:
    done = [
        np.asarray(pillow_op(to_pillow(pixels.numpy()), name, value, fill)).reshape(pixels.shape)
        for pixels, value in zip(images, values.tolist(), strict=True)
    ]
    return torch.from_numpy(np.stack(done))


@pytest.mark.parametrize("size", [(32, 32), (16, 16), (20, 33)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OP_NAMES)
def test_an_operation_equals_pillows(name: str, channels: int, size: tuple[int, int]) -> None:
    images = pictures(channels, *size)
    values = torch.tensor(values_of(name, *size))
    # Every value meets three pictures of every kind.
    images = images.repeat(-(-3 * len(values) // 12), 1, 1, 1)
    values = values.repeat(-(-len(images) // len(values)))[: len(images)]
    before = images.clone()
    assert_equals_pillow(OPS[name](images, values, 77), by_pillow(name, images, values, 77))
    assert torch.equal(images, before), "the input was written to"


def test_moves_equal_pillows_at_awkward_amounts() -> None:
    images = pictures(3)
    generator = torch.Generator().manual_seed(0)
    for name in MOVE_NAMES:
        bounds = legal(name, 32, 32)
        values = (torch.rand(len(images), generator=generator) * 2 - 1) * bounds.high
        tens = torch.tensor([0.5, -0.5, 1.5, 0.25, 1e-7, -1e-7, 31.5, 30.0, 45.0, 60.0, 90.0, -90.0, 120.0, 180.0, 1.0])
        values[: len(tens)] = tens.clamp(-bounds.high, bounds.high)
        assert_equals_pillow(OPS[name](images, values, 0), by_pillow(name, images, values, 0))


def test_the_operations_are_fixmatchs_fourteen_in_their_order() -> None:
    assert OP_NAMES == (
        "Identity", "AutoContrast", "Equalize", "Posterize", "Solarize", "Brightness", "Color", "Contrast", "Sharpness",
        "Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY",
    )  # fmt: skip
    assert OP_NAMES[IDENTITY] == "Identity" and OP_NAMES[POSTERIZE] == "Posterize" and OP_NAMES[SOLARIZE] == "Solarize"
    assert OP_NAMES[REMAPS] == ("AutoContrast", "Equalize") and OP_NAMES[MOVES] == MOVE_NAMES
    assert OP_NAMES[BLENDS] == ("Brightness", "Color", "Contrast", "Sharpness")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name in OP_NAMES if name not in ("AutoContrast", "Equalize")])
def test_the_value_of_no_change_changes_nothing(name: str, channels: int) -> None:
    images = pictures(channels, 24, 19)
    assert torch.equal(OPS[name](images, torch.full((len(images),), NO_CHANGE.get(name, 0.0)), 77), images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OP_NAMES)
def test_a_batch_is_its_images_one_by_one(name: str, channels: int) -> None:
    images = pictures(channels, 20, 33)[::2]
    choices = values_of(name, 20, 33)
    values = torch.tensor([choices[(7 * k) % len(choices)] for k in range(len(images))])
    alone = [OPS[name](images[k : k + 1], values[k : k + 1], 9) for k in range(len(images))]
    assert torch.equal(OPS[name](images, values, 9), torch.cat(alone))


@pytest.mark.parametrize("name", OP_NAMES)
def test_memory_order_does_not_matter(name: str) -> None:
    images = pictures(3, 16, 16)[:6]
    values = torch.full((6,), values_of(name, 16, 16)[1])
    channels_first = images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert torch.equal(OPS[name](channels_first, values, 9), OPS[name](images, values, 9))
