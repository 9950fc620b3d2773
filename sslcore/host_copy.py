"""Tensors on their way from a device to the host, without waiting for them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class HostCopy:
    """Copies of tensors as they are now in the order of the device's work; whoever asks for them before they are there waits."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._event: torch.cuda.Event | None = None
        self._copies: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            tensor = tensor.detach()
            if tensor.is_cuda:
                pinned = torch.empty_like(tensor, device="cpu", pin_memory=True)
                self._copies[name] = pinned.copy_(tensor, non_blocking=True)
                self._event = self._event or torch.cuda.Event(blocking=True)
            else:
                self._copies[name] = tensor.to("cpu", copy=True)
        if self._event is not None:
            self._event.record()

    def ready(self) -> bool:
        return self._event is None or self._event.query()

    def tensors(self) -> dict[str, Tensor]:
        """Return the copies by name, on the CPU."""
        if self._event is not None:
            self._event.synchronize()
        return self._copies
