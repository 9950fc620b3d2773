"""From indices to views: every index comes, in the declared views, and nothing is drawn that is not needed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sslcore import data, presets
from sslcore.augment.views import normalize
from sslcore.batches import EndlessIndices
from sslcore.trainer import Trainer


def make(method: str, **settings: str) -> Trainer:
    config = presets.build("smoke", method, settings)
    return Trainer(config, data.load(config.data), torch.device("cpu"))


def test_every_index_comes_once_before_any_comes_again() -> None:
    indices = EndlessIndices(10, torch.Generator().manual_seed(0))
    taken = torch.cat([indices.take(count) for count in (3, 4, 8, 25, 0, 10)])
    for k in range(0, 50, 10):
        assert sorted(taken[k : k + 10].tolist()) == list(range(10))
    assert taken[:10].tolist() != taken[10:20].tolist()


def test_more_than_there_are_repeats_evenly() -> None:
    counts = torch.bincount(EndlessIndices(4, torch.Generator().manual_seed(0)).take(64), minlength=4)
    assert counts.tolist() == [16] * 4


@pytest.mark.parametrize(
    ("method", "views", "mu"), [("supervised", 0, 0), ("mixmatch", 2, 1), ("fixmatch", 2, 2), ("flexmatch", 2, 2)]
)
def test_a_batch_has_the_declared_views(method: str, views: int, mu: int) -> None:
    trainer = make(method)
    batch = trainer.stream.next()
    assert batch.x.shape == (10, 1, 16, 16) and batch.y.shape == (10,)
    assert [u.shape for u in batch.u] == [(mu * 10, 1, 16, 16)] * views
    assert len(batch.u_index) == mu * 10
    assert (batch.mix is not None) == (method == "mixmatch")
    assert trainer.images_per_step == 10 + views * mu * 10


def test_without_augmentation_views_are_the_images_themselves() -> None:
    """An image's rows meet their labels and pool positions: with pad-only weak views switched off by hand."""
    trainer = make("fixmatch", **{"augment.preset": "off"})
    images = trainer.images.train_images.clone()
    images[:] = (
        torch.arange(len(images)).remainder(251).to(torch.uint8)[:, None, None, None]
    )  # flat pictures: a crop changes nothing
    trainer.stream.images = dataclasses.replace(trainer.images, train_images=images)  # a copy: loaded sets are shared
    batch = trainer.stream.next()
    expected = normalize(images[trainer.split.unlabeled[batch.u_index]], trainer.stream.mean, trainer.stream.std)
    torch.testing.assert_close(batch.u[0], expected)
    torch.testing.assert_close(batch.u[1], expected)


def test_mix_draws_cover_all_images_of_the_step() -> None:
    batch = make("mixmatch").stream.next()
    assert batch.mix is not None
    assert batch.mix.lam.shape == (30,) and sorted(batch.mix.permutation.tolist()) == list(range(30))
    assert batch.mix.lam.min() >= 0 and batch.mix.lam.max() <= 1
