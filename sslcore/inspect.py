"""Look at single images with a kept checkpoint: the engine's own views and the engine's own model, asked in evaluation mode.

What an exhibit shows of an image at a checkpoint is computed here; at keyframes it was computed during the run by
`probe.py`. Everything runs on the CPU and draws from generators of its own, so that no run ever notices.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sslcore import checkpoint, data, methods, models
from sslcore import config as cfg
from sslcore.augment.views import strong_view, weak_view
from sslcore.config import ConfigError, RunConfig
from sslcore.data.image_set import ImageSet
from sslcore.evaluate import predict_logits
from sslcore.methods.flexmatch import FlexMatch

MOST_VIEWS = 8  # weak views drawn of an image


@dataclass(frozen=True)
class Look:
    """One unlabelled image as a model sees it. Pictures (H, W, channels) uint8, logits float32."""

    image: np.ndarray  # as it is in the data set
    weak: np.ndarray  # (MOST_VIEWS, H, W, channels)
    strong: np.ndarray
    weak_logits: np.ndarray  # (MOST_VIEWS, C)
    strong_logits: np.ndarray  # (C,)
    truth: int  # -1 = unknown


def opened(path: Path) -> tuple[dict[str, Any], RunConfig, ImageSet, nn.Module]:
    """Return a checkpoint's state, its config, its images and a net of its kind in evaluation mode, weights not yet loaded.

    CheckpointError if the file can't be read, DataError or ConfigError if its images are gone or are others now.
    """
    state = checkpoint.load(path)
    config = cfg.from_dict(state["config"])
    images = data.load(config.data, None)
    if state["fingerprint"] != images.fingerprint:
        raise ConfigError(f"data.source {config.data.source!r} no longer holds the images that this run began with")
    generator = torch.Generator().manual_seed(0)  # the first weights are overwritten at once
    return state, config, images, models.build(config.model, images.channels, images.num_classes, generator).eval()


class Inspector:
    """One kept checkpoint, its images and its unlabelled pool; raises as `opened`."""

    def __init__(self, path: Path) -> None:
        state, self.config, self.images, self.model = opened(path)
        self.step: int = state["step"]
        self.pool = state["split"]["unlabeled"]
        self.mean, self.std = torch.tensor(self.images.mean), torch.tensor(self.images.std)
        self.model.load_state_dict(state["model"])
        method = methods.build(self.config.method, self.images.num_classes, len(self.pool))
        method.load_state_dict(state["method"])
        self.counts: np.ndarray | None = method.counts().numpy() if isinstance(method, FlexMatch) else None

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the raw model's logits (n, C) of uint8 images (n, H, W, channels)."""
        return predict_logits(self.model, torch.from_numpy(images), self.mean, self.std).numpy()

    def originals(self, first: int, count: int) -> np.ndarray:
        """Return images first .. first + count - 1 of the pool as they are, fewer at its end."""
        return self.images.train_images[self.pool[first : first + count]].numpy()

    def look(self, position: int, draw: int = 0) -> Look:
        """Draw the views of the image at a position of the pool and ask the model; the same `draw`, the same views.

        The views don't depend on the checkpoint, so the same image can be followed from one to the next.
        """
        if not 0 <= position < len(self.pool):
            raise ValueError(f"position must be from 0 to {len(self.pool) - 1:,}, got {position:,}")
        index = self.pool[position : position + 1]
        raw = self.images.train_images[index]
        weak_chance, strong_chance = _generator("weak", position, draw), _generator("strong", position, draw)
        weak = torch.cat([weak_view(raw, self.images.flip, weak_chance) for _ in range(MOST_VIEWS)])
        strong = strong_view(raw, self.images.flip, self.config.augment, strong_chance)
        logits = self.logits(torch.cat([weak, strong]).numpy())
        return Look(
            raw[0].numpy(),
            weak.numpy(),
            strong[0].numpy(),
            logits[:-1],
            logits[-1],
            int(self.images.train_labels[index]),
        )


def _generator(name: str, position: int, draw: int) -> torch.Generator:
    digest = hashlib.sha256(f"{name}:{position}:{draw}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
