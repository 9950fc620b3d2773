"""A fork: a new run that goes on from a checkpoint of another one, with some of its settings changed.

All that makes it lies in its own folder and rows: the checkpoint with the new settings as its `last.pt`, and the
parent's curves, keyframes and earlier checkpoints up to there. So its curves are whole, it resumes like any run, and the
parent may be deleted. With nothing changed it repeats the parent bit for bit. No torch until a checkpoint is read.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sslcore import config as cfg
from sslcore import events as ev
from sslcore import keyframes
from sslcore.config import ConfigError, RunConfig
from sslcore.process import owner
from sslcore.store import Store, StoreError

# What a checkpoint's tensors belong to: the images and their split, the shape of the net, the generators' seed and
# device, the method's and the optimizer's own state.
FIXED = (
    "data.", "model.net", "model.depth", "model.widen_factor", "model.width", "method.name", "optim.name", "train.seed", "train.device"
)  # fmt: skip
RESULTS = (
    "loading", "weights_sha256", "compile_seconds", "seconds_per_step", "images_per_s", "test_accuracy", "test_accuracy_raw", "test_balanced_accuracy",
    "best_val_accuracy", "best_step",
    "test_accuracy_at_best", "fork", "imported", "race",
)  # fmt: skip


def changeable(config: RunConfig) -> list[str]:
    """Return the dotted names of the settings that a fork may change."""
    return [name for name, _, _ in cfg.walk(config) if not name.startswith(FIXED)]


def checkpoints(folder: Path) -> dict[int, Path]:
    """Return {step: file} of the checkpoints in a run's folder, in order: the kept ones, then the newest."""
    found = {int(path.stem.split("-")[1]): path for path in folder.glob("step-*.pt")}
    try:
        last = int(json.loads((folder / "meta.json").read_text())["step"])
        if (folder / "last.pt").exists():
            found.setdefault(last, folder / "last.pt")
    except (OSError, ValueError, KeyError):
        pass
    return dict(sorted(found.items()))


def create(store: Store, run_id: str, step: int | None, changes: Mapping[str, Any]) -> str:
    """Write the fork, queued in this process, and return its id.

    `step`: one that has a checkpoint; None: the last that leaves steps to go. ConfigError or CheckpointError says in one
    sentence what can't be.
    """
    from sslcore import checkpoint

    parent = store.run(run_id)
    path = _source(store, parent, step, changes)
    state = checkpoint.load(path)
    at, before = state["step"], cfg.from_dict(state["config"])  # its own: `last.pt` may have moved on meanwhile
    config = changed(before, changes)
    if config.train.steps <= at:
        raise ConfigError(f"train.steps must be above {at:,}, the step of the fork, got {config.train.steps:,}")

    old, new = cfg.to_dict(before), cfg.to_dict(config)
    state |= {"config": new, "probe": state.get("probe", old)}
    if config.train.threads != before.train.threads:
        state["threads"] = config.train.threads
    made = store.create(config, preset=parent.preset, state=ev.PAUSED)
    try:
        folder, source = store.folder(made), store.folder(parent.id)
        for name in _files(source, at):
            _link(source / name, folder / name)
        if parent.summary.get("best_step", at + 1) <= at and (source / checkpoint.BEST).exists():
            _link(source / checkpoint.BEST, folder / checkpoint.BEST)
        else:
            state["best"] = -1.0  # the best file is one of a later step, or none
        checkpoint.save(folder, state, f"step-{at:09d}.pt")
        meta = {"run_id": made, "step": at, "seconds": state["seconds"], "config": new}
        checkpoint.save(folder, state, checkpoint.LAST, meta)
        was = {name: value for name, _, value in cfg.walk(before)}
        differ = {name: value for name, _, value in cfg.walk(config) if value != was[name]}
        _copy_rows(store, parent, made, before, at)
        store.add_event(made, at, "fork", {"run": parent.id, "step": at, **differ})
        summary = _summary(store, parent, made, at) | {
            "fork": {"run": parent.id, "step": at, "changes": differ, "before": {name: was[name] for name in differ}}
        }
        touched = bool(differ) or any(event.kind == "set" for event in store.events(made))
        values = {"step": at, "seconds": state["seconds"], "summary": summary, "changed": touched}
        store.move(made, ev.QUEUED, only_from=[ev.PAUSED], queued=time.time(), **values, **owner())
    except BaseException as problem:
        store.delete(made)
        if isinstance(problem, OSError):
            raise StoreError(f"the fork of run {parent.id} can't be written: {problem}") from problem
        raise
    return made


