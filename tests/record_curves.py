"""Train the runs whose curves `test_notes.py` reads, and store them small: `python -m tests.record_curves [CASE...]`.

Sick ones show what an alert is about because their settings really provoke it; healthy ones are the digits lesson as
it is. Each is a real training of the engine on the digits, up to a few minutes on one core.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from sslcore import events as ev
from sslcore import presets
from sslcore.store import Store

FILE = Path(__file__).resolve().parent / "recorded_curves.npz"
POINTS = 200
KEPT = ("train/loss", "train/loss_x", "train/loss_u", "train/mask_rate", "train/purity", "train/confidence")

FIX: dict[str, Any] = {"data.labels": 10, "train.steps": 300, "train.evals": 15}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "collapse": ("fixmatch", {**FIX, "method.threshold": 1.0, "data.labels": 40}),
    "bias": ("fixmatch", {**FIX, "method.threshold": 0.0, "method.lambda_u": 5.0, "train.seed": 3}),
    "bias/rising": ("fixmatch", {**FIX, "method.threshold": 0.6, "method.lambda_u": 4.0, "train.seed": 3, "data.val": 300}),
    "bias/mixmatch": ("mixmatch", {**FIX, "method.lambda_u": 1000.0, "method.ramp_steps": 0, "train.seed": 3}),
    "diverged": ("supervised", {"train.steps": 200, "optim.lr": 10.0, "optim.momentum": 0.999, "optim.weight_decay": 0.9}),
    "unstable": ("fixmatch", {**FIX, "optim.lr": 8.0}),
    "stuck": ("flexmatch", {"train.steps": 200, "optim.lr": 1e-6}),
    "stuck/supervised": ("supervised", {"train.steps": 300, "optim.lr": 1e-6}),
    "stuck/mixmatch": ("mixmatch", {"train.steps": 200, "optim.lr": 1e-8}),
    **{f"healthy/{method}": (method, {}) for method in ("supervised", "mixmatch", "fixmatch", "flexmatch")},
    **{f"healthy/{method}/10": (method, {"data.labels": 10, "train.steps": 400, "train.seed": 2}) for method in ("supervised", "mixmatch", "flexmatch")},
}  # fmt: skip


def record(case: str, store: Store) -> dict[str, np.ndarray]:
    """Train one case to its end, whatever that is; return its curves and how it ended."""
    from sslcore.session import Stay

    method, settings = CASES[case]
    run_id = store.create(presets.build("digits-lesson", method, {"train.threads": 1, **settings}))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    try:
        state = Stay(store, run_id).advance(threading.Event())
    except ev.Diverged:
        state = ev.DIVERGED
    store.move(run_id, state, only_from=ev.ACTIVE)
    train, evals = store.points(run_id, ev.TRAIN, POINTS), store.points(run_id, ev.EVAL)
    found = {name: train[name].astype(np.float32) for name in ("step", *KEPT) if name in train}
    found |= {f"evals/{name}": values.astype(np.float32) for name, values in evals.items() if name != "seconds"}
    found["state"] = np.array(state)
    found["classes"] = np.array(len(store.run(run_id).summary["class_names"]))
    return found


def main() -> None:
    wanted = sys.argv[1:] or list(CASES)
    arrays: dict[str, np.ndarray] = {}
    if FILE.exists():
        with np.load(FILE) as kept:
            arrays = {name: kept[name] for name in kept.files}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for case in wanted:
            arrays = {name: values for name, values in arrays.items() if not name.startswith(f"{case}:")}
            found = record(case, store)
            arrays |= {f"{case}:{name}": values for name, values in found.items()}
            np.savez_compressed(FILE, **arrays)  # type: ignore[arg-type]
            print(case, found["state"], int(found["step"][-1]), flush=True)


if __name__ == "__main__":
    main()
