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
    """Make the batches of a run: gather, augment, normalise. Chance comes from the run's generators alone.

    `draw_ahead` belongs between steps, `next` into the step. How often an order begins anew depends on its length, so the
    indices are drawn outside a step that may be a CUDA graph: those of `ahead` steps at once, into memory that stays.
    """

    def __init__(
        self, images: ImageSet, split: Split, method: Method, config: RunConfig, generators: Generators, ahead: int = 1
    ) -> None:
        device = images.train_images.device
        self.images, self.method, self.config, self.generators = images, method, config, generators
        self.labeled, self.unlabeled = split.labeled.to(device), split.unlabeled.to(device)
        self.labels = taught_labels(images.train_labels, split, images.num_classes)
        self.order_x = EndlessIndices(len(self.labeled), generators["order"])
        self.order_u = EndlessIndices(len(self.unlabeled), generators["order"]) if method.unlabeled_views else None
        self.num_x = config.train.batch
        self.num_u = config.method.mu * config.train.batch if config.method.name != "supervised" else 0  # type: ignore[union-attr]
        self.rows = torch.zeros(ahead, self.num_x + self.num_u, dtype=torch.int64, device=device)
        self.row = torch.zeros(1, dtype=torch.int64, device=device)  # the next step's row of `rows`
        self.used = ahead  # rows that are used up
        self.before_rows: dict[str, Tensor] = {}  # the state from which `rows` were drawn
        self.mean = torch.tensor(images.mean, device=device)
        self.std = torch.tensor(images.std, device=device)

    def draw_ahead(self) -> None:
        """Make sure that the indices of the next step are drawn."""
        if self.used == len(self.rows):
            self._draw()
        self.used += 1

    def _draw(self) -> None:
        if len(self.rows) > 1:  # else they are drawn right before their step, and there is nothing to go back to
            self.before_rows = self._orders() | {"generator": self.generators["order"].get_state()}
        drawn = []
        for _ in range(len(self.rows)):  # step by step: the numbers must not depend on how many are drawn at once
            drawn.append(self.order_x.take(self.num_x))
            if self.order_u:
                drawn.append(self.order_u.take(self.num_u))
        torch.cat(drawn, out=self.rows.view(-1))
        self.row.zero_()
        self.used = 0

    def next(self) -> Batch:
        """Return the next batch; `u_index` holds positions in the unlabelled pool."""
        place_x, u_index = self.rows.index_select(0, self.row).view(-1).split([self.num_x, self.num_u])
        self.row += 1
        index_x, index_u = self.labeled[place_x], self.unlabeled[u_index]

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
        lam = draw_beta(self.config.method.alpha, count, generator, self.rows.device)
        return Mix(lam, torch.randperm(count, generator=generator, device=self.rows.device))

    def hidden(self, u_index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what no method sees of positions in the unlabelled pool: the truth, -1 = unknown, and who is foreign, if any is."""
        index, foreign = self.unlabeled[u_index], self.images.foreign
        return self.images.train_labels[index], None if foreign is None else foreign[index]

    def _orders(self) -> dict[str, Tensor]:
        return {"order_x": self.order_x.queue} | ({"order_u": self.order_u.queue} if self.order_u else {})

    def state_dict(self) -> tuple[dict[str, Tensor], Tensor]:
        """Return what is left of the orders, and the state of their generator; the other generators are saved by their owner.

        With rows in hand that are not used up: as it was before these were drawn.
        """
        if self.used < len(self.rows):
            orders = dict(self.before_rows)
            return orders, orders.pop("generator")
        return self._orders(), self.generators["order"].get_state()

    def load_state_dict(self, state: dict[str, Tensor], step: int) -> None:
        """Go on at `step`; the generators must have been loaded before. Rows begin at whole multiples of their number."""
        self.order_x.queue = state["order_x"].to(self.order_x.queue.device)
        if self.order_u:
            self.order_u.queue = state["order_u"].to(self.order_u.queue.device)
        self.used = len(self.rows)
        done = step % len(self.rows)
        if done:
            self._draw()
            self.used = done
            self.row.fill_(done)


def view(name: str, raw: Tensor, flip: bool, augment: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return one view of uint8 images (B, H, W, channels) by its name."""
    return weak_view(raw, flip, generator) if name == WEAK else strong_view(raw, flip, augment, generator)
