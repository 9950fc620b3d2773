"""From indices to views: every index comes, in the declared views, and nothing is drawn that is not needed."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from sslcore import data, presets
from sslcore.augment.views import normalize
from sslcore.batches import MEMORY, MOST, EndlessIndices
from sslcore.config import METHOD_NAMES, DataConfig
from sslcore.methods.base import Batch
from sslcore.trainer import Trainer


def make(method: str, graph_safe: bool = False, **settings: str) -> Trainer:
    config = presets.build("smoke", method, settings)
    return Trainer(config, data.load(config.data), torch.device("cpu"), graph_safe=graph_safe)


def following(trainer: Trainer) -> Batch:
    trainer.stream.draw_ahead()
    return trainer.stream.next()


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
    batch = following(trainer)
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
    batch = following(trainer)
    expected = normalize(images[trainer.split.unlabeled[batch.u_index]], trainer.stream.mean, trainer.stream.std)
    torch.testing.assert_close(batch.u[0], expected)
    torch.testing.assert_close(batch.u[1], expected)


def test_the_hidden_truth_is_that_of_the_images_in_the_batch() -> None:
    trainer = make("fixmatch", **{"data.foreign_classes": "4", "data.include_labeled": "no"})
    u_index = following(trainer).u_index
    index, whole = trainer.split.unlabeled[u_index], data.load(DataConfig()).train_labels
    truth, foreign = trainer.stream.hidden(u_index)
    assert foreign is not None and 0 < int(foreign.sum()) < len(foreign)
    assert torch.equal(foreign, whole[index] >= 6)
    assert torch.equal(truth, torch.where(foreign, -1, whole[index]))
    mixmatch = make("mixmatch")  # the labelled images are not in its pool: a place there is no place among all images
    truth, none_foreign = mixmatch.stream.hidden(u_index)
    assert none_foreign is None and torch.equal(truth, whole[mixmatch.split.unlabeled[u_index]])


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_pictures_made_for_several_steps_at_once_are_those_made_in_the_step(method: str) -> None:
    ahead, in_step = make(method), make(method, graph_safe=True)
    before = torch.empty(0)
    assert len(ahead.stream.rows) == MOST
    for step in range(2 * MOST + 3):
        one, other = following(ahead), following(in_step)
        for name in ("x", "y", "u_index"):
            assert torch.equal(getattr(one, name), getattr(other, name)), f"{name} of step {step}"
        assert len(one.u) == len(other.u)
        assert all(torch.equal(a, b) for a, b in zip(one.u, other.u, strict=True)), f"views of step {step}"
        assert not torch.equal(one.x, before), "each step has its own"
        before = one.x


@pytest.mark.parametrize("method", ["mixmatch", "flexmatch"])
@pytest.mark.parametrize("step", [1, MOST - 1, MOST, MOST + 3])
def test_a_state_goes_on_in_the_middle_of_what_was_made_ahead(method: str, step: int) -> None:
    straight, second = make(method), make(method)
    for _ in range(step):
        straight.train_step()
    second.load_state_dict(copy.deepcopy(straight.state_dict()))
    for _ in range(MOST):
        one, other = straight.train_step()[0].loss, second.train_step()[0].loss
        assert torch.equal(one, other)


def test_large_pictures_are_made_for_fewer_steps_at_once() -> None:
    trainer = make("flexmatch")
    pixels = 50 * 16 * 16  # 10 labelled, 20 weak, 20 strong
    images = trainer.images
    for side, steps in ((1, MOST), (8, min(MOST, MEMORY // (pixels * 64))), (64, 1)):
        train, test = (
            images.train_images.new_empty(1, 1, 1, 1).expand(len(labels), 16 * side, 16 * side, 1)
            for labels in (images.train_labels, images.test_labels)
        )
        trainer.stream.images = dataclasses.replace(images, train_images=train, test_images=test)
        assert trainer.stream._fitting(50) == steps


def test_mix_draws_cover_all_images_of_the_step() -> None:
    batch = following(make("mixmatch"))
    assert batch.mix is not None
    assert batch.mix.lam.shape == (30,) and sorted(batch.mix.permutation.tolist()) == list(range(30))
    assert batch.mix.lam.min() >= 0 and batch.mix.lam.max() <= 1
