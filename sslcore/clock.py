"""Numbers that change between steps, in two forms; the formulas of a step take both.

On a CPU they are plain Python numbers, which cost nothing. On a GPU they are 0-d tensors there: a captured step keeps
every plain number of the moment of its capture for ever, but reads its tensors anew each time it is replayed.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TypeVar

import torch
from torch import Tensor

Number = float | Tensor
Section = TypeVar("Section")  # a section of the config, such as FixMatchConfig


def at_most(value: Number, most: Number) -> Number:
    """Return the smaller one; a tensor is never read."""
    if isinstance(value, Tensor):
        return value.clamp(max=most)
    return min(value, most)


def cosine(angle: Number) -> Number:
    return angle.cos() if isinstance(angle, Tensor) else math.cos(angle)


def live_numbers(section: Section, device: torch.device, before: Section | None = None) -> Section:
    """Return the section with its live numbers as float32 tensors on `device`.

    `before`: what was returned earlier. Its tensors are written to and used again, so a captured step sees the change.
    """
    tensors = {}
    for spec in dataclasses.fields(section):  # type: ignore[arg-type]
        value = getattr(section, spec.name)
        if spec.metadata["live"] and isinstance(value, float):
            old = getattr(before, spec.name) if before is not None else torch.empty((), device=device)
            tensors[spec.name] = old.fill_(value)
    return dataclasses.replace(section, **tensors)  # type: ignore[type-var]


def live_words(section: object) -> tuple[object, ...]:
    """Return what else of a section may change during a run: words, which a captured step can't read anew."""
    found = [(spec.metadata["live"], getattr(section, spec.name)) for spec in dataclasses.fields(section)]  # type: ignore[arg-type]
    return tuple(value for live, value in found if live and isinstance(value, str))
