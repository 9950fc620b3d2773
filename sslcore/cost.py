"""What a sweep will cost where nothing like it has been trained yet: a few real steps of each method, timed in the calling thread.

They are never compiled: that would take longer than the answer may.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from sslcore import config as cfg
from sslcore import data
from sslcore.evaluate import evaluate
from sslcore.sweep import Cell
from sslcore.trainer import Trainer, check_device, choose_device, prepare_thread

STEPS = 5  # timed at least, after those that warm up: whole rounds of them
SECONDS = 4.0  # for each method at most, but never under one round


def measure(cells: Sequence[Cell]) -> dict[str, float]:
    """Return {kind: seconds per step, evaluations included} for one cell of each kind. Raises what a run of it would."""
    found: dict[str, float] = {}
    for cell in cells:
        kind = cell.kind
        if kind not in found:
            found[kind] = _step(cell)
    return found


def _step(cell: Cell) -> float:
    train = cell.config.train
    before = torch.get_num_threads()
    prepare_thread(train.threads)
    try:
        device = choose_device(train.device)
        check_device(cell.config, device)  # whether it could be compiled, too
        config = cfg.replace(cell.config, {"train.compile": False})
        trainer = Trainer(config, data.load(config.data, None), device)
        trainer.warm_up()
        began, steps = _now(trainer), 0
        while steps < STEPS and (steps == 0 or _now(trainer) - began < SECONDS):
            steps += trainer.train_round()
        each = (_now(trainer) - began) / steps
        few = slice(0, 128)  # of the test images: an evaluation's time grows with them
        images, labels = trainer.images.test_images, trainer.images.test_labels
        began = _now(trainer)
        evaluate(trainer.model, images[few], labels[few], trainer.stream.mean, trainer.stream.std)
        once = (_now(trainer) - began) / len(labels[few]) * (len(labels) + cell.labels)
        return each + 2 * once * min(train.evals, train.steps) / train.steps  # EMA and raw
    finally:
        torch.set_num_threads(before)


def _now(trainer: Trainer) -> float:
    if trainer.gpu:
        trainer.gpu.wait()  # not for the whole device: a run that is captured meanwhile could not be
    return time.perf_counter()
