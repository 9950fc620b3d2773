"""Evaluation against counting by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sslcore.evaluate import evaluate


class Told(nn.Module):
    """Answers by an image's first pixel: logits rise towards class value."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.norm = nn.BatchNorm2d(1)  # would pollute its statistics in training mode

    def forward(self, x: Tensor) -> Tensor:
        self.norm(x)
        wanted = (x[:, 0, 0, 0] * 255).round()
        return -(torch.arange(self.classes) - wanted[:, None]).abs()


def test_accuracy_top5_and_loss_are_those_of_counting() -> None:
    images = torch.tensor([0, 1, 2, 9], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 2, 2, 1)
    labels = torch.tensor([0, 1, 5, 0])
    model = Told(10).train()
    before = model.norm.running_mean.clone()
    found = evaluate(model, images, labels, torch.zeros(1), torch.ones(1), batch=3)
    assert found.accuracy == 0.5
    assert found.top5 == 0.5  # 5 is 3 away from 2: 0..4 are nearer or as near; 0 is 9 away from 9
    expected = [
        math.log(sum(math.exp(-abs(c - w)) for c in range(10))) + abs(w - y)
        for w, y in [(0, 0), (1, 1), (2, 5), (9, 0)]
    ]
    assert found.loss == pytest.approx(sum(expected) / 4, rel=1e-5)
    assert torch.equal(model.norm.running_mean, before) and model.training
    assert found.metrics("test", "/raw").keys() == {
        "eval/test/accuracy/raw",
        "eval/test/balanced_accuracy/raw",
        "eval/test/loss/raw",
        "eval/test/top5/raw",
    }


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    answers, truth = [0, 0, 0, 1, 1, 0, 3], [0, 0, 0, 0, 1, 1, 3]  # class 2 has no image
    images = torch.tensor(answers, dtype=torch.uint8).view(7, 1, 1, 1).expand(7, 2, 2, 1)
    found = evaluate(Told(4), images, torch.tensor(truth), torch.zeros(1), torch.ones(1))
    assert found.recall[[0, 1, 3]].tolist() == [0.75, 0.5, 1.0] and found.recall[2].isnan()
    assert found.balanced_accuracy == pytest.approx(0.75) and found.accuracy == 5 / 7


def test_the_fifth_guess_counts_and_the_sixth_does_not() -> None:
    images = torch.zeros(4, 2, 2, 1, dtype=torch.uint8)  # guesses 0, 1, 2, ... in this order
    for classes in (6, 10):
        labels = torch.tensor([0, 4, 4, 5])
        assert evaluate(Told(classes), images, labels, torch.zeros(1), torch.ones(1)).top5 == 0.75


def test_no_top5_with_five_classes_or_fewer() -> None:
    images = torch.zeros(2, 2, 2, 1, dtype=torch.uint8)
    found = evaluate(Told(5), images, torch.tensor([0, 1]), torch.zeros(1), torch.ones(1))
    assert found.top5 is None and "eval/test/top5" not in found.metrics("test")
