"""Checkpoints on disk: written so that a crash at any moment leaves the last whole one, read without running code in them.

`last.pt` is the newest, `best.pt` the best on validation, `step-*.pt` a thinned handful on the way (forks start there).
`meta.json`, written last, tells without torch what `last.pt` is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from sslcore.keyframes import crowded
from sslcore.store import write_atomically

KEPT = 8  # checkpoints on the way, evenly spread
LAST, BEST, META = "last.pt", "best.pt", "meta.json"


class CheckpointError(ValueError):
    """A checkpoint that can't be read; the message names the file."""


def save(folder: Path, state: dict[str, Any], name: str = LAST, meta: dict[str, Any] | None = None) -> None:
    """Write a checkpoint atomically, then its meta.json."""
    write_atomically(folder / name, lambda path: torch.save(state, path))
    if meta is not None:
        write_atomically(folder / META, lambda path: path.write_text(json.dumps(meta, indent=1)))


def last(folder: Path) -> Path:
    """Return the newest checkpoint of a run's folder; CheckpointError before there is one."""
    if not (folder / LAST).exists():
        raise CheckpointError(f"run {folder.name} has no checkpoint yet")
    return folder / LAST


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only tensors and plain values are accepted (weights_only)."""
    with open(path, "rb") as file:
        return read(file, f"checkpoint {path.name} of run {path.parent.name}")


def read(file: BinaryIO, what: str) -> dict[str, Any]:
    """The same from an open file; `what` it is called in the CheckpointError."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a truncated or foreign file
        raise CheckpointError(f"{what} can't be read: {error}".splitlines()[0]) from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{what} is not one of SSL Lab's")
    return state


def keep(folder: Path, state: dict[str, Any], step: int) -> None:
    """Keep a checkpoint on the way; of more than KEPT the most crowded go, so the rest stay evenly spread."""
    save(folder, state, f"step-{step:09d}.pt")
    kept = sorted(int(path.stem.split("-")[1]) for path in folder.glob("step-*.pt"))
    for old in crowded(kept, KEPT):
        (folder / f"step-{old:09d}.pt").unlink(missing_ok=True)


def drop_after(folder: Path, step: int) -> None:
    """Delete kept checkpoints beyond `step`: a resumed run makes them again."""
    for path in folder.glob("step-*.pt"):
        if int(path.stem.split("-")[1]) > step:
            path.unlink()


def weights_sha256(*models: nn.Module) -> str:
    """Return one hash over the names, shapes and bytes of all parameters and buffers."""
    return states_sha256(*(model.state_dict() for model in models))


def states_sha256(*states: Mapping[str, Tensor]) -> str:
    """The same from state dicts, such as a checkpoint's "model" and "ema"."""
    digest = hashlib.sha256()
    for state in states:
        for name, tensor in sorted(state.items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
