"""What a run writes down while it trains: metrics, evaluations, keyframes, checkpoints.

The trainer's numbers don't depend on any of it: windows end by the clock, and nothing here draws a random number.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sslcore import checkpoint, kernels, keyframes, tensorboard
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.checkpoint import weights_sha256
from sslcore.evaluate import Evaluation, evaluate
from sslcore.graph import GpuSteps
from sslcore.host_copy import HostCopy
from sslcore.methods.flexmatch import FlexMatch
from sslcore.optim import learning_rate
from sslcore.store import Store
from sslcore.trainer import Trainer, device_name
from sslcore.writer import Work, Writer

WINDOW = 0.05  # seconds between two metric points: at most 20 a second
ARRAYS_EVERY = 1.0  # seconds between two per-class vectors
CHECKPOINT_EVERY = 10.0  # seconds at most between two checkpoints
CHECKPOINT_SHARE = 0.02  # of the time at most goes into writing them; but one comes every 10 s however long that takes
UNDERWAY = 3  # windows and checkpoints on their way from the device at most: then the oldest is waited for


@dataclass(frozen=True)
class Window:
    """The steps between two points, closed but not yet written: its sums may still be on their way from the device."""

    step: int  # the last one
    seconds: float
    steps: int
    values: dict[str, float]  # what the host knows itself
    names: tuple[str, ...]  # of the sums
    arrays: tuple[str, ...]  # per-class vectors beside them
    copy: HostCopy


class Recorder:
    """Writes one run into the store and its folder."""

    def __init__(self, store: Store, run_id: str, trainer: Trainer, seconds: float, best: float) -> None:
        self.store, self.run_id, self.trainer = store, run_id, trainer
        self.folder = store.folder(run_id)
        self.seconds_before, self.began = seconds, time.perf_counter()
        self.rested_at: float | None = None
        self.best = best  # best validation accuracy so far
        self.steps = 0  # in the present window
        self.compiling = trainer.config.train.compile  # until the first step of this stay
        # On their way from the device, the oldest first; among them what the writer is to do once the points before it are written.
        self.waiting: list[Window | Work] = []
        self.writer = Writer()
        now = time.perf_counter()
        self.window_began = self.arrays_at = self.saved_at = now
        self.save_cost = 0.0
        self.board: tensorboard.Board | None = None
        self.summary: dict[str, Any] = store.run(run_id).summary
        planned = list(keyframes.planned(trainer.config.train.steps, trainer.config.train.evals))
        self.eval_steps = set(planned)
        self.keep_steps = set(planned[:: math.ceil(len(planned) / checkpoint.KEPT)])

    @property
    def seconds(self) -> float:
        """Training time of the run so far, evaluation included, start-up, pauses and the turns of others not."""
        now = time.perf_counter() if self.rested_at is None else self.rested_at
        return self.seconds_before + now - self.began

    def rest(self) -> None:
        """Stop the run's clocks: another run of its race has its turn."""
        self.rested_at = time.perf_counter()

    def wake(self) -> None:
        """Let the clocks go on where they stood."""
        if self.rested_at is not None:
            away = time.perf_counter() - self.rested_at
            self.began, self.window_began = self.began + away, self.window_began + away
            self.arrays_at, self.saved_at = self.arrays_at + away, self.saved_at + away
            self.rested_at = None

    def begin(self) -> None:
        """Write what is known before the first step: the sizes of the split, the probe, and what the untrained model thinks of it."""
        trainer, images = self.trainer, self.trainer.images
        # A run that goes on keeps the engine that it began with: half of its numbers come from there.
        engine = self.summary.get("engine", ev.ENGINE) if trainer.step else ev.ENGINE
        self.summary |= {
            "title": images.title, "notes": list(images.notes), "class_names": list(images.class_names),
            "num_train": len(images.train_labels), "num_labeled": len(trainer.split.labeled), "num_unlabeled": len(trainer.split.unlabeled),
            "num_val": len(trainer.split.val), "num_test": len(images.test_labels), "device": trainer.device.type,
            "device_name": device_name(trainer.device), "threads": torch.get_num_threads(), "torch": str(torch.__version__), "engine": engine,
            "parameters": sum(p.numel() for p in trainer.model.parameters()), "images_per_step": trainer.images_per_step,
            "precision": trainer.precision, "files": images.files,
        }  # fmt: skip
        self.store.update(self.run_id, summary=self.summary)
        if trainer.config.train.tensorboard:
            with self._board_may_fail():
                self.board = tensorboard.Board(self.folder, trainer.step, images.class_names)
        if trainer.step == 0:
            keyframes.write_probe(self.folder, trainer.probe.constants())
            keyframes.write(self.folder, 0, trainer.probe.frame(trainer.evaluated(False), trainer.method, None))
        self.writer.start()
        self.window_began = time.perf_counter()

    def after_step(self) -> None:
        """Take note of a step; write when a window, an evaluation or a checkpoint is due.

        Diverged if the loss isn't finite; whatever went wrong in the writer's thread, StoreError for a full disk.
        """
        self.writer.check()
        self.steps += 1
        trainer, now = self.trainer, time.perf_counter()
        if self.compiling:
            self.compiling = False
            self.summary |= {"compile_seconds": now - self.window_began}
            self.store.update(self.run_id, summary=self.summary)
        if self.waiting:
            self._write_ready()
        if trainer.step in self.eval_steps:
            self.flush(wait=True)
            self.evaluate()
        elif now - self.window_began >= WINDOW or trainer.step == 1:
            self.flush()
        due = min(CHECKPOINT_EVERY, max(1.0, self.save_cost / CHECKPOINT_SHARE))
        if time.perf_counter() - self.saved_at >= due and not self.writer.busy:
            self.save()

    def flush(self, wait: bool = False) -> None:
        """Close the window; it is written as one point once its sums are here. `wait`: now."""
        trainer, now = self.trainer, time.perf_counter()
        if self.steps:
            rate = learning_rate(trainer.config.optim, trainer.step - 1, trainer.config.train.steps)
            speed = self.steps * trainer.images_per_step / max(now - self.window_began, 1e-9)
            due = now - self.arrays_at >= ARRAYS_EVERY or trainer.step == 1 or trainer.step in self.eval_steps
            arrays = self._arrays() if due else {}
            copy = HostCopy({"sums": trainer.meter.sums, **arrays})
            values = {"optim/lr": float(rate), "perf/images_per_s": speed}
            self.waiting.append(
                Window(trainer.step, self.seconds, self.steps, values, trainer.meter.names, tuple(arrays), copy)
            )
            trainer.meter.clear(arrays=due)
            self.steps, self.window_began = 0, now
        self._write_ready(wait)

    def _write_ready(self, wait: bool = False) -> None:
        """Write what has arrived. `wait`: wait for the rest."""
        while self.waiting:
            first = self.waiting[0]
            if not isinstance(first, Window):
                self._flush_board()  # the points before a checkpoint are in the file before it, too
                self.writer.put(first)
            elif wait or len(self.waiting) > UNDERWAY or first.copy.ready():
                self._write(first)
            else:
                return
            self.waiting.pop(0)

    def _write(self, window: Window) -> None:
        tensors = window.copy.get()
        sums = dict(zip(window.names, tensors["sums"].tolist(), strict=True))
        right, known, kept_foreign, foreign = (
            sums.pop(name, 0.0) for name in ("kept/right", "kept/known", "kept/foreign", "seen/foreign")
        )
        values = {name: total / window.steps for name, total in sums.items()} | window.values
        if known:
            values["train/purity"] = right / known
        if foreign:
            values["train/foreign_kept"] = kept_foreign / foreign
        if not math.isfinite(values["train/loss"]):
            raise ev.Diverged(f"the loss became {values['train/loss']} by step {window.step}")
        arrays = [ev.ArrayPoint(name, window.step, window.seconds, tensors[name].numpy()) for name in window.arrays]
        point = ev.MetricPoint(ev.TRAIN, window.step, window.seconds, values)
        self._log(point, arrays, step=window.step, seconds=window.seconds)

    def _arrays(self) -> dict[str, Tensor]:
        self.arrays_at = time.perf_counter()
        found: dict[str, Tensor] = {}
        if isinstance(self.trainer.method, FlexMatch):
            counts = self.trainer.method.counts()
            found |= {"flex/threshold": self.trainer.method.thresholds(counts), "flex/count": counts}
        if self.trainer.method.unlabeled_views:
            found["pseudo/count"] = self.trainer.meter.kept_classes
        return found

    def evaluate(self) -> None:
        """Evaluate the averaged and the raw model on every part, write the point and a keyframe, keep the best."""
        self._demand_finite()
        trainer = self.trainer
        values: dict[str, float] = {}
        found: dict[str, Evaluation] = {}
        for part, (images, labels) in parts(trainer).items():
            averaged = evaluate(trainer.evaluated(True), images, labels, trainer.stream.mean, trainer.stream.std)
            raw = evaluate(trainer.evaluated(False), images, labels, trainer.stream.mean, trainer.stream.std)
            values |= averaged.metrics(part) | raw.metrics(part, "/raw")
            found[part] = averaged
        test = found["test"]
        self.summary |= {
            "test_accuracy": values["eval/test/accuracy"],
            "test_accuracy_raw": values["eval/test/accuracy/raw"],
            "test_balanced_accuracy": values["eval/test/balanced_accuracy"],
        }
        saves: list[Callable[[dict[str, Any]], None]] = []
        if "eval/val/accuracy" in values and values["eval/val/accuracy"] > self.best:
            self.best = values["eval/val/accuracy"]
            self.summary |= {
                "best_val_accuracy": self.best,
                "best_step": trainer.step,
                "test_accuracy_at_best": values["eval/test/accuracy"],
            }
            saves.append(lambda state: checkpoint.save(self.folder, state, checkpoint.BEST))
        if trainer.step in self.keep_steps:
            saves.append(lambda state: checkpoint.keep(self.folder, state, state["step"]))
        point = ev.MetricPoint(ev.EVAL, trainer.step, self.seconds, values)
        recall = ev.ArrayPoint("eval/test/recall", trainer.step, self.seconds, test.recall.numpy())
        self._log(point, [recall], step=trainer.step, seconds=self.seconds, summary=self.summary)
        step, frame = trainer.step, trainer.probe.frame(trainer.evaluated(False), trainer.method, test)
        self.waiting.append(lambda: keyframes.write(self.folder, step, frame))
        if saves:
            self._save(saves)
        self._write_ready()
        self.window_began = time.perf_counter()

    def _log(self, point: ev.MetricPoint, arrays: list[ev.ArrayPoint], **values: Any) -> None:
        self.store.log(self.run_id, [point], arrays, **values)
        if self.board:
            with self._board_may_fail():
                self.board.write([point], arrays)

    def _flush_board(self) -> None:
        if self.board:
            with self._board_may_fail():
                self.board.flush()

    @contextlib.contextmanager
    def _board_may_fail(self) -> Iterator[None]:
        """Event files are an extra: where one can't be written the run goes on without, and its history says so."""
        try:
            yield
        except (OSError, ImportError) as error:
            self.board = None
            told = {"error": str(error), "then": "no event files from here on"}
            self.store.add_event(self.run_id, self.trainer.step, "tensorboard", told)

    def close(self) -> None:
        """Let go of the run's files, once all that was asked for is written; nothing is logged after it."""
        with contextlib.suppress(Exception):  # only after a failure is anything left, and that one is told
            self._write_ready(wait=True)
        self.writer.close()
        if self.board:
            with self._board_may_fail():
                self.board.close()

    def _demand_finite(self) -> None:
        if not bool(self.trainer.finite()):
            raise _not_finite(self.trainer.step)

    def save(self, wait: bool = False) -> None:
        """Have `last.pt` and `meta.json` written behind the points up to here; `wait`: until they and all before them are there.

        Diverged, here or soon, rather than a checkpoint of weights that aren't finite.
        """
        self.flush(wait)
        meta = {
            "run_id": self.run_id,
            "step": self.trainer.step,
            "seconds": self.seconds,
            "config": cfg.to_dict(self.trainer.config),
            "torch": str(torch.__version__),
        }
        self._save([lambda state: checkpoint.save(self.folder, state, checkpoint.LAST, meta)])
        self.saved_at = time.perf_counter()
        self._write_ready(wait)
        if wait:
            self.writer.wait()

    def _save(self, saves: Sequence[Callable[[dict[str, Any]], None]]) -> None:
        """Have the state as it is now saved in some ways, as soon as it is here and the points before it are written."""
        trainer = self.trainer
        state = trainer.state_dict() | {"seconds": self.seconds, "best": self.best}
        step, copy = trainer.step, HostCopy({"state": state, "finite": trainer.finite()})

        def work() -> None:
            came = copy.get()
            if not came["finite"]:
                raise _not_finite(step)
            began = time.perf_counter()
            for save in saves:
                save(came["state"])
            self.save_cost = time.perf_counter() - began

        self.waiting.append(work)

    def finish(self) -> None:
        """Write the last checkpoint and the hash of the final weights."""
        self.save(wait=True)
        trainer = self.trainer
        self.summary |= {
            "weights_sha256": weights_sha256(trainer.model, trainer.ema.model),
            **({"steps_by": _steps_by(trainer.gpu)} if trainer.gpu else {}),
            "seconds_per_step": self.seconds / trainer.step,
            "images_per_s": trainer.step * trainer.images_per_step / self.seconds,
        }
        self.store.update(self.run_id, summary=self.summary, seconds=self.seconds, step=trainer.step)


def _not_finite(step: int) -> ev.Diverged:
    return ev.Diverged(f"the weights stopped being finite by step {step}")


def _steps_by(gpu: GpuSteps) -> str:
    """Say how the steps were taken on a GPU, and what kept them from being taken faster."""
    told = gpu.told or "one CUDA graph a step"
    return told + (f"; by PyTorch's own operations alone: {kernels.problems[0]}"[:200] if kernels.problems else "")


def parts(trainer: Trainer) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what is evaluated: the labelled images (train), the validation part if there is one, the test set."""
    images = trainer.images
    found = {"train": trainer.split.labeled.to(trainer.device)}
    if len(trainer.split.val):
        found["val"] = trainer.split.val.to(trainer.device)
    picked = {part: (images.train_images[index], images.train_labels[index]) for part, index in found.items()}
    return picked | {"test": (images.test_images, images.test_labels)}
