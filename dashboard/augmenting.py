"""What the Augmentations page asks of the engine: pictures, views, single operations, MixUp and a model's opinion.

Everything goes through the functions that train. Each answer is kept by what it depends on, so a knob computes only
what it changes. Arrays are numpy and shared: nobody writes to them. No streamlit; torch only inside the functions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard import text
from dashboard.drawn_words import CUTOUT, NOISE
from sslcore.config import AugmentConfig, DataConfig
from sslcore.events import Run

if TYPE_CHECKING:
    from sslcore.augment.told import Told
    from sslcore.augment.views import StrongViews, WeakViews
    from sslcore.data import ImageSet
    from sslcore.predictor import Predictor

STALE = 60.0  # seconds after which a folder is looked at again


@dataclass(frozen=True)
class Still:
    """A picture (H, W, C) uint8 that can be the key of a cache."""

    content: bytes
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, pixels: np.ndarray) -> Still:
        return cls(pixels.tobytes(), (pixels.shape[0], pixels.shape[1], pixels.shape[2]))

    @property
    def pixels(self) -> np.ndarray:
        return np.frombuffer(self.content, np.uint8).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Views:
    """n weak and n strong views of one picture, each (n, H, W, C) uint8, and what was drawn for them."""

    weak: np.ndarray
    strong: np.ndarray
    weak_told: tuple[Told, ...]
    strong_told: tuple[Told, ...]


def sources() -> list[str]:
    """Data sets that can be shown without a download, the colourful ones first."""
    from sslcore.data import torchvision_sets

    here = [name for name in text.DATA if name not in torchvision_sets.KINDS or torchvision_sets.is_here(name)]
    return sorted(here, key=lambda name: (name != "shapes", list(text.DATA).index(name)))


def image_set(source: str, size: int) -> ImageSet:
    """Return a data set, kept while it is looked at. DataError or ConfigError, one sentence, where it can't be had."""
    now = int(time.monotonic() / STALE) if source.startswith("folder:") else 0
    return _image_set(source, size if source.startswith("folder:") else 32, now)


@lru_cache(maxsize=2)
def _image_set(source: str, size: int, now: int) -> ImageSet:
    from sslcore import data

    return data.load(DataConfig(source=source, image_size=size))


def warm_up() -> None:
    """Load the pictures that the page shows first, where they lie in the cache, and draw views of one; for a background thread."""
    from sslcore.data import cache, shapes

    if cache.has(shapes.CACHE_NAME):
        images = image_set("shapes", 32)
        views(still(images, 0), AugmentConfig(), images.flip, 8, 0)


def still(images: ImageSet, at: int) -> Still:
    """Training image number `at`."""
    return Still.of(images.train_images[at].numpy())


def seek(labels: np.ndarray, at: int, wanted: int | None, step: int) -> int:
    """Return the next position from `at` in direction `step` (+1, -1; 0: `at` counts too) of class `wanted`, None: any; round at the ends."""
    found = np.arange(len(labels)) if wanted is None else np.flatnonzero(labels == wanted)
    if not len(found):
        return at
    if step < 0:
        return int(found[(np.searchsorted(found, at, "left") - 1) % len(found)])
    return int(found[np.searchsorted(found, at, "right" if step else "left") % len(found)])


@lru_cache(maxsize=64)
def views(picture: Still, config: AugmentConfig, flip: bool, count: int, seed: int) -> Views:
    """Draw `count` weak and then `count` strong views with the augmentation generator of a seed."""
    from sslcore.augment.told import tell_strong, tell_weak
    from sslcore.augment.weak import pad_for

    weak, strong = _draw(picture, config, flip, count, seed)
    pad = pad_for(*picture.shape[:2])
    return Views(
        weak.images.numpy(), strong.images.numpy(),
        tuple(tell_weak(weak.draw, pad)), tuple(tell_strong(strong.weak, strong.draw, pad)),
    )  # fmt: skip


def _draw(picture: Still, config: AugmentConfig, flip: bool, count: int, seed: int) -> tuple[WeakViews, StrongViews]:
    import torch

    from sslcore.augment.views import strong_views, weak_views
    from sslcore.rng import Generators

    generator = Generators(seed, torch.device("cpu"))["augment"]
    batch = _batch(picture, count)
    weak = weak_views(batch, flip, generator)
    return weak, strong_views(batch, flip, config, generator)


