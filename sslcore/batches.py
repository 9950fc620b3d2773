"""The one place where indices become images and images become views."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from sslcore.augment.mixup import draw_beta
from sslcore.augment.views import normalize, strong_view, weak_view
from sslcore.config import AugmentConfig, MixMatchConfig, RunConfig
from sslcore.data.image_set import ImageSet
from sslcore.data.splits import Split, taught_labels
from sslcore.methods import Method
from sslcore.methods.base import WEAK, Batch, Mix
from sslcore.rng import Generators


class EndlessIndices:
    """Draw 0..n-1 in random order, over and over: every index once before any comes again."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator
        self.queue = torch.empty(0, dtype=torch.int64, device=generator.device)

    def take(self, count: int) -> Tensor:
        """Return the next `count` indices, (count,) int64; more than n of them repeat."""
        while len(self.queue) < count:
            fresh = torch.randperm(self.n, generator=self.generator, device=self.generator.device)
            self.queue = torch.cat([self.queue, fresh])
        taken, self.queue = self.queue[:count], self.queue[count:]
        return taken


class BatchStream:
    """Make the batches of a run: gather, augment, normalise. Chance comes from the run's generators alone."""

    def __init__(
        self, images: ImageSet, split: Split, method: Method, config: RunConfig, generators: Generators
    ) -> None:
        device = images.train_images.device
        self.images, self.method, self.config, self.generators = images, method, config, generators
        self.labeled, self.unlabeled = split.labeled.to(device), split.unlabeled.to(device)
        self.labels = taught_labels(images.train_labels, split, images.num_classes)
        self.order_x = EndlessIndices(len(self.labeled), generators["order"])
        self.order_u = EndlessIndices(len(self.unlabeled), generators["order"]) if method.unlabeled_views else None
        self.num_u = config.method.mu * config.train.batch if config.method.name != "supervised" else 0  # type: ignore[union-attr]
        self.mean = torch.tensor(images.mean, device=device)
        self.std = torch.tensor(images.std, device=device)

    def next(self) -> Batch:
        """Return the next batch; `u_index` holds positions in the unlabelled pool."""
        index_x = self.labeled[self.order_x.take(self.config.train.batch)]
        u_index = self.order_u.take(self.num_u) if self.order_u else index_x[:0]
        index_u = self.unlabeled[u_index]

        names = (self.method.labeled_view, *self.method.unlabeled_views)
        indices = [index_x] + [index_u] * len(self.method.unlabeled_views)
        pictures = []  # neighbours with the same view share one call
        for name, group in groupby(zip(names, indices, strict=True), key=lambda pair: pair[0]):
            raw = self.images.train_images[torch.cat([index for _, index in group])]
            pictures.append(view(name, raw, self.images.flip, self.config.augment, self.generators["augment"]))
        x, *u = normalize(torch.cat(pictures), self.mean, self.std).split([len(index) for index in indices])
        return Batch(x, self.labels[index_x], tuple(u), u_index, self._mix(sum(len(index) for index in indices)))

    def _mix(self, count: int) -> Mix | None:
        if not isinstance(self.config.method, MixMatchConfig):
            return None
        generator = self.generators["mixup"]
        lam = draw_beta(self.config.method.alpha, count, generator, generator.device)
        return Mix(lam, torch.randperm(count, generator=generator, device=generator.device))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the cursors; the generators are saved by their owner."""
        return {"order_x": self.order_x.queue} | ({"order_u": self.order_u.queue} if self.order_u else {})

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.order_x.queue = state["order_x"].to(self.order_x.queue.device)
        if self.order_u:
            self.order_u.queue = state["order_u"].to(self.order_u.queue.device)


def view(name: str, raw: Tensor, flip: bool, augment: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return one view of uint8 images (B, H, W, channels) by its name."""
    return weak_view(raw, flip, generator) if name == WEAK else strong_view(raw, flip, augment, generator)
