"""One stay of a run in a thread: from its config or its last checkpoint until it ends, is paused, stopped or fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from sslcore import checkpoint, data, keyframes
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.commands import Commands
from sslcore.evaluate import evaluate
from sslcore.files import sweep_up
from sslcore.recorder import Recorder
from sslcore.store import Store
from sslcore.trainer import Trainer, choose_device, prepare_thread


class OutOfMemory(ValueError):
    """The memory of the device ran out; the message says what to lower."""


class Stay:
    """A run in memory, from its config or its last checkpoint until it is left; it can rest while others take their steps."""

    def __init__(self, store: Store, run_id: str) -> None:
        """Load all that the run needs. Raises ConfigError, DataError, CheckpointError or OutOfMemory before any of its files is changed."""
        run, folder = store.run(run_id), store.folder(run_id)
        sweep_up(folder)
        state, damaged = checkpoint.newest(folder)
        config = cfg.from_dict(state["config"] if state else run.config)
        self.store, self.run_id, self.until = store, run_id, run.until
        self.threads = prepare_thread(state["threads"] if state else config.train.threads)

        images = data.load(config.data, _progress(store, run_id, run.summary))
        with _enough_memory(config):
            self.trainer = trainer = Trainer(config, images, choose_device(config.train.device))
            if state:
                trainer.load_state_dict(state)
        for path in damaged:
            moved = {"file": path.name, "kept as": checkpoint.set_aside(path).name}
            store.add_event(run_id, trainer.step, "damaged", moved)
        store.rewind(run_id, trainer.step)
        keyframes.drop_after(folder, trainer.step)
        checkpoint.drop_after(folder, trainer.step)

        seconds, best = (state["seconds"], state["best"]) if state else (0.0, -1.0)
        self.recorder = Recorder(store, run_id, trainer, seconds, best)
        self.commands = Commands(store, run_id, trainer)
        self.recorder.begin()
        self.recorder.rest()

    def room(self) -> int | None:
        """Return how many steps can be taken without waiting for the GPU; None where there is none."""
        return self.trainer.gpu.room() if self.trainer.gpu else None

    def advance(self, leave_now: threading.Event, steps: int | None = None) -> str | None:
        """Take `steps` steps, or all that are left, in the calling thread; return the state in which the run is left, None to go on.

        A checkpoint stands behind each state. `leave_now` (the process is ending) leaves the run `interrupted`. Raises
        Diverged, OutOfMemory, StoreError (a full disk) or whatever went wrong; the last good checkpoint stays.
        """
        prepare_thread(self.threads)
        try:
            with self.trainer.at_work(join=False):
                left = self._advance(leave_now, steps)
        except BaseException:
            self.recorder.close()  # a checkpoint that is being written ends before anybody hears of the failure
            with suppress(RuntimeError):  # the GPU's own failure
                if self.trainer.gpu:
                    self.trainer.gpu.wait()
            raise
        if left:
            self.recorder.close()
        return left

    def _advance(self, leave_now: threading.Event, steps: int | None) -> str | None:
        trainer, recorder = self.trainer, self.recorder
        recorder.wake()
        end = trainer.config.train.steps
        stop = end if steps is None else min(end, trainer.step + steps)
        while trainer.step < stop:
            leave = ev.INTERRUPTED if leave_now.is_set() else self.commands.obey()
            if self.until is not None and trainer.step >= self.until and not leave:
                self.until = self.store.run(self.run_id).until  # more steps may have been asked for meanwhile
                leave = ev.PAUSED if self.until is None or trainer.step >= self.until else None
            if leave:
                recorder.save(wait=True)
                return leave
            with _enough_memory(trainer.config):
                trainer.train_step()
                recorder.after_step()
        if trainer.step < end:
            if trainer.gpu is None:  # a GPU goes on with this run's steps while the next one gives it others
                recorder.rest()
            return None
        recorder.finish()
        return ev.FINISHED


@contextmanager
def _enough_memory(config: cfg.RunConfig) -> Iterator[None]:
    """Turn what torch raises when the memory of the device is used up into a sentence that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "can't allocate memory" not in str(error):
            raise
        lower = [
            "model.widen_factor" if config.model.net == "wrn" else "model.width",
            "train.batch",
            "method.mu",
            "method.views",
        ]
        lower += ["data.image_size"] if config.data.source.startswith("folder:") else []
        told = [
            f"{path} ({value})"
            for path, spec, value in cfg.walk(config)
            if path in lower and value > spec.metadata["low"]
        ]
        advice = f"; start again with a lower {' or '.join(told)}" if told else ""
        raise OutOfMemory(f"the memory for training ran out{advice}") from error


def _progress(store: Store, run_id: str, summary: dict[str, Any]) -> data.Progress:
    """Return a callback that shows the loading of images on the page, at most twice a second."""
    shown = 0.0

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > 0.5:
            shown = time.monotonic()
            store.update(run_id, summary=summary | {"loading": [what, done, total]}, heartbeat=time.time())

    return show


def evaluate_run(store: Store, run_id: str) -> dict[str, Any]:
    """Evaluate a run's last checkpoint anew; return step, test_accuracy, test_accuracy_raw, weights_sha256. CheckpointError if there is none."""
    state = checkpoint.load(checkpoint.last(store.folder(run_id)))
    config = cfg.replace(cfg.from_dict(state["config"]), {"train.compile": False})
    prepare_thread(state["threads"])
    try:
        device = choose_device(config.train.device)
    except cfg.ConfigError:  # made on a device that this machine lacks
        device = choose_device("auto")
        config = cfg.replace(config, {"train.precision": "auto", "train.graph": "auto"})
    trainer = Trainer(config, data.load(config.data, None), device)
    trainer.load_weights(state)
    images, stream = trainer.images, trainer.stream
    averaged, raw = (
        evaluate(trainer.evaluated(which), images.test_images, images.test_labels, stream.mean, stream.std).accuracy
        for which in (True, False)
    )
    sha = checkpoint.weights_sha256(trainer.model, trainer.ema.model)
    return {"step": trainer.step, "test_accuracy": averaged, "test_accuracy_raw": raw, "weights_sha256": sha}
