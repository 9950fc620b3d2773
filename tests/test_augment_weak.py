"""The weak view against slicing in numpy, its frequencies, and the last step to the network's input."""

from __future__ import annotations

import pytest
import torch

from sslcore.augment.pillow_twin import pillow_normalize, to_pillow
from sslcore.augment.views import normalize, weak_view
from sslcore.augment.weak import WeakDraw, apply_weak, draw_weak, pad_for
from tests import reference_augment
from tests.reference_augment import assert_frequencies, pictures


@pytest.mark.parametrize(("height", "width", "pad"), [(32, 32, 4), (16, 16, 2), (20, 33, 3), (9, 8, 0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_flip_and_offset_equals_slicing(channels: int, height: int, width: int, pad: int) -> None:
    images = pictures(channels, height, width)
    side = 2 * pad + 1
    places = torch.cartesian_prod(torch.arange(2), torch.arange(side), torch.arange(side))
    draw = WeakDraw(places[:, 0].bool(), places[:, 1], places[:, 2])
    images = images.repeat(-(-len(places) // len(images)), 1, 1, 1)[: len(places)]
    before = images.clone()
    assert torch.equal(apply_weak(images, draw, pad), reference_augment.weak(images, draw, pad))
    assert torch.equal(images, before), "the input was written to"


def test_padding_is_an_eighth_of_the_side() -> None:
    assert [pad_for(side, side) for side in (32, 16, 96, 8, 20)] == [4, 2, 12, 1, 3]
    assert pad_for(64, 32) == pad_for(32, 64) == 4


def test_flips_and_offsets_are_even() -> None:
    draw = draw_weak(20_000, True, 4, torch.Generator().manual_seed(0), "cpu")
    assert_frequencies(torch.bincount(draw.flip.long(), minlength=2))
    assert_frequencies(torch.bincount(draw.dy, minlength=9))
    assert_frequencies(torch.bincount(draw.dx, minlength=9))
    assert_frequencies(torch.bincount((draw.flip * 9 + draw.dy) * 9 + draw.dx, minlength=162))  # and independent


def test_without_flips_none_is_drawn() -> None:
    assert not draw_weak(1000, False, 2, torch.Generator().manual_seed(0), "cpu").flip.any()


def test_the_generator_alone_decides() -> None:
    images = pictures(3)
    first, again, other = (weak_view(images, True, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.dtype == torch.uint8 and first.shape == images.shape


@pytest.mark.parametrize("channels", [1, 3])
def test_normalize_equals_the_definition(channels: int) -> None:
    images = pictures(channels, 20, 33)
    mean, std = (0.49, 0.48, 0.45)[:channels], (0.25, 0.24, 0.26)[:channels]
    inputs = normalize(images, torch.tensor(mean), torch.tensor(std))
    assert inputs.shape == (48, channels, 20, 33) and inputs.dtype == torch.float32
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    for pixels, ours in zip(images.numpy(), inputs, strict=True):
        expected = torch.from_numpy(pillow_normalize(to_pillow(pixels), mean, std).copy())
        torch.testing.assert_close(ours, expected, rtol=0, atol=2e-6)
