"""A trained model as it stands in a checkpoint, ready to be asked about pictures: CPU, evaluation mode, averaged (EMA) weights.

It answers with the numbers of the engine's own `predict_logits`, the ones behind every accuracy that is shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslcore.data.image_set import ImageSet
from sslcore.evaluate import predict_logits
from sslcore.inspect import opened


class Predictor:
    """A model with what it needs to read pictures. `class_names` (C,), pictures are (side, side, channels)."""

    def __init__(
        self,
        model: nn.Module,
        mean: Tensor,
        std: Tensor,
        class_names: tuple[str, ...],
        shape: tuple[int, ...],
        step: int,
    ) -> None:
        self.model, self.mean, self.std = model.eval().requires_grad_(False), mean, std
        self.class_names, self.shape, self.step = class_names, shape, step

    def probs(self, images: Tensor) -> Tensor:
        """Return the class probabilities (n, C) of uint8 images (n, H, W, channels)."""
        return predict_logits(self.model, images, self.mean, self.std).softmax(dim=1)


def load(path: Path) -> Predictor:
    """Load the averaged weights of a checkpoint. CheckpointError, DataError or ConfigError, one sentence, where that can't be.

    The images of the run are needed too: how pixels are normalised is measured on them.
    """
    state, _, images, model = opened(path)
    return averaged(state, images, model)


def averaged(state: dict[str, Any], images: ImageSet, model: nn.Module) -> Predictor:
    """The same of a checkpoint that `opened` has read."""
    model.load_state_dict(state["ema"])
    mean, std = torch.tensor(images.mean), torch.tensor(images.std)
    return Predictor(model, mean, std, images.class_names, tuple(images.train_images.shape[1:]), state["step"])
