"""Checkpoints of an imported run: shown to be what this trainer would have written for this config, before anyone goes on from them.

A .pt file is a zip of plain tensors and one pickle. The pickle may name nothing but tensors' building blocks, and is
read with weights_only all the same; then every name, shape, type and range is held against a model of the run's
config that is built without memory (torch's meta device).
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sslcore import checkpoint, methods, models, optim
from sslcore import config as cfg
from sslcore.archive import MIB, TransferError
from sslcore.checkpoint import CheckpointError
from sslcore.fork import FIXED
from sslcore.incoming import SECONDS, SHA, alike, number, run_config, whole
from sslcore.rng import DEVICE_NAMES, HOST_NAMES
from sslcore.trainer import CHECKPOINT_VERSION

KEYS = {
    "version", "step", "config", "fingerprint", "threads", "split", "model", "ema", "ema_updates", "optimizer", "method",
    "stream", "generators", "seconds", "best",
}  # fmt: skip
GLOBALS = {"torch._utils _rebuild_tensor_v2", "collections OrderedDict"}
STORAGES = {
    f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Byte", "Bool")
}
# Opcodes that name or make things, beside the GLOBAL and REDUCE that torch.save writes; a checkpoint of ours has none.
FORBIDDEN = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"}
MOST_PICKLE = 64 * MIB
MOST_RECORDS = 20_000


def check(path: Path, config: cfg.RunConfig, classes: int, num_train: int) -> dict[str, Any]:
    """Return the state in a checkpoint of this run; TransferError, one sentence, unless it is whole, plain and fits."""
    _check_file(path)
    try:
        state = checkpoint.load(path)
    except CheckpointError as error:
        raise TransferError(f"{path.name} in the file is not a readable checkpoint") from error
    try:
        _check_state(path.name, state, config, classes, num_train)
    except (TransferError, MemoryError):
        raise
    except Exception as error:  # parts of another kind than expected
        told = f"{path.name} in the file is not a checkpoint of this run: {error}"
        raise TransferError(told.splitlines()[0]) from error
    return state


def _check_file(path: Path) -> None:
    """Refuse a file whose zip could unpack to more than it is, or whose pickle names anything but plain tensors."""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            plain = all(info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 for info in infos)
            size = sum(info.file_size for info in infos)
            pickles = [info for info in infos if info.filename.endswith(".pkl")]
            if file.read(4) != b"PK\x03\x04" or not plain or size > path.stat().st_size or len(infos) > MOST_RECORDS:
                raise TransferError(f"{path.name} in the file is not written as torch writes checkpoints")
            if len(pickles) != 1 or not pickles[0].filename.endswith("/data.pkl") or pickles[0].file_size > MOST_PICKLE:
                raise TransferError(f"{path.name} in the file is not one plain checkpoint")
            code = archive.read(pickles[0])
        for opcode, argument, _ in pickletools.genops(code):
            foreign = opcode.name == "GLOBAL" and argument not in GLOBALS | STORAGES
            if foreign or opcode.name in FORBIDDEN:
                raise TransferError(
                    f"{path.name} in the file holds more than tensors and plain values; it was not opened"
                )
    except TransferError:
        raise
    except Exception as error:  # zipfile and pickletools raise many kinds for a damaged file
        raise TransferError(f"{path.name} in the file is not a readable checkpoint") from error


def _check_state(name: str, state: dict[str, Any], config: cfg.RunConfig, classes: int, num_train: int) -> None:
    def demand(fits: bool, what: str) -> None:
        if not fits:
            raise TransferError(f"{name} in the file is not a checkpoint of this run: {what} doesn't fit")

    demand(set(state) - {"probe", "loss_scale"} == KEYS and state["version"] == CHECKPOINT_VERSION, "its list of parts")
    steps = config.train.steps
    whole(0, steps)(state["step"], f"the step in {name}")
    demand(name in (checkpoint.LAST, checkpoint.BEST) or name == f"step-{state['step']:09d}.pt", "its name")
    whole(0, steps)(state["ema_updates"], f"ema_updates in {name}")
    whole(1, 4096)(state["threads"], f"threads in {name}")
    SHA(state["fingerprint"], f"the fingerprint in {name}")
    SECONDS(state["seconds"], f"the seconds in {name}")
    number(-1, 1)(state["best"], f"best in {name}")

    settings = {path: value for path, _, value in cfg.walk(config)}
    for part in ("config", "probe"):  # a fork may have changed what its kept checkpoints, its parent's, still say
        own = run_config(state.get(part, state["config"]), f"the {part} in {name}")
        same = own.method.name == config.method.name and all(
            value == settings[path] for path, _, value in cfg.walk(own) if path.startswith(FIXED)
        )
        demand(same, "its config")
    demand(name != checkpoint.LAST or alike(run_config(state["config"], f"the config in {name}"), config), "its config")

    split = state["split"]
    demand(set(split) == {"labeled", "unlabeled", "val"}, "its split")
    for part in split.values():
        demand(_indices(part, num_train) and bool((part[1:] > part[:-1]).all()), "its split")
    pool = len(split["unlabeled"])

    generator = torch.Generator()
    with torch.device("meta"):
        nets = [models.build(config.model, channels, classes, generator) for channels in (1, 3)]
        method = methods.build(config.method, classes, pool)
    net = next((net for net in nets if _shapes(net.state_dict()) == _shapes(state["model"])), None)
    demand(net is not None, "the shape of its weights")
    assert net is not None
    demand(_shapes(state["ema"]) == _shapes(state["model"]), "the shape of its averaged weights")
    demand(
        all(_finite(tensor) for part in ("model", "ema") for tensor in state[part].values()),
        "the values of its weights",
    )

    demand(_shapes(method.state_dict()) == _shapes(state["method"]), "its method's state")
    for tensor in state["method"].values():  # FlexMatch's latest class of each image; as many as classes: none yet
        demand(bool(((tensor >= 0) & (tensor <= classes)).all()), "its method's state")
    _check_optimizer(state["optimizer"], optim.make_optimizer(net, config.optim), demand)

    sizes = {"order_x": len(split["labeled"])} | ({"order_u": pool} if method.unlabeled_views else {})
    demand(set(state["stream"]) == set(sizes), "its order of images")
    demand(all(_indices(state["stream"][order], size) for order, size in sizes.items()), "its order of images")
    demand(set(state["generators"]) == {*HOST_NAMES, *DEVICE_NAMES}, "its generators")
    for tensor in state.get("loss_scale", {}).values():
        demand(_plain(tensor) and tensor.shape == () and _finite(tensor), "its loss scale")
    for tensor in state["generators"].values():
        demand(
            _plain(tensor) and tensor.dtype == torch.uint8 and tensor.ndim == 1 and len(tensor) <= 10_000,
            "its generators",
        )


def _check_optimizer(state: dict[str, Any], fresh: torch.optim.Optimizer, demand: Any) -> None:
    """Moments as large as their parameters, settings plain: `fresh` has the same parameters in the same groups."""
    shapes = [parameter.shape for group in fresh.param_groups for parameter in group["params"]]
    places = fresh.state_dict()["param_groups"]
    demand(set(state) == {"state", "param_groups"}, "its optimizer")
    demand(
        [group["params"] for group in state["param_groups"]] == [group["params"] for group in places], "its optimizer"
    )
    for group in state["param_groups"]:
        settings = [value for name, value in group.items() if name != "params"]
        flat = [item for value in settings for item in (value if isinstance(value, (tuple, list)) else [value])]
        demand(len(flat) <= 100 and all(value is None or _is_number(value) for value in flat), "its optimizer")
    for index, moments in state["state"].items():
        demand(isinstance(index, int) and 0 <= index < len(shapes) and len(moments) <= 10, "its optimizer")
        for tensor in moments.values():
            fits = tensor is None or (_plain(tensor) and tensor.shape in ((), shapes[index]) and _finite(tensor))
            demand(fits, "its optimizer")


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and math.isfinite(value)


def _plain(tensor: Any) -> bool:
    return type(tensor) is Tensor and tensor.layout == torch.strided and tensor.device.type == "cpu"


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _shapes(state: Any) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Names, shapes and dtypes of a state dict; anything but a plain tensor raises TypeError."""
    for tensor in state.values():
        if not (_plain(tensor) or tensor.device.type == "meta"):
            raise TypeError("a part is not a plain tensor")
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}


def _indices(tensor: Any, size: int) -> bool:
    """Whether it is a short enough list of whole numbers from 0 to size - 1."""
    if not _plain(tensor) or tensor.dtype != torch.int64 or tensor.ndim != 1 or len(tensor) > 20_000_000:
        return False
    return not len(tensor) or (int(tensor.min()) >= 0 and int(tensor.max()) < size)
