"""What is told about a view is what was done to it, and the views are the ones that train."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from sslcore.augment.noise import gaussian_noise
from sslcore.augment.pillow_twin import pillow_cutout, pillow_op
from sslcore.augment.told import Told, changes, tell_strong, tell_weak
from sslcore.augment.views import strong_view, strong_views, weak_view, weak_views
from sslcore.augment.weak import pad_for
from sslcore.config import AugmentConfig

SIDE = 32


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (count, SIDE, SIDE, channels), generator=generator(9), dtype=torch.uint8)


@pytest.mark.parametrize("preset", ["paper", "google", "kekmodel", "off"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_views_that_are_told_about_are_those_that_train(preset: str, channels: int) -> None:
    config, batch = AugmentConfig(preset=preset, strength=1.3), images(40, channels)
    ours, engines = generator(4), generator(4)
    told, trains = strong_views(batch, True, config, ours).images, strong_view(batch, True, config, engines)
    assert torch.equal(told, trains) and torch.equal(ours.get_state(), engines.get_state())
    assert torch.equal(weak_views(batch, True, ours).images, weak_view(batch, True, engines))


def redo(image: np.ndarray, told: Told, fill: int, cut_fill: int) -> np.ndarray:
    """Make a view anew, slowly, from what was told about it alone."""
    picture = Image.fromarray(image)
    if told.mirrored:
        picture = ImageOps.mirror(picture)
    pad = pad_for(SIDE, SIDE)
    padded = Image.fromarray(np.pad(np.asarray(picture), [(pad, pad), (pad, pad), (0, 0)], mode="reflect"))
    picture = padded.crop((pad - told.right, pad - told.down, pad - told.right + SIDE, pad - told.down + SIDE))
    for op in told.ops:
        if changes(op):
            picture = pillow_op(picture, op.name, op.value or 0.0, fill)
    if told.box:
        top, left, bottom, right = told.box
        picture = pillow_cutout(picture, (left, top, right - 1, bottom - 1), cut_fill)
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("preset", "fill", "cut_fill"), [("paper", 128, 128), ("google", 128, 128), ("kekmodel", 0, 127)]
)
def test_a_view_can_be_made_from_what_is_told_about_it(preset: str, fill: int, cut_fill: int) -> None:
    batch, pad = images(60), pad_for(SIDE, SIDE)
    views = strong_views(batch, True, AugmentConfig(preset=preset), generator(1))
    told = tell_strong(views.weak, views.draw, pad)
    assert any(t.mirrored for t in told) and any(t.right > 0 for t in told) and any(t.down < 0 for t in told)
    for image, view, about in zip(batch, views.images, told, strict=True):
        assert len(about.ops) == 2
        assert np.array_equal(redo(image.numpy(), about, fill, cut_fill), view.numpy()), about
    weak = weak_views(batch, True, generator(2))
    for image, view, about in zip(batch, weak.images, tell_weak(weak.draw, pad), strict=True):
        assert np.array_equal(redo(image.numpy(), about, fill, cut_fill), view.numpy()), about


def test_off_tells_of_no_operation_and_no_cut() -> None:
    views = strong_views(images(4), True, AugmentConfig(preset="off"), generator())
    assert all(told.ops == () and told.box is None for told in tell_strong(views.weak, views.draw, 4))


def test_noise_has_the_strength_that_is_asked_for_and_comes_from_the_generator() -> None:
    grey = torch.full((3, 200, 200, 1), 128, dtype=torch.uint8)
    noisy = gaussian_noise(grey, torch.tensor([0.0, 10.0, 20.0]), generator(3))
    assert torch.equal(noisy[0], grey[0])
    assert abs(float(noisy[1].float().std()) - 10) < 0.2 and abs(float(noisy[1].float().mean()) - 128) < 0.2
    direction = noisy.float() - 128  # the same numbers, twice as large
    assert ((direction[2] - 2 * direction[1]).abs() <= 1.5).all()
    assert torch.equal(gaussian_noise(grey, torch.tensor([0.0, 10.0, 20.0]), generator(3)), noisy)
    bright = gaussian_noise(torch.full((1, 50, 50, 3), 250, dtype=torch.uint8), torch.tensor([30.0]), generator(1))
    assert bright.max() == 255 and bright.min() > 80  # clipped, not wrapped around
