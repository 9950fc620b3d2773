"""Synthetic runs for tests of what reads them: every state, curves, class vectors and keyframes, without training."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import events as ev
from sslcore import keyframes, presets
from sslcore.config import RunConfig
from sslcore.store import Store

CLASSES, PROBES, SIDE, TEST = 10, 64, 16, 360
DEAD = {"pid": 4_000_000, "process": "a process that is gone"}
TRACEBACK = (
    'Traceback (most recent call last):\n  File "trainer.py", line 1, in train\nRuntimeError: out of *memory* <b>'
)


def fill(
    store: Store,
    state: str,
    method: str = "flexmatch",
    *,
    name: str = "",
    points: int = 40,
    config: RunConfig | None = None,
    owned: bool = True,
    frames: bool = True,
) -> str:
    """Write a run that is in `state` after `points` metric points of two steps each; `owned`: by this living process."""
    config = config or presets.build("smoke", method, {"train.steps": 2 * 40})
    run_id = store.create(config, preset="smoke", name=name)
    if state == ev.QUEUED:
        if not owned:
            store.update(run_id, **DEAD)
        return run_id
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED], started=time.time())
    store.update(run_id, summary=summary(config))
    for i in range(points):
        add_point(store, run_id, config, 2 * (i + 1))
    if frames:
        add_keyframe(store.folder(run_id), 0, config.method.name)
        if points:
            add_keyframe(store.folder(run_id), 2 * points, config.method.name, constants=False)
    if not owned or state == ev.INTERRUPTED:
        store.update(run_id, **DEAD)  # reconciling turns a running one into an interrupted one
    if state not in (ev.RUNNING, ev.INTERRUPTED):
        error = {ev.FAILED: TRACEBACK, ev.DIVERGED: "the loss became nan by step 8"}.get(state, "")
        store.move(run_id, state, only_from=ev.ACTIVE, error=error, ended=time.time())
    return run_id


def summary(config: RunConfig) -> dict[str, Any]:
    return {
        "title": "Digits (made up)", "class_names": [str(c) for c in range(CLASSES)], "num_train": 1000 + config.data.labels, "num_labeled": config.data.labels,
        "num_unlabeled": 1000, "num_test": 360, "device": "cpu", "device_name": "cpu", "threads": 2, "test_accuracy": 0.9712,
        "test_accuracy_raw": 0.9654, "images_per_s": 9432.1, "images_per_step": 50,
    }  # fmt: skip


def add_point(store: Store, run_id: str, config: RunConfig, step: int) -> None:
    """One metric point, at every tenth step an evaluation, and the class vectors."""
    share, method = step / config.train.steps, config.method.name
    values = {
        "train/loss": 2.3 * math.exp(-3 * share) + 0.05,
        "train/loss_x": 2.2 * math.exp(-5 * share),
        "optim/lr": 0.03,
    }
    values["perf/images_per_s"] = 9000.0 + step
    if method != "supervised":
        values |= {
            "train/loss_u": 0.4 * share,
            "train/confidence": 0.5 + 0.4 * share,
            "train/purity": 0.8 + 0.15 * share,
        }
    if method in ("fixmatch", "flexmatch"):
        values["train/mask_rate"] = 0.9 * share
    arrays = []
    if method == "flexmatch":
        arrays += [
            ev.ArrayPoint("flex/threshold", step, step / 50, 0.95 * share * np.linspace(0.5, 1, CLASSES)),
            ev.ArrayPoint(
                "flex/count", step, step / 50, np.append(np.linspace(50, 100, CLASSES) * share, 1000 * (1 - share))
            ),
        ]
    if method != "supervised":
        arrays.append(ev.ArrayPoint("pseudo/count", step, step / 50, np.arange(1, CLASSES + 1) * share))
    found = [ev.MetricPoint(ev.TRAIN, step, step / 50, values)]
    if step % 10 == 0:
        parts = {"test": 0.3 + 0.67 * share, "train": 1.0}
        scores = {f"eval/{part}/accuracy{kind}": score for part, score in parts.items() for kind in ("", "/raw")}
        scores["eval/test/balanced_accuracy"] = parts["test"] - 0.1
        arrays.append(
            ev.ArrayPoint("eval/test/recall", step, step / 50, parts["test"] - np.linspace(0.2, 0.0, CLASSES))
        )
        scores |= {f"eval/{part}/loss{kind}": 1.1 - score for part, score in parts.items() for kind in ("", "/raw")}
        scores |= {
            f"eval/{part}/top5{kind}": min(1.0, score + 0.1) for part, score in parts.items() for kind in ("", "/raw")
        }
        found.append(ev.MetricPoint(ev.EVAL, step, step / 50, scores))
    store.log(run_id, found, arrays, step=step, seconds=step / 50)


def add_keyframe(folder: Path, step: int, method: str, constants: bool = True, classes: int = CLASSES) -> None:
    """A keyframe of made-up opinions about made-up images (their truth: the index modulo the classes)."""
    generator = np.random.default_rng(step)
    if constants:
        images = generator.integers(0, 255, (PROBES, 1, SIDE, SIDE), dtype=np.uint8)
        truth = np.arange(PROBES) % classes
        keyframes.write_probe(
            folder,
            {
                "unlabeled_index": np.arange(PROBES),
                "unlabeled_truth": truth,
                "weak_images": images,
                "strong_images": images[:, :, ::-1],
                "test_index": np.arange(PROBES),
                "test_truth": (np.arange(TEST) % classes).astype(np.int16),
            },
        )
    probs = generator.dirichlet(np.full(classes, 0.2), PROBES).astype(np.float32)
    threshold = np.full(classes, 0.7 if method in ("fixmatch", "flexmatch") else 0.0, np.float32)
    pseudo = probs.argmax(axis=1).astype(np.int16)
    mask = (probs.max(axis=1) >= threshold[pseudo]).astype(np.uint8)
    views = np.stack([probs, probs[:, ::-1]], axis=1)
    squared = views.mean(axis=1) ** 2
    test_truth = np.arange(TEST) % classes
    test_pred = np.where(generator.random(TEST) < 0.9, test_truth, (test_truth + 1) % classes)
    confusion = np.zeros((classes, classes), np.int32)
    np.add.at(confusion, (test_truth, test_pred), 1)
    frame = {
        "weak_probs": probs, "strong_probs": probs, "view_probs": views, "guess": squared / squared.sum(axis=1, keepdims=True),
        "pseudo": pseudo, "mask": mask, "threshold": threshold,
    }  # fmt: skip
    evaluated = {"test_pred": test_pred.astype(np.uint8), "confusion": confusion} if step else {}
    keyframes.write(folder, step, frame | evaluated)
