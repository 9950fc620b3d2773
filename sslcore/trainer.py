"""THE loop. One step of training stands here once, in the open; what a run writes down is `recorder.py`'s.

A `Trainer` is everything that decides a run's numbers, and nothing else: it touches no disk and no store, so the same
object trains under the page, the command line, the tests and the bench.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from sslcore import config as cfg
from sslcore import methods, models
from sslcore.batches import BatchStream
from sslcore.clock import Number, live_numbers, live_words
from sslcore.config import ConfigError, RunConfig, TrainConfig
from sslcore.data import picks
from sslcore.data.image_set import ImageSet
from sslcore.data.splits import Split, make_split
from sslcore.ema import Ema
from sslcore.graph import EAGER, GpuSteps
from sslcore.memory import keep_freed_memory
from sslcore.meter import Meter
from sslcore.methods.base import StepOutput
from sslcore.optim import learning_rate, make_optimizer, set_rate
from sslcore.precision import LossScale, check_compiler, choose_precision, wrapped
from sslcore.probe import Probe
from sslcore.rng import Generators

CHECKPOINT_VERSION = 1


class Trainer:
    """One run in memory. `step` = optimizer steps taken.

    `graph_safe`: all that changes between steps lives in tensors on the device, as a step that is captured needs it;
    default: on a GPU. Elsewhere plain numbers are cheaper, and give the same curve.
    """

    def __init__(
        self, config: RunConfig, images: ImageSet, device: torch.device, graph_safe: bool | None = None
    ) -> None:
        self.config, self.device = config, device
        self.graph_safe = device.type == "cuda" if graph_safe is None else graph_safe
        self.images = images.to(device)
        self.generators = Generators(config.train.seed, device)
        self.split = cut(config, images, self.generators["split"])
        self.model = models.build(config.model, images.channels, images.num_classes, self.generators["init"]).to(device)
        self.method = methods.build(config.method, images.num_classes, len(self.split.unlabeled)).to(device)
        self.precision = check_device(config, device)
        self.net = wrapped(self.model, self.precision, config.train.compile)  # what the method asks
        self.loss_scale = LossScale(device) if self.precision == "fp16" else None
        self.optimizer = make_optimizer(self.model, config.optim, self.graph_safe)
        self.ema = Ema(self.model, config.train.ema_decay, config.train.ema_warmup)
        self.stream = BatchStream(self.images, self.split, self.method, config, self.generators, self.graph_safe)
        self.probe = Probe(self.images, self.split, config, self.generators)
        self.meter = Meter(images.num_classes, device)
        self.optim = config.optim
        if self.graph_safe:
            self.optim = live_numbers(config.optim, device)
            self.method.config = live_numbers(config.method, device)
        self.step = 0
        self.gpu = prepare_gpu(self.generators, config.train, device) if device.type == "cuda" else None
        self.now: Number = 0  # the same, for the formulas of a step
        if self.graph_safe:
            self.now = torch.zeros((), dtype=torch.int64, device=device)

    @property
    def images_per_step(self) -> int:
        """Views that a step makes: B + views * mu * B. MixMatch's unlabelled ones pass the net twice, to be guessed and mixed."""
        return self.config.train.batch + len(self.method.unlabeled_views) * self.stream.num_u

    def train_step(self) -> tuple[StepOutput, torch.Tensor]:
        """Take one optimizer step; return the method's output and the pool positions it saw, which hold until the next one."""
        with self.at_work():
            self.stream.draw_ahead()
            taken = self.gpu.take(self.one_step) if self.gpu else self.one_step()
        self.step += 1
        return taken

    def train_round(self) -> int:
        """Take one whole round of steps, which only together take a typical time, and return how many: for timing."""
        for _ in range(self.stream.round):
            self.train_step()
        return self.stream.round

    def warm_up(self) -> None:
        """Take the first rounds, which take longer than those to come, on a GPU until a step is captured: before a timing."""
        for _ in range(EAGER + 1 if self.gpu else 1):
            self.train_round()

    def one_step(self) -> tuple[StepOutput, torch.Tensor]:
        """One step of training. Nothing in here waits for the device or has a shape that depends on the data, so it can be a CUDA graph."""
        set_rate(self.optimizer, learning_rate(self.optim, self.now, self.config.train.steps))
        batch = self.stream.next()
        output = self.method.step(self.net, batch, self.now)
        self.optimizer.zero_grad(set_to_none=True)
        loss = output.loss * self.loss_scale.scale if self.loss_scale else output.loss  # a scale with fp16 only
        loss.backward()
        if self.loss_scale:
            self.loss_scale.guard(self.optimizer)
        self.optimizer.step()
        self.ema.update(self.model, self.now)
        self.meter.add(output, *self.stream.hidden(batch.u_index))
        self.now += 1
        return output, batch.u_index

    def change(self, changes: dict[str, Any]) -> None:
        """Change live settings from the next step on; ConfigError for one that can't change during a run."""
        self.config = cfg.replace(self.config, changes)
        optim, method = self.config.optim, self.config.method
        if self.gpu and live_words(method) != live_words(self.method.config):
            self.gpu.forget()
        if self.graph_safe:
            with self.at_work():
                optim = live_numbers(optim, self.device, self.optim)
                method = live_numbers(method, self.device, self.method.config)
        self.optim, self.method.config = optim, method

    def at_work(self, join: bool = True) -> AbstractContextManager[None]:
        """Put what a `with` block asks of the GPU in the order of this run's work; on a CPU that is so anyway.

        `join`: the caller's own order waits for it. Without, several runs of one thread share the GPU.
        """
        return self.gpu.at_work(join) if self.gpu else nullcontext()

    def evaluated(self, averaged: bool) -> nn.Module:
        """Return the model to evaluate, in the run's precision: the averaged or the raw one."""
        return wrapped(self.ema.model if averaged else self.model, self.precision)

    def finite(self) -> torch.Tensor:
        """Return whether all weights are finite, 0-d on the device; a checkpoint of others would be worthless."""
        return torch.stack([torch.isfinite(p).all() for p in self.model.parameters()]).all()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides the numbers from here on: the tensors themselves, and nothing that waits for the device."""
        optimizer = self.optimizer.state_dict()
        rate = float(learning_rate(self.config.optim, max(0, self.step - 1), self.config.train.steps))
        for group in optimizer["param_groups"]:
            group["lr"] = rate  # a tensor where steps may be a graph; each step begins with setting it
        orders, drawn_from = self.stream.state_dict()
        return {
            "version": CHECKPOINT_VERSION,
            "step": self.step,
            "config": cfg.to_dict(self.config),
            "probe": cfg.to_dict(self.probe.config),
            "fingerprint": self.images.fingerprint,
            "threads": torch.get_num_threads(),
            "split": {"labeled": self.split.labeled, "unlabeled": self.split.unlabeled, "val": self.split.val},
            "model": self.model.state_dict(),
            "ema": self.ema.model.state_dict(),
            "ema_updates": self.step,
            "optimizer": optimizer,
            "method": self.method.state_dict(),
            "stream": orders,
            "generators": self.generators.state_dict() | drawn_from,
        } | ({"loss_scale": self.loss_scale.state_dict()} if self.loss_scale else {})

    def load_weights(self, state: dict[str, Any]) -> None:
        """Take over step, weights and average, to evaluate them: on any device; ConfigError if the images are others."""
        if state["fingerprint"] != self.images.fingerprint:
            raise ConfigError(
                f"data.source {self.config.data.source!r} no longer holds the images that this run began with"
            )
        self.step = state["step"]
        self.now = self.now.fill_(self.step) if isinstance(self.now, torch.Tensor) else self.step
        self.model.load_state_dict(state["model"])
        self.ema.model.load_state_dict(state["ema"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; ConfigError if the images are not those that the state was made with."""
        self.load_weights(state)
        split = Split(**state["split"])
        if not all(
            torch.equal(getattr(split, part), getattr(self.split, part)) for part in ("labeled", "unlabeled", "val")
        ):
            raise ConfigError("the checkpoint's labelled images are not those of this version's split; start a new run")
        # What the optimizer's groups hold beside their state, which a fork may have changed, is as the config has it.
        constants = [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, values in zip(self.optimizer.param_groups, constants, strict=True):
            group.update(values)
        self.method.load_state_dict(state["method"])
        if self.loss_scale and "loss_scale" in state:  # a fork may have begun in another precision
            self.loss_scale.load_state_dict(state["loss_scale"])
        if self.gpu:
            self.gpu.forget()
        self.generators.load_state_dict(state["generators"])
        self.stream.load_state_dict(state["stream"])
        drawn_for = cfg.from_dict(state.get("probe", state["config"]))
        if drawn_for != self.probe.config:  # a fork looks at its parent's views, whatever it augments with itself
            fresh = Generators(self.config.train.seed, self.device)
            self.probe = Probe(self.images, self.split, drawn_for, fresh)


def cut(config: RunConfig, images: ImageSet, generator: torch.Generator) -> Split:
    """Return the run's split; ConfigError if the settings ask for more than the images give."""
    split = make_split(
        images.train_labels.cpu(),
        images.num_classes,
        num_labels=config.data.labels,
        num_val=config.data.val,
        num_wrong=cfg.num_wrong(config),
        labeled_gamma=config.data.labeled_gamma,
        unlabeled_gamma=config.data.unlabeled_gamma,
        foreign=images.foreign,
        foreign_share=config.data.foreign_share,
        include_labeled=cfg.include_labeled(config),
        generator=generator,
        choice=picks.choose(config.data, images),
    )
    if config.method.name != "supervised" and not len(split.unlabeled):
        raise ConfigError(
            f"data.labels must leave unlabelled images for {config.method.name}, got {config.data.labels:,} "
            f"of {len(images.train_labels):,}; use fewer labels, or data.include_labeled yes"
        )
    return split


def choose_device(wanted: str) -> torch.device:
    """Return the device of a setting; ConfigError if it isn't there. `auto`: CUDA, else MPS, else CPU."""
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if here[name]))
    if not here.get(wanted):
        raise ConfigError(
            f"train.device must be a device of this machine ({', '.join(n for n, ok in here.items() if ok)}), got {wanted!r}"
        )
    return torch.device(wanted)


def check_device(config: RunConfig, device: torch.device) -> str:
    """Return the precision on a device; ConfigError if it can't do that, or has no CUDA graphs or compiler where asked for."""
    if config.train.graph == "on" and device.type != "cuda":
        raise ConfigError(f"train.graph can only be on with a CUDA device, got {device.type}; use auto or off")
    if config.train.compile:
        check_compiler(device)
    return choose_precision(config.train.precision, device)


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, else the device's type."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_gpu(generators: Generators, train: TrainConfig, device: torch.device) -> GpuSteps:
    """Set the GPU up for training, and return what takes a run's steps there."""
    torch.backends.cuda.matmul.allow_tf32 = False  # fp32 is the reference, to all its digits
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.deterministic
    return GpuSteps(generators, train.graph, device, train.compile)


def prepare_thread(threads: int) -> int:
    """Set up the calling thread for training and return the number of CPU threads, which is part of a run's numbers."""
    count = threads or cores()
    keep_freed_memory()
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    return count
