"""One seed -> named generators. Every random number of a run comes from one of these, and all are checkpointed."""

from __future__ import annotations

import hashlib

import torch

from sslcore.config import ConfigError

# On the CPU, so that the split and the first weights are the same on every device.
HOST_NAMES = ("split", "init")
# On the training device. `probe` draws the fixed views of the keyframes' probe images.
DEVICE_NAMES = ("order", "augment", "mixup", "probe")


class Generators:
    """The named generators of one run: `generators["augment"]`."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._named = {
            name: torch.Generator("cpu" if name in HOST_NAMES else device) for name in HOST_NAMES + DEVICE_NAMES
        }
        for name, generator in self._named.items():
            # A hash, not seed + k: neighbouring seeds must not share a stream under another name.
            digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
            generator.manual_seed(int.from_bytes(digest[:8], "little") >> 1)

    def __getitem__(self, name: str) -> torch.Generator:
        return self._named[name]

    def renew(self, name: str, state: torch.Tensor) -> None:
        """Put a new generator in a state in the place of one that can't be used any more."""
        self._named[name] = torch.Generator(self._named[name].device)
        self._named[name].set_state(state)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {name: generator.get_state() for name, generator in self._named.items()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from `state_dict`; ConfigError for the state of another kind of device, which can't go on here."""
        for name, generator in self._named.items():
            if len(state[name]) != len(generator.get_state()):
                raise ConfigError(
                    f"train.device must be the kind of device that this run began on: "
                    f"its random numbers can't be continued on {generator.device.type} (evaluating works on any device)"
                )
            generator.set_state(state[name].cpu())
