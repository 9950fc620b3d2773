"""The methods, one file each. To add one: its file, its config section, one line here."""

from __future__ import annotations

from sslcore.config import FlexMatchConfig, MethodConfig
from sslcore.methods.faults import FAULTS
from sslcore.methods.fixmatch import FixMatch
from sslcore.methods.flexmatch import FlexMatch
from sslcore.methods.mixmatch import MixMatch
from sslcore.methods.supervised import Supervised

Method = Supervised | MixMatch | FixMatch | FlexMatch
METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "mixmatch": MixMatch,
    "fixmatch": FixMatch,
    "flexmatch": FlexMatch,
}


def build(config: MethodConfig, num_classes: int, num_unlabeled: int) -> Method:
    """Return the method of a config; `num_unlabeled` is the size of the unlabelled pool."""
    if isinstance(config, FlexMatchConfig):
        return FAULTS[config.fault](config, num_classes, num_unlabeled)
    return METHODS[config.name](config, num_classes, num_unlabeled)  # type: ignore[arg-type]
