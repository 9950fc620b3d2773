"""How fast this machine trains: seconds per step of each method and net, and the augmentation against Pillow.

Medians over timed steps; the first ones are left out. The images are noise in the sizes of the real sets (the time of
a step doesn't depend on what is in the pictures).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sslcore import presets
from sslcore.augment.pillow_twin import pillow_normalize, pillow_strong, pillow_weak
from sslcore.augment.views import normalize, strong_view, weak_view
from sslcore.config import METHOD_NAMES, AugmentConfig, RunConfig
from sslcore.data.image_set import ImageSet
from sslcore.trainer import Trainer, choose_device, device_name, prepare_thread

PRESET_OF_NET = {"lesson": "digits-lesson", "wrn": "cifar10-tutorial"}
SHAPE_OF_NET = {"lesson": (16, 16, 1), "wrn": (32, 32, 3)}
PAPER_STEPS = 2**20
Progress = Callable[[str, int, int], None]


def run(
    device: str, net: str, method: str, steps: int, seconds: float, threads: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Time what is asked for and return one JSON-able dict; `steps` and `seconds` bound each measurement; at least 3 steps."""
    chosen = choose_device(device)
    used = prepare_thread(threads)
    nets = list(PRESET_OF_NET) if net == "all" else [net]
    names = list(METHOD_NAMES) if method == "all" else [method]
    found: dict[str, Any] = {
        "device": chosen.type, "device_name": device_name(chosen), "threads": used, "torch": str(torch.__version__), "steps": [], "augmentation": [],
    }  # fmt: skip
    for k, (one_net, name) in enumerate((a, b) for a in nets for b in names):
        if progress:
            progress("methods timed", k, len(nets) * len(names))
        found["steps"].append(_time_method(one_net, name, chosen, steps, seconds))
    for one_net in nets:
        found["augmentation"].append(_time_augmentation(one_net, chosen))
    if progress:
        progress("methods timed", len(nets) * len(names), len(nets) * len(names))
    return found


def noise(net: str, count: int = 2000, tests: int = 100) -> ImageSet:
    """Return an ImageSet of random pixels with ten classes in the size that the net's preset trains on; its tests are training images."""
    generator = torch.Generator().manual_seed(0)
    height, width, channels = SHAPE_OF_NET[net]
    images = torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % 10
    return ImageSet(
        source="noise", title="noise", train_images=images, train_labels=labels, test_images=images[:tests], test_labels=labels[:tests],
        class_names=tuple("0123456789"), mean=(0.5,) * channels, std=(0.29,) * channels, flip=channels == 3, notes=(), fingerprint="noise",
    )  # fmt: skip


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def _timed(work: Callable[[], Any], device: torch.device, steps: int, seconds: float, warm: int) -> list[float]:
    """Return the seconds of each call after `warm` untimed ones."""
    for _ in range(warm):
        work()
    _wait(device)
    times: list[float] = []
    while len(times) < 3 or (len(times) < steps and sum(times) < seconds):
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - began)
    return times


def _time_method(net: str, method: str, device: torch.device, steps: int, seconds: float) -> dict[str, Any]:
    config: RunConfig = presets.build(PRESET_OF_NET[net], method)
    trainer = Trainer(config, noise(net), device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    together = trainer.stream.round
    trainer.warm_up()
    times = [each / together for each in _timed(trainer.train_round, device, -(-steps // together), seconds, warm=0)]
    median = statistics.median(times)
    row = {
        "net": net, "method": method, "images_per_step": trainer.images_per_step, "seconds_per_step": median, "fastest": min(times),
        "slowest": max(times), "timed_steps": len(times) * together, "images_per_s": trainer.images_per_step / median,
    }  # fmt: skip
    if device.type == "cuda":
        row |= {
            "peak_memory_bytes": torch.cuda.max_memory_allocated(),
            "hours_for_2^20_steps": median * PAPER_STEPS / 3600,
        }
    return row


def _time_augmentation(net: str, device: torch.device) -> dict[str, Any]:
    """Time weak + strong + normalise of one FixMatch batch, ours on one core (or the GPU) against Pillow image by image on one core."""
    count = 448 if net == "wrn" else 128
    images = noise(net, count)
    raw, generator = images.train_images.to(device), torch.Generator(device).manual_seed(0)
    mean, std = torch.tensor(images.mean, device=device), torch.tensor(images.std, device=device)
    config = AugmentConfig()

    def ours() -> None:
        normalize(weak_view(raw, images.flip, generator), mean, std)
        normalize(strong_view(raw, images.flip, config, generator), mean, std)

    rng = np.random.default_rng(0)
    arrays = images.train_images.numpy()

    def pillow() -> None:
        for pixels in arrays:
            pillow_normalize(pillow_weak(pixels, rng, images.flip), images.mean, images.std)
            pillow_normalize(pillow_strong(pixels, rng, config, images.flip), images.mean, images.std)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        fast = statistics.median(_timed(ours, device, 20, 5.0, warm=3))
        slow = statistics.median(_timed(pillow, torch.device("cpu"), 5, 5.0, warm=1))
    finally:
        torch.set_num_threads(threads)
    return {
        "shape": list(raw.shape), "seconds": fast, "pillow_seconds": slow, "ratio": slow / fast, "images_per_s": count / fast,
        "pillow_images_per_s": count / slow,
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """Return the bench as text."""
    lines = [f"{found['device_name']}, {found['threads']} threads, torch {found['torch']}", ""]
    lines.append(f"{'net':8}{'method':12}{'images':>8}{'ms/step':>10}{'images/s':>12}{'timed':>7}")
    for row in found["steps"]:
        lines.append(
            f"{row['net']:8}{row['method']:12}{row['images_per_step']:8}{row['seconds_per_step'] * 1e3:10.1f}{row['images_per_s']:12,.0f}"
            f"{row['timed_steps']:7}"
        )
        if "peak_memory_bytes" in row:
            lines[-1] += (
                f"   {row['peak_memory_bytes'] / 2**30:.2f} GiB, {row['hours_for_2^20_steps']:.2f} h for 2^20 steps"
            )
    lines += ["", "augmentation (weak + strong + normalise), one core each"]
    for row in found["augmentation"]:
        lines.append(
            f"{'x'.join(map(str, row['shape'])):16} {row['seconds'] * 1e3:8.1f} ms, Pillow {row['pillow_seconds'] * 1e3:8.1f} ms: {row['ratio']:.1f} x"
        )
    return "\n".join(lines)
