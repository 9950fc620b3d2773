"""Checkpoints on disk: written so that a crash at any moment leaves the last whole one, read without running code in them.

`last.pt` is the newest, `best.pt` the best on validation, `step-*.pt` a thinned handful on the way (forks start there).
`meta.json`, written last, tells without torch what `last.pt` is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

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


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only tensors and plain values are accepted (weights_only)."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a truncated or foreign file
        raise CheckpointError(
            f"checkpoint {path.name} of run {path.parent.name} can't be read: {error}".splitlines()[0]
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"checkpoint {path.name} of run {path.parent.name} is not one of SSL Lab's")
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
    digest = hashlib.sha256()
    for model in models:
        for name, tensor in sorted(model.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
