"""How the net computes: in float32, or its convolutions in a half-precision format.

Only the net's features are ever made in half precision. Its last layer, softmax, thresholds and losses, the weights that
the optimizer moves, their moments and their average are float32 always. float32 means float32: TF32 is switched off.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sslcore.config import ConfigError

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# What a device can do, the default first.
OF_DEVICE = {"cpu": ("fp32", "bf16"), "cuda": ("bf16", "fp32", "fp16"), "mps": ("fp32",)}
# What torch.compile calls: the variable that names it, else the first of these that is there. C for a GPU, C++ otherwise.
COMPILERS = {"cuda": ("CC", "gcc", "clang", "cc", "cl"), "cpu": ("CXX", "g++", "clang++", "c++", "cl")}
# Nets compiled side by side in one process, a race's or a sweep's: beyond it torch would no longer compile, and not say so.
MOST_NETS = 256


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return the precision of a setting on a device; ConfigError if the device can't.

    `auto`: bf16 on a GPU, fp16 on one older than bf16 (a T4, a V100), for which torch has none but slow convolutions in it; else fp32.
    """
    possible = OF_DEVICE[device.type]
    if wanted not in ("auto", *possible):
        raise ConfigError(f"train.precision must be auto, {' or '.join(possible)} on {device.type}, got {wanted!r}")
    if wanted != "auto":
        return wanted
    old = device.type == "cuda" and torch.cuda.is_available() and torch.cuda.get_device_capability(device) < (8, 0)
    return "fp16" if old else possible[0]


def check_compiler(device: torch.device) -> None:
    """Raise ConfigError where torch.compile would find no compiler."""
    variable, *names = COMPILERS["cuda" if device.type == "cuda" else "cpu"]
    named = os.environ.get(variable)
    if not any(shutil.which(name) for name in ([named] if named else names)):
        here = f"{variable} names {named!r}, which isn't there" if named else "this machine has none"
        raise ConfigError(
            f"train.compile yes needs a compiler ({', '.join(names)}, or another named by {variable}), and {here}; leave it off"
        )


class HalfNet(nn.Module):
    """A net whose features are computed in half precision, or compiled, around the same weights: images -> float32 logits."""

    def __init__(self, model: nn.Module, precision: str, compiled: bool = False) -> None:
        super().__init__()
        self.model, self.dtype = model, FORMATS[precision]
        features: Callable[[Tensor], Tensor] = model.features  # type: ignore[assignment]
        self.features = _compiled(features) if compiled else features
        self.head: nn.Module = model.head  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        # No cache of the cast weights: a captured step must cast them anew each time it is replayed.
        mixed = self.dtype != torch.float32
        with torch.autocast(x.device.type, self.dtype, enabled=mixed, cache_enabled=False):
            features = self.features(x.to(self.dtype))
        logits: Tensor = self.head(features.float())
        return logits


def wrapped(model: nn.Module, precision: str, compiled: bool = False) -> nn.Module:
    """Return what computes the model's logits in a precision: itself for fp32."""
    if precision == "fp32" and not compiled:
        return model
    return HalfNet(model, precision, compiled).train(model.training)


def _compiled(features: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return the same, compiled when it is first called, which takes half a minute; ConfigError if that fails."""
    from torch._dynamo import config as dynamo
    from torch._dynamo.exc import TorchDynamoException

    dynamo.recompile_limit = dynamo.accumulated_recompile_limit = MOST_NETS
    made = torch.compile(features, dynamic=False)

    def call(x: Tensor) -> Tensor:
        try:
            return made(x)
        except TorchDynamoException as problem:
            why = next((line.strip() for line in str(problem).splitlines() if line.strip()), type(problem).__name__)
            raise ConfigError(f"train.compile can't be yes here: {why[:300]}") from problem

    return call


class LossScale:
    """The factor that keeps fp16's gradients from vanishing: halved when one overflows, doubled after 2,000 good steps.

    It lives on the device, and the fused optimizers leave out a step whose gradients overflowed, without a look at it.
    """

    EVERY = 2000

    def __init__(self, device: torch.device) -> None:
        self.scale = torch.full((), 2.0**16, device=device)
        self.good = torch.zeros((), dtype=torch.int32, device=device)  # steps since the last change
        self.one = torch.ones((), device=device)

    def guard(self, optimizer: torch.optim.Optimizer) -> None:
        """Tell a fused optimizer by what to divide the gradients, and whether any of them overflowed."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        overflowed = torch.zeros_like(self.scale)
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, overflowed, self.one)
        optimizer.grad_scale, optimizer.found_inf = self.scale.clone(), overflowed  # type: ignore[attr-defined]
        torch._amp_update_scale_(self.scale, self.good, overflowed, 2.0, 0.5, self.EVERY)

    def state_dict(self) -> dict[str, Tensor]:
        return {"scale": self.scale, "good": self.good}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.scale.copy_(state["scale"])
        self.good.copy_(state["good"])