def changed(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """Return the config with `changes`; ConfigError if a fork can't change one of them."""
    allowed = changeable(config)
    for name in changes:
        cfg.find(config, name)
        if name not in allowed:
            raise ConfigError(f"{name} can't change in a fork; these can: {', '.join(allowed)}")
    return cfg.replace(config, changes)


def _source(store: Store, parent: ev.Run, step: int | None, changes: Mapping[str, Any]) -> Path:
    there = checkpoints(store.folder(parent.id))
    if not there:
        raise ConfigError(f"run {parent.id} has no checkpoint yet, so nothing can be forked")
    end = changed(cfg.from_dict(parent.config), changes).train.steps
    if step is None:
        early = [at for at in there if at < end]
        if not early:
            raise ConfigError(
                f"run {parent.id} has no checkpoint before step {end:,}; raise train.steps to go on from its end"
            )
        return there[early[-1]]
    if step not in there:
        listed = ", ".join(f"{at:,}" for at in there)
        raise ConfigError(f"run {parent.id} has no checkpoint at step {step:,}; it has those of the steps {listed}")
    return there[step]


def _files(folder: Path, step: int) -> list[str]:
    """Keyframes up to `step` and the kept checkpoints before it, as names in the run's folder."""
    frames = [f"{keyframes.FOLDER}/{at:09d}.npz" for at in keyframes.steps(folder) if at <= step]
    probe = [f"{keyframes.FOLDER}/{keyframes.PROBE}"] if frames else []
    kept = [path.name for path in folder.glob("step-*.pt") if int(path.stem.split("-")[1]) < step]
    return [*probe, *frames, *kept]


def _link(source: Path, target: Path) -> None:
    """Give a file a second name: such files are only ever replaced or removed, never changed. A copy where that can't be."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        pass  # the parent trains on and has thinned it away meanwhile
    except OSError:
        shutil.copyfile(source, target)


def _copy_rows(store: Store, parent: ev.Run, made: str, config: RunConfig, step: int) -> None:
    store.copy_curves(parent.id, made, step)
    settings = {name: value for name, _, value in cfg.walk(config)}
    for event in store.events(parent.id):
        # What was set at the very step of the checkpoint was so before it was written, or after: its own settings tell.
        acts = event.step < step or all(
            settings[name] == value for name, value in event.data.items() if name in settings
        )
        if event.kind in ("set", "fork") and event.step <= step and acts:
            store.add_event(made, event.step, event.kind, event.data)


def _summary(store: Store, parent: ev.Run, made: str, step: int) -> dict[str, Any]:
    """What the parent's summary was at the step of the fork."""
    summary = {name: value for name, value in parent.summary.items() if name not in RESULTS}
    evals = store.points(made, ev.EVAL)
    for name, metric in (
        ("test_accuracy", "eval/test/accuracy"),
        ("test_accuracy_raw", "eval/test/accuracy/raw"),
        ("test_balanced_accuracy", "eval/test/balanced_accuracy"),
    ):
        if metric in evals:
            summary[name] = float(evals[metric][-1])
    if parent.summary.get("best_step", step + 1) <= step:
        summary |= {name: parent.summary[name] for name in ("best_val_accuracy", "best_step", "test_accuracy_at_best")}
    return summary
