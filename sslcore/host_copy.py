"""Tensors on their way from a device to the host, without waiting for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class HostCopy:
    """Copies of tensors as they are now in the order of the device's work; whoever asks for them before they are there waits.

    `values`: tensors by name, or dicts, lists and tuples of tensors and plain values, as in a checkpoint.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._event: torch.cuda.Event | None = None
        self._copies: dict[str, Any] = self._copied(dict(values))
        if self._event is not None:
            self._event.record()

    def _copied(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._copy(value.detach())
        if isinstance(value, dict):
            return {name: self._copied(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(map(self._copied, value))
        return value

    def _copy(self, tensor: Tensor) -> Tensor:
        if not tensor.is_cuda:
            return tensor.to("cpu", copy=True)
        self._event = self._event or torch.cuda.Event(blocking=True)
        return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)

    def ready(self) -> bool:
        return self._event is None or self._event.query()

    def get(self) -> dict[str, Any]:
        """Return the copies, on the CPU, in the shape in which `values` came."""
        if self._event is not None:
            self._event.synchronize()
        return self._copies
