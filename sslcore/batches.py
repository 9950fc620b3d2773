"""The one place where indices become images and images become views."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from sslcore.augment.mixup import draw_beta
from sslcore.augment.views import ViewDraw, apply_view, draw_view, joined, normalize
from sslcore.config import MixMatchConfig, RunConfig
from sslcore.data.image_set import ImageSet
from sslcore.data.splits import Split, taught_labels
from sslcore.methods import Method
from sslcore.methods.base import STRONG, Batch, Mix
from sslcore.rng import Generators

AHEAD = 64  # steps whose indices are drawn at once where a step may be a graph
MOST, MEMORY = 8, 4 * 2**20  # steps whose pictures are made at once elsewhere, and bytes of them
State = tuple[dict[str, Tensor], dict[str, Tensor]]


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

    `draw_ahead` belongs between steps, `next` into the step. How often an order begins anew depends on its length, so
    indices are drawn between steps, for several of them at once, into memory that stays. Views are made in the step if
    that may be a CUDA graph (`in_step`). Else they are made between steps, too: small pictures cost a CPU more calls than
    arithmetic, and those of eight steps at once a third. Either way the chance is drawn step by step, so the numbers are
    the same.
    """

    def __init__(
        self, images: ImageSet, split: Split, method: Method, config: RunConfig, generators: Generators, in_step: bool
    ) -> None:
        device = images.train_images.device
        self.images, self.method, self.config, self.generators = images, method, config, generators
        self.labeled, self.unlabeled = split.labeled.to(device), split.unlabeled.to(device)
        self.labels = taught_labels(images.train_labels, split, images.num_classes)
        self.order_x = EndlessIndices(len(self.labeled), generators["order"])
        self.order_u = EndlessIndices(len(self.unlabeled), generators["order"]) if method.unlabeled_views else None
        self.num_x = config.train.batch
        self.num_u = config.method.mu * config.train.batch if config.method.name != "supervised" else 0  # type: ignore[union-attr]
        # Parts of a batch: the labelled images, then each unlabelled view; neighbours with the same view share one call.
        views = (method.labeled_view, *method.unlabeled_views)
        parts = zip(views, (self.num_x, *[self.num_u] * len(method.unlabeled_views)), strict=True)
        self.groups = [(view, [n for _, n in group]) for view, group in groupby(parts, key=lambda part: part[0])]
        self.in_step = in_step
        ahead = AHEAD if in_step else self._fitting(sum(sum(counts) for _, counts in self.groups))
        self.rows = torch.zeros(ahead, self.num_x + self.num_u, dtype=torch.int64, device=device)
        self.row = torch.zeros(1, dtype=torch.int64, device=device)  # the next step's row of `rows`
        self.used = ahead  # rows that are used up
        self.before: list[State] = []  # the state before each row was drawn
        self.made: list[Tensor] = []  # each part's pictures, (ahead, count, channels, H, W), unless made in the step
        self.mean = torch.tensor(images.mean, device=device)
        self.std = torch.tensor(images.std, device=device)

    def _fitting(self, pictures: int) -> int:
        """Return for how many steps the pictures are made at once."""
        return max(1, min(MOST, MEMORY // (pictures * self.images.train_images[0].numel())))

    @property
    def round(self) -> int:
        """How many steps a round has: the first one makes the pictures for all of them, so only whole rounds take equal time."""
        return 1 if self.in_step else len(self.rows)

    def draw_ahead(self) -> None:
        """Make sure that all is there that the next step takes from outside."""
        if self.used == len(self.rows):
            self._draw()
        self.used += 1

    def _draw(self) -> None:
        drawn: list[Tensor] = []
        draws: list[list[ViewDraw]] = []
        self.before = []
        for _ in range(len(self.rows)):
            self.before.append(self._state())
            drawn.append(self.order_x.take(self.num_x))
            if self.order_u:
                drawn.append(self.order_u.take(self.num_u))
            if not self.in_step:
                draws.append(self._draw_views())
        torch.cat(drawn, out=self.rows.view(-1))
        self.row.zero_()
        self.used = 0
        if not self.in_step:
            self.made = self._make(self.rows, draws)

    def next(self) -> Batch:
        """Return the next batch; `u_index` holds positions in the unlabelled pool."""
        row = self.rows.index_select(0, self.row)
        self.row += 1
        made, at = (self._make(row, [self._draw_views()]), 0) if self.in_step else (self.made, self.used - 1)
        x, *u = (part[at] for part in made)
        places_x, u_index = row[0].split([self.num_x, self.num_u])
        return Batch(x, self.labels[self.labeled[places_x]], tuple(u), u_index, self._mix(sum(map(len, (x, *u)))))

    def _draw_views(self) -> list[ViewDraw]:
        """Draw one step's views, group by group."""
        _, height, width, _ = self.images.train_images.shape
        flip, augment, generator = self.images.flip, self.config.augment, self.generators["augment"]
        return [
            draw_view(name == STRONG, sum(counts), height, width, flip, augment, generator)
            for name, counts in self.groups
        ]

    def _make(self, rows: Tensor, draws: list[list[ViewDraw]]) -> list[Tensor]:
        """Return each part's pictures in the steps of some rows, normalised, (steps, count, channels, H, W)."""
        places_x, places_u = rows.split([self.num_x, self.num_u], dim=1)
        index_u = self.unlabeled[places_u]
        indices = iter([self.labeled[places_x]] + [index_u] * len(self.method.unlabeled_views))
        made: list[Tensor] = []
        pictures = []
        for (_, counts), group in zip(self.groups, zip(*draws, strict=True), strict=True):
            index = torch.cat([next(indices) for _ in counts], dim=1)
            pictures.append(apply_view(self.images.train_images[index.view(-1)], joined(group), self.config.augment))
        normal = normalize(torch.cat(pictures), self.mean, self.std)
        sizes = [len(group) for group in pictures]
        for (_, counts), group in zip(self.groups, normal.split(sizes), strict=True):
            made += group.unflatten(0, (len(draws), -1)).split(counts, dim=1)
        return made

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

    def _state(self) -> State:
        """Return what is left of the orders, and the states of the generators that are drawn from between steps."""
        orders = {"order_x": self.order_x.queue} | ({"order_u": self.order_u.queue} if self.order_u else {})
        names = ("order",) if self.in_step else ("order", "augment")
        return orders, {name: self.generators[name].get_state() for name in names}

    def state_dict(self) -> State:
        """Return the state from which the next step's row is drawn: orders, and states of generators in the place of the present ones."""
        return self.before[self.used] if self.used < len(self.rows) else self._state()

    def load_state_dict(self, orders: dict[str, Tensor]) -> None:
        """Go on from the orders of `state_dict`; the generators must have been loaded."""
        self.order_x.queue = orders["order_x"].to(self.order_x.queue.device)
        if self.order_u:
            self.order_u.queue = orders["order_u"].to(self.order_u.queue.device)
        self.used = len(self.rows)
