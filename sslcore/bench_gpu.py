"""How fast this GPU trains, in one command of a few minutes: `python -m sslcore bench --gpu`.

Each section stands alone: one that fails says why and the others go on; one that no longer fits into the time is left
out, and says so. Nothing is taken from a table: the ceilings are measured first, then every figure on the same card. The
work of a step is counted by watching one (floating-point operations, bytes in and out of every operation).
"""

from __future__ import annotations

import contextlib
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from sslcore import data, kernels, presets
from sslcore.augment.views import normalize, strong_view, weak_view
from sslcore.bench import noise
from sslcore.config import METHOD_NAMES, ConfigError, RunConfig, replace
from sslcore.data.image_set import ImageSet
from sslcore.evaluate import evaluate
from sslcore.precision import choose_precision
from sslcore.trainer import Trainer, device_name

BUDGET = 470.0  # seconds for everything
SECONDS = 0.6  # of each timing
LONGEST = {"at_once": 120.0, "compiled": 180.0}  # seconds that a section may take: with less left it isn't begun
PAPER_STEPS = 2**20
TUTORIAL_STEPS = 20 * 1024
EQUAL_STEPS = 50  # over which the captured step is held against the plain one
AT_ONCE = (1, 2, 4, 8)  # runs that share the GPU
# Our own kernels' operations are counted where they are started.
NO_TRAFFIC = ("aten::detach", "aten::empty", "aten::new_empty", "prim::", "profiler::", "ssllab::")
Progress = Callable[[str, int, int], None]
Row = dict[str, Any]