@lru_cache(maxsize=64)
def stages(picture: Still, config: AugmentConfig, flip: bool, count: int, seed: int, which: int) -> np.ndarray:
    """Return strong view number `which` of the same draw as it comes about: (2 + N, H, W, C) uint8.

    First the weak view under it, then what it is after each of its N operations, at the end after the cut-out.
    """
    import torch

    from sslcore.augment.randaugment import StrongDraw, apply_strong
    from sslcore.augment.weak import WeakDraw, apply_weak, pad_for

    _, strong = _draw(picture, config, flip, count, seed)
    weak = apply_weak(
        _batch(picture, 1), WeakDraw(*(part[[which]] for part in strong.weak)), pad_for(*picture.shape[:2])
    )
    op, value, applied, box = (part[[which]] for part in strong.draw)
    steps = [
        apply_strong(weak, StrongDraw(op[:, :k], value[:, :k], applied[:, :k], torch.zeros_like(box)), config)
        for k in range(op.shape[1] + 1)
    ]
    steps.append(apply_strong(weak, StrongDraw(op, value, applied, box), config))
    return np.asarray(torch.cat(steps).numpy())


def _batch(picture: Still, count: int) -> Any:
    import torch

    return torch.from_numpy(picture.pixels.copy()).repeat(count, 1, 1, 1)


def preset_defaults(preset: str) -> tuple[int, float]:
    """N and p of a preset; (0, 1.0) for `off`."""
    from sslcore.augment.magnitudes import PRESETS

    found = PRESETS.get(preset)
    return (found.num_ops, found.op_prob) if found else (0, 1.0)


def operations() -> list[str]:
    """The fourteen operations, then what else can be tried."""
    from sslcore.augment.ops import OP_NAMES

    return [*OP_NAMES, CUTOUT, NOISE]


def drawn_range(op: str, config: AugmentConfig, shape: tuple[int, int, int], std: float) -> tuple[float, float] | None:
    """Return what training draws the magnitude from, sign included; None where the operation has no magnitude.

    Preset `off` draws nothing: the paper's range stands in. Cutout and noise are not drawn: from nothing to the setting,
    and to three times the tutorial's noise, `std` being the data set's pixels' in grey levels.
    """
    from sslcore.augment.magnitudes import PRESETS, Range, legal, magnitude_at
    from sslcore.augment.moves import MOVE_NAMES
    from sslcore.augment.noise import TUTORIAL_STD
    from sslcore.augment.told import PLAIN

    if op in PLAIN:
        return None
    if op == NOISE:
        return 0.0, 3 * TUTORIAL_STD * std
    if op == CUTOUT:
        return 0.0, config.cutout or 0.5
    preset = PRESETS.get(config.preset, PRESETS["paper"])
    magnitude = magnitude_at(preset, op, config.strength, *shape[:2])
    values = tuple(magnitude) if isinstance(magnitude, Range) else magnitude.values
    bounds = legal(op, *shape[:2])
    low, high = (min(max(value, bounds.low), bounds.high) for value in (min(values), max(values)))
    return (-high, high) if op in MOVE_NAMES else (low, high)


def slider_range(op: str, shape: tuple[int, int, int], std: float) -> tuple[float, float, float, float]:
    """Return (lowest, highest, start, step) of the slider: as far as the knobs can draw; it starts well off `no change`.

    Whatever the knobs say it is the same, so that turning them doesn't move the slider. Only for operations with a magnitude.
    """
    from sslcore.augment.magnitudes import PRESETS
    from sslcore.augment.ops import NO_CHANGE

    whole = op in ("Posterize", "Solarize", "Rotate", "TranslateX", "TranslateY")
    step = 1.0 if whole else {CUTOUT: 0.05, NOISE: 0.5}.get(op, 0.01)
    rest = NO_CHANGE.get(op, 0.0)
    found = [drawn_range(op, AugmentConfig(preset=name, strength=2.0, cutout=1.0), shape, std) for name in PRESETS]
    ends = [end for pair in found if pair for end in pair]
    low, high = (round(end / step) * step for end in (min(*ends, rest), max(*ends, rest)))
    papers = drawn_range(op, AugmentConfig(), shape, std) or (rest, rest)
    furthest = max(papers[::-1], key=lambda end: abs(end - rest))
    start = round((rest + 0.75 * (furthest - rest)) / step) * step
    return round(low, 4), round(high, 4), round(min(max(start, low), high), 4), step


