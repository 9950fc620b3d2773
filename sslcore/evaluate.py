"""Accuracy, balanced accuracy, top-5, loss and predictions of a model on unaugmented images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcore.augment.views import normalize

CPU_BATCH, GPU_BATCH = 512, 2500  # images that pass the net at a time


@dataclass(frozen=True)
class Evaluation:
    """`probs` (n, C) and `labels` (n,), on the device; the scalars below read them once."""

    probs: Tensor
    labels: Tensor
    loss: float
    accuracy: float
    top5: float | None  # only above five classes
    recall: Tensor  # (C,) share of each class's images that is found, on the CPU; NaN for a class without images here
    balanced_accuracy: float  # mean recall of the classes that have images: a rare one counts as much as a frequent one

    def metrics(self, part: str, suffix: str = "") -> dict[str, float]:
        """Return the store's metrics of a part: "eval/test/accuracy", and with suffix "/raw" those of the raw model."""
        values = {"accuracy": self.accuracy, "balanced_accuracy": self.balanced_accuracy, "loss": self.loss}
        values |= {"top5": self.top5} if self.top5 is not None else {}
        return {f"eval/{part}/{name}{suffix}": value for name, value in values.items()}


@torch.no_grad()
def evaluate(
    model: nn.Module, images: Tensor, labels: Tensor, mean: Tensor, std: Tensor, batch: int | None = None
) -> Evaluation:
    """Run `model` in evaluation mode over uint8 images (n, H, W, channels) with labels (n,) int64; fractions in [0, 1]."""
    logits = predict_logits(model, images, mean, std, batch)
    top5 = None
    if logits.shape[1] > 5:
        top5 = (logits.topk(5, dim=1).indices == labels[:, None]).any(dim=1).sum().item() / len(labels)
    right = (logits.argmax(dim=1) == labels).float()
    zeros = torch.zeros(logits.shape[1], dtype=right.dtype, device=right.device)
    per_class = torch.stack([zeros.scatter_add(0, labels, right), zeros.scatter_add(0, labels, torch.ones_like(right))])
    found, there = per_class.cpu().double()
    recall = found / there  # 0 / 0 = NaN
    # Counts divided in double: 4 of 12 is 1/3 in what other tools read, not a float32 beside it.
    loss, accuracy = F.cross_entropy(logits, labels).item(), (found.sum() / there.sum()).item()
    return Evaluation(logits.softmax(dim=1), labels, loss, accuracy, top5, recall, recall.nanmean().item())


@torch.no_grad()
def predict_logits(model: nn.Module, images: Tensor, mean: Tensor, std: Tensor, batch: int | None = None) -> Tensor:
    """Return logits (n, C) of uint8 images (n, H, W, channels), in evaluation mode; the model's mode is restored.

    `batch`: images at a time; default: what keeps the device busy.
    """
    return _in_batches(model, model, images, mean, std, batch)


@torch.no_grad()
def predict_features(model: nn.Module, images: Tensor, mean: Tensor, std: Tensor, batch: int | None = None) -> Tensor:
    """Return what the model's last layer reads (n, d), in the same way."""
    forward: Callable[[Tensor], Tensor] = model.features  # type: ignore[assignment]
    return _in_batches(model, forward, images, mean, std, batch)


def _in_batches(
    model: nn.Module, forward: Callable[[Tensor], Tensor], images: Tensor, mean: Tensor, std: Tensor, batch: int | None
) -> Tensor:
    batch = batch or (GPU_BATCH if images.is_cuda else CPU_BATCH)
    training = model.training
    model.eval()
    try:
        return torch.cat([forward(normalize(part, mean, std)) for part in images.split(batch)]).float()
    finally:
        model.train(training)