@dataclass
class Bench:
    """What the sections share. `settings` are laid over the preset; `seconds` are spent on each timing."""

    device: torch.device
    images: ImageSet
    settings: dict[str, Any]
    seconds: float
    found: dict[str, Any]

    def trainer(self, method: str, **settings: Any) -> Trainer:
        """Return a run of the papers' net and batch, ready but without a step."""
        typed = {name.replace("__", "."): value for name, value in settings.items()}
        config = presets.build("cifar10-tutorial", method, {**self.settings, **typed})
        return Trainer(config, self.images, self.device)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, work: Callable[[], Any], least: int = 5) -> float:
        """Return the seconds of one call: of many in a row, first to last, the device's queue empty at both ends."""
        work()
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        count = max(least, min(2000, int(self.seconds / max(time.perf_counter() - began, 1e-6))))
        rounds = []
        for _ in range(3):
            began = time.perf_counter()
            for _ in range(max(1, count // 3)):
                work()
            self.wait()
            rounds.append((time.perf_counter() - began) / max(1, count // 3))
        return statistics.median(rounds)

    def steps(self, trainer: Trainer) -> float:
        """Return the seconds of a step once it is captured."""
        with trainer.at_work(join=False):
            trainer.warm_up()
            return self.timed(trainer.train_step)


def asked(source: str | None, only: str | None, progress: Progress | None) -> dict[str, Any]:
    """Run what the command line asks for on this machine's GPU; ConfigError where there is none."""
    if not torch.cuda.is_available():
        raise ConfigError("--gpu needs a CUDA device, and torch finds none on this machine")
    names = tuple(only.split(",")) if only else ()
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise ConfigError(f"--only must name some of {', '.join(SECTIONS)}, got {unknown[0][:40]!r}")
    settings = {"data.source": source} if source else {}
    config = replace(RunConfig(), settings).data
    images = data.load(config, progress) if source else noise("wrn", 50_000, 10_000)
    return run(torch.device("cuda"), images, settings, SECONDS, names, progress)


def run(
    device: torch.device, images: ImageSet, settings: dict[str, Any], seconds: float, only: tuple[str, ...] = (),
    progress: Progress | None = None, budget: float = BUDGET,
) -> dict[str, Any]:  # fmt: skip
    """Measure all sections, or `only` those named, and return one JSON-able dict; "errors" says what could not be measured."""
    began = time.perf_counter()
    found: dict[str, Any] = {
        "device": device.type, "device_name": device_name(device), "torch": str(torch.__version__), "cuda": torch.version.cuda,
        "data": images.title, "settings": settings, "seconds": {}, "errors": {},
    }  # fmt: skip
    if device.type == "cuda":
        found |= {
            "memory_bytes": torch.cuda.get_device_properties(device).total_memory,
            "cudnn": torch.backends.cudnn.version(),
        }
    bench = Bench(device, images.to(device), settings, seconds, found)  # once, for all runs
    chosen = {name: section for name, section in SECTIONS.items() if not only or name in only}
    for k, (name, section) in enumerate(chosen.items()):
        if progress:
            progress(name, k, len(chosen))
        at = time.perf_counter()
        if at - began + LONGEST.get(name, 10.0) > budget:
            found["errors"][name] = f"left out: {max(0.0, budget - at + began):.0f} of {budget:g} seconds were left"
            continue
        try:
            found[name] = section(bench)
        except Exception as problem:  # whatever it is, the other sections are measured
            found["errors"][name] = f"{type(problem).__name__}: {problem}".splitlines()[0][:300]
        found["seconds"][name] = time.perf_counter() - at
        _free(device)
    found["kernels"] = (
        kernels.problems[0] if kernels.problems else "built" if device.type == "cuda" else "for CUDA only"
    )
    found["seconds"]["all"] = time.perf_counter() - began
    if progress:
        progress("done", len(chosen), len(chosen))
    return found


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


# -- the sections ------------------------------------------------------------------------------------------------------


def _ceilings(bench: Bench) -> Row:
    """What the card gives at most: a large bf16 matrix product, and a copy within its memory."""
    side = 8192 if bench.device.type == "cuda" else 256
    a, b = (torch.randn(side, side, device=bench.device, dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    flops = 2 * side**3 / bench.timed(lambda: torch.mm(a, b, out=out))
    source = torch.zeros(2**28 if bench.device.type == "cuda" else 2**20, device=bench.device)
    target = torch.empty_like(source)
    per_s = 2 * source.numel() * 4 / bench.timed(lambda: target.copy_(source))
    return {"bf16_flops_per_s": flops, "copy_bytes_per_s": per_s}


def _equality(bench: Bench) -> list[Row]:
    """The captured step against the same step taken as it stands: fp32, deterministic kernels, one state of the generators, 50 steps."""
    rows = []
    torch.backends.cudnn.deterministic = True
    try:
        for method in METHOD_NAMES:
            tau = {"method__threshold": 0.2} if method in ("fixmatch", "flexmatch") else {}  # so that some are kept
            eager = bench.trainer(method, train__precision="fp32", train__graph="off", **tau)
            expected = [eager.train_step()[0].loss.detach().clone() for _ in range(EQUAL_STEPS)]
            del eager
            wanted = "on" if bench.device.type == "cuda" else "auto"
            captured = bench.trainer(method, train__precision="fp32", train__graph=wanted, **tau)
            got = [captured.train_step()[0].loss.detach().clone() for _ in range(EQUAL_STEPS)]
            a, b = torch.stack(expected).double(), torch.stack(got).double()
            furthest = float(((a - b).abs() / a.abs()).max())
            rows.append({
                "method": method, "steps": EQUAL_STEPS, "largest_relative_difference": furthest, "equal": furthest <= 1e-4,
                "first_loss": float(a[0]), "last_loss": float(a[-1]),
            })  # fmt: skip
            del captured
            _free(bench.device)
    finally:
        torch.backends.cudnn.deterministic = False
    return rows


class _Bytes(TorchDispatchMode):
    """Count the bytes that go in and out of every operation but views: what a step moves where nothing is fused."""

    def __init__(self) -> None:
        super().__init__()
        self.total, self.operations = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and not func._schema.name.startswith(NO_TRAFFIC):
            self.operations += 1
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
            self.total += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return out


def _work(bench: Bench, method: str) -> Row:
    """Watch one step: its bytes, and, on PyTorch's own operations, which alone can be counted, its floating-point operations."""
    trainer = bench.trainer(method, train__graph="off")
    trainer.train_step()
    with trainer.at_work():
        trainer.stream.draw_ahead()
        with kernels.without(), FlopCounterMode(display=False) as flops:
            trainer.one_step()
        trainer.stream.draw_ahead()
        own = kernels.started = []
        try:
            with _Bytes() as moved:
                trainer.one_step()
        finally:
            kernels.started = None
    bench.wait()
    operations = moved.operations + len(own)
    return {"flops": flops.get_total_flops(), "bytes": moved.total + sum(own), "operations": operations}


def _time(bench: Bench, method: str, **settings: Any) -> Row:
    """One method's step: its seconds, the host's part of them, the memory, and how it was taken."""
    _free(bench.device)
    cuda = bench.device.type == "cuda"
    held = torch.cuda.memory_reserved() if cuda else 0  # the images, and what libraries keep for good
    trainer = bench.trainer(method, **settings)
    began = time.perf_counter()
    trainer.train_step()
    bench.wait()
    first = time.perf_counter() - began
    seconds = bench.steps(trainer)
    cpu = time.process_time()
    with trainer.at_work(join=False):
        for _ in range(20):
            trainer.train_step()
    host = (time.process_time() - cpu) / 20
    bench.wait()
    row = {
        "method": method, "precision": trainer.precision, "graph": trainer.gpu is not None and trainer.gpu.graph is not None,
        "told": trainer.gpu.told if trainer.gpu else "", "images_per_step": trainer.images_per_step, "first_step_seconds": first,
        "seconds_per_step": seconds, "host_seconds_per_step": host, "images_per_s": trainer.images_per_step / seconds,
        "hours_for_2^20_steps": seconds * PAPER_STEPS / 3600, "minutes_for_20480_steps": seconds * TUTORIAL_STEPS / 60,
    }  # fmt: skip
    if cuda:
        row["peak_memory_bytes"] = torch.cuda.max_memory_reserved() - held
    return row


def _methods(bench: Bench) -> list[Row]:
    """Every method as it trains by default, beside what the card gives at most."""
    ceilings = bench.found.get("ceilings")
    rows = []
    for method in METHOD_NAMES:
        row = _time(bench, method) | _work(bench, method)
        if ceilings:
            row["share_of_bf16_peak"] = row["flops"] / row["seconds_per_step"] / ceilings["bf16_flops_per_s"]
            row["share_of_copy_bandwidth"] = row["bytes"] / row["seconds_per_step"] / ceilings["copy_bytes_per_s"]
        rows.append(row)
    return rows


def _variants(bench: Bench) -> list[Row]:
    """FixMatch in each precision, without a graph, and without our own kernels."""
    old = choose_precision("auto", bench.device) == "fp16"  # a GPU on which a step in bf16 would take seconds
    halves = ("fp16",) if old else ("bf16", "fp16")
    found = [_time(bench, "fixmatch", train__precision=name) for name in ("fp32", *halves)]
    found.append(_time(bench, "fixmatch", train__graph="off"))
    for precision in halves:
        with kernels.without():
            found.append(_time(bench, "fixmatch", train__precision=precision) | {"kernels": False})
    return found


def _augmentation(bench: Bench) -> Row:
    """FixMatch's views alone, captured: indices, gather, weak and strong views, normalising; and the two views apart.

    `selected`: strong views without our kernel, every operation on every image.
    """
    trainer = bench.trainer("fixmatch")
    stream, images = trainer.stream, trainer.images
    raw = images.train_images[trainer.stream.unlabeled[: stream.num_u]]
    generator, augment = trainer.generators["augment"], trainer.config.augment
    parts: dict[str, Callable[[], Any]] = {
        "all": stream.next,
        "weak": lambda: normalize(weak_view(raw, images.flip, generator), stream.mean, stream.std),
        "strong": lambda: normalize(strong_view(raw, images.flip, augment, generator), stream.mean, stream.std),
    }
    parts["selected"] = parts["strong"]
    stream.draw_ahead()
    row: Row = {"images": trainer.images_per_step}
    for name, part in parts.items():

        def work(part: Callable[[], Any] = part) -> None:
            stream.row.zero_()  # always the first row, however often it is asked for
            part()

        with kernels.without() if name == "selected" else contextlib.nullcontext():
            replay = _captured(trainer, work)
        row[f"{name}_seconds"] = bench.timed(replay)
    fixmatch = [found for found in bench.found.get("methods", []) if found["method"] == "fixmatch"]
    if fixmatch:
        row["share_of_the_step"] = row["all_seconds"] / fixmatch[0]["seconds_per_step"]
    return row


def _captured(trainer: Trainer, work: Callable[[], None]) -> Callable[[], None]:
    """Return the work as a graph's replay; itself where there are no graphs."""
    if trainer.gpu is None:
        return work
    graph = torch.cuda.CUDAGraph()
    with trainer.at_work():
        for _ in range(3):
            work()
        trainer.gpu.capture(graph, work)
    return graph.replay


def _evaluation(bench: Bench) -> list[Row]:
    """The averaged model over the test images, in half and in full precision."""
    rows = []
    for precision in ("auto", "fp32"):
        trainer = bench.trainer("fixmatch", train__precision=precision)
        images, stream = trainer.images, trainer.stream
        model = trainer.evaluated(averaged=True)
        seconds = bench.timed(lambda: evaluate(model, images.test_images, images.test_labels, stream.mean, stream.std))  # noqa: B023
        count = len(images.test_labels)
        rows.append({
            "precision": trainer.precision, "images": count, "seconds": seconds, "images_per_s": count / seconds,
        })  # fmt: skip
    return rows


def _at_once(bench: Bench) -> list[Row]:
    """Several runs of a method that share the card, each with a graph and a stream of its own, one step of each in turn."""
    rows = []
    trainers: list[Trainer] = []
    for method in METHOD_NAMES:
        trainers.clear()
        _free(bench.device)
        alone = 0.0
        for count in AT_ONCE:
            try:
                while len(trainers) < count:
                    trainers.append(bench.trainer(method, train__seed=len(trainers)))
                    with trainers[-1].at_work(join=False):
                        for _ in range(8):
                            trainers[-1].train_step()
            except torch.cuda.OutOfMemoryError:
                rows.append({"method": method, "runs": count, "told": "not enough memory"})
                break

            def turn() -> None:
                for trainer in trainers:
                    with trainer.at_work(join=False):
                        trainer.train_step()

            seconds = bench.timed(turn)
            alone = alone or seconds
            rows.append({
                "method": method, "runs": count, "seconds_per_turn": seconds, "steps_per_s": count / seconds,
                "images_per_s": count * trainers[0].images_per_step / seconds, "gain": alone * count / seconds,
                "told": next((trainer.gpu.told for trainer in trainers if trainer.gpu and trainer.gpu.told), ""),
            })  # fmt: skip
    return rows


def _compiled(bench: Bench) -> list[Row]:
    """FixMatch with the net compiled; the first step holds the compiling."""
    return [_time(bench, "fixmatch", train__compile=True)]


SECTIONS: dict[str, Callable[[Bench], Any]] = {
    "ceilings": _ceilings,
    "equality": _equality,
    "methods": _methods,
    "augmentation": _augmentation,
    "variants": _variants,
    "evaluation": _evaluation,
    "at_once": _at_once,
    "compiled": _compiled,
}