def ladder(op: str, span: tuple[float, float], count: int = 9) -> tuple[float, ...]:
    """Return `count` magnitudes evenly over what training draws from; whole bits and pixels, so perhaps fewer."""
    values = np.linspace(*span, count)
    whole = op == "Posterize" or op.startswith("Translate")
    return tuple(float(value) for value in (np.unique(np.round(values)) if whole else values))


@lru_cache(maxsize=128)
def tried(picture: Still, op: str, values: tuple[float, ...], fill: int, seed: int) -> np.ndarray:
    """Return the picture after one operation at each of the magnitudes, (len(values), H, W, C) uint8."""
    import torch

    from sslcore.augment.noise import gaussian_noise
    from sslcore.augment.ops import OPS
    from sslcore.augment.randaugment import cut_out

    batch, value = _batch(picture, len(values)), torch.tensor(values)
    if op == NOISE:
        done = gaussian_noise(batch, value, torch.Generator().manual_seed(seed))
    elif op == CUTOUT:
        height, width, _ = picture.shape
        sides = (value * min(height, width) + 0.5).long()
        top, left = height // 2 - sides // 2, width // 2 - sides // 2
        done = cut_out(batch, torch.stack((top, left, top + sides, left + sides), dim=1), fill)
    else:
        done = OPS[op](batch, value, fill)
    return np.asarray(done.numpy())


def fill_of(config: AugmentConfig, cutout: bool = False) -> int:
    """Grey level of what comes from outside the frame, or of the cut-out."""
    from sslcore.augment.magnitudes import FILLS, PRESETS

    preset = PRESETS.get(config.preset, PRESETS["paper"])
    if config.fill is not None:
        return FILLS[config.fill]
    return preset.cutout_fill if cutout else preset.frame_fill


@lru_cache(maxsize=64)
def blended(first: Still, second: Still, shares: tuple[float, ...]) -> np.ndarray:
    """Return MixUp's pictures lam * first + (1 - lam) * second for each share, (len(shares), H, W, C) uint8."""
    import torch

    from sslcore.augment.mixup import mixup

    a, b = (_batch(picture, len(shares)).float() for picture in (first, second))
    return np.asarray(mixup(a, b, torch.tensor(shares)).round().to(torch.uint8).numpy())


@lru_cache(maxsize=32)
def beta_draws(alpha: float, count: int, seed: int) -> np.ndarray:
    """Return `count` shares (count,) as MixMatch draws them, from the MixUp generator of a seed."""
    import torch

    from sslcore.augment.mixup import draw_beta
    from sslcore.rng import Generators

    return np.asarray(draw_beta(alpha, count, Generators(seed, torch.device("cpu"))["mixup"], "cpu").numpy())


def shape_of(config: dict[str, Any]) -> tuple[int, int, int]:
    """Shape (H, W, C) of the pictures that a run's data settings give."""
    source, size = str(config.get("source", "")), int(config.get("image_size", 32))
    if source.startswith("folder:"):
        return size, size, 3
    return {"digits": (16, 16, 1), "fashion_mnist": (32, 32, 1), "stl10": (96, 96, 3)}.get(source, (32, 32, 3))


def checkpoints(folder: Path) -> list[str]:
    """Names of a run's checkpoints, the last one first, then the best, then those kept on the way."""
    fixed = [name for name in ("last.pt", "best.pt") if (folder / name).exists()]
    return fixed + sorted((path.name for path in folder.glob("step-*.pt")), reverse=True)


def askable(runs: Sequence[Run], root: Path, shape: tuple[int, ...], source: str) -> list[Run]:
    """Runs with a checkpoint that take pictures of this shape; those trained on the same data first, newest first."""
    found = [run for run in runs if shape_of(run.config.get("data", {})) == shape and checkpoints(root / run.id)]
    return sorted(found, key=lambda run: run.data != source)


def predictor(path: Path) -> Predictor:
    """Load a checkpoint's averaged weights, once for each version of the file. CheckpointError, DataError, ConfigError or OSError."""
    return _predictor(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _predictor(path: Path, version: int) -> Predictor:
    from sslcore.predictor import load

    return load(path)


@lru_cache(maxsize=256)
def _probs(model: Predictor, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    import torch

    images = torch.from_numpy(np.frombuffer(content, np.uint8).reshape(shape).copy())
    return np.asarray(model.probs(images).numpy())


def probs(model: Predictor, pictures: np.ndarray) -> np.ndarray:
    """Return the class probabilities (n, C) of pictures (n, H, W, C) uint8."""
    return _probs(model, np.ascontiguousarray(pictures).tobytes(), pictures.shape)
