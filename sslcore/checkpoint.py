"""Checkpoints on disk: written so that a crash at any moment leaves the last whole one, read without running code in them.

`last.pt` is the newest, `best.pt` the best on validation, `step-*.pt` a thinned handful on the way (forks start there).
`meta.json`, written last, tells without torch what `last.pt` is. torch writes a zip file with a CRC-32 of each part but
doesn't check it; here it is checked at every reading, so a flipped bit is found before it trains on.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from sslcore.files import keep_file
from sslcore.keyframes import crowded

KEPT = 8  # checkpoints on the way, evenly spread
LAST, BEST, META = "last.pt", "best.pt", "meta.json"


class CheckpointError(ValueError):
    """A checkpoint that can't be read; the message names the file."""


def save(folder: Path, state: dict[str, Any], name: str = LAST, meta: dict[str, Any] | None = None) -> None:
    """Write a checkpoint atomically, then its meta.json. StoreError if the disk is full; what was there stays."""
    keep_file(folder / name, lambda path: _dump(state, path))
    if meta is not None:
        keep_file(folder / META, lambda path: path.write_text(json.dumps(meta, indent=1)))


def _dump(state: dict[str, Any], path: Path) -> None:
    whole = io.BytesIO()  # written into a file, torch's own closing words would stand in place of "the disk is full"
    torch.save(state, whole)
    path.write_bytes(whole.getbuffer())


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
        with zipfile.ZipFile(file) as parts:
            if damaged := parts.testzip():
                raise ValueError(f"its part {damaged} is damaged")
        file.seek(0)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile and torch raise many kinds for a truncated or foreign file
        raise CheckpointError(f"{what} can't be read: {error}".splitlines()[0]) from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{what} is not one of SSL Lab's")
    return state


def newest(folder: Path) -> tuple[dict[str, Any] | None, list[Path]]:
    """Return the state of a run's newest whole checkpoint, None before the first, and the damaged files that were passed over.

    CheckpointError if there are only damaged ones.
    """
    damaged: list[Path] = []
    found: dict[str, Any] | None = None
    problem: CheckpointError | None = None
    for path in (folder / LAST, *sorted(folder.glob("step-*.pt"), reverse=True), folder / BEST):
        if found and path.name != BEST:
            continue  # the newest kept one is older than `last.pt`, and so on; the best may be newer than those
        try:
            state = load(path)
        except FileNotFoundError:
            continue
        except CheckpointError as error:
            problem = problem or error
            damaged.append(path)
            continue
        if path.name == LAST:
            return state, []
        if found is None or state["step"] > found["step"]:
            found = state
    if found is None and problem is not None:
        raise CheckpointError(
            f"{problem}; no intact one is left: restore a copy, or move the damaged ones away to begin the run again"
        )
    return found, damaged


def set_aside(path: Path) -> Path:
    """Give a damaged file another name, so that it is neither used nor overwritten; return its new place."""
    number, target = 1, path.with_name(f"{path.name}.damaged")
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{number}")
    return path.rename(target)


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
