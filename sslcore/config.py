"""Every setting of a run, once: default, range, unit and one line of help.

The command line, the validation and the dashboard's sliders all read the same field. Sections are frozen dataclasses
inside one frozen `RunConfig`; defaults are the papers' CIFAR-10 constants (MixMatch arXiv:1905.02249, FixMatch
arXiv:2001.07685, FlexMatch arXiv:2110.08263). Unknown settings, wrong types and values out of range raise `ConfigError`
with one sentence that names the setting, the value and what is allowed. No torch here: a run can be planned, listed
and read without it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sslcore.settings import ConfigError, field_type, setting, short
from sslcore.settings import about as about
from sslcore.settings import allowed as allowed
from sslcore.settings import check as check
from sslcore.settings import parse as parse

METHOD_NAMES = ("supervised", "mixmatch", "fixmatch", "flexmatch")
MOST_BY_HAND = 2000  # images that a person labels by clicking
DATA_SOURCES = ("digits", "shapes", "cifar10", "cifar100", "svhn", "stl10", "fashion_mnist", "folder:PATH")


@dataclass(frozen=True)
class DataConfig:
    source: str = setting(
        "digits", "data set: digits, shapes, one of the downloaded sets, or folder:PATH for your own images"
    )
    labels: int = setting(40, "labelled images, spread evenly over the classes", low=2, high=10_000_000, unit="images")
    wrong: int = setting(
        0, "labelled images that are given a wrong class on purpose", low=0, high=10_000_000, unit="images"
    )
    pick: str = setting(
        "random",
        "which images of each class are labelled; typical, outliers: nearest to or farthest from the mean of their class",
        choices=("random", "typical", "outliers", "by-hand"),
    )
    hand: str = setting("", "numbers of the training images labelled by hand, such as 3,17,204; for data.pick by-hand")
    wrong_share: float = setting(
        0.0, "share of the labelled images that are given a wrong class on purpose", low=0.0, high=1.0
    )
    labeled_gamma: float = setting(
        1.0,
        "long tail of the labelled images: ratio of the first class to the last; below 1 the last class is the largest; 1: even",
        low=0.001,
        high=1000.0,
    )
    unlabeled_gamma: float = setting(
        1.0,
        "long tail of the unlabelled images, by hidden class: ratio of the first to the last; 1: as they come",
        low=0.001,
        high=1000.0,
    )
    foreign_classes: int = setting(
        0,
        "how many of the last classes are foreign: neither labelled nor tested, but their images stay in the unlabelled pool",
        low=0,
        high=9998,
        unit="classes",
    )
    foreign_share: float | None = setting(
        None, "share of the unlabelled pool that is foreign images; empty: all of them are in it", low=0.0, high=0.99
    )
    val: int = setting(0, "images set aside for validation before anything else", low=0, high=10_000_000, unit="images")
    include_labeled: str = setting(
        "auto",
        "put the labelled images in the unlabelled pool too; auto: as in the method's paper",
        choices=("auto", "yes", "no"),
    )
    image_size: int = setting(32, "side length to which a folder's images are resized", low=8, high=256, unit="pixels")
    flip: str = setting(
        "auto",
        "mirror images left-right as weak augmentation; auto: where it keeps the class",
        choices=("auto", "on", "off"),
    )
    test_share: float = setting(0.2, "share held out for testing where a folder has no test part", low=0.05, high=0.9)


@dataclass(frozen=True)
class AugmentConfig:
    preset: str = setting(
        "paper",
        "magnitudes of the strong view: the paper's table, one of two public codes, or none",
        choices=("paper", "google", "kekmodel", "off"),
    )
    num_ops: int | None = setting(None, "RandAugment operations per view (N); empty: the preset's", low=0, high=8)
    op_prob: float | None = setting(
        None, "chance that a drawn operation is applied (p); empty: the preset's", low=0.0, high=1.0
    )
    strength: float = setting(1.0, "magnitudes as a multiple of the preset's range", low=0.0, high=2.0)
    cutout: float = setting(0.5, "side of the cut-out square as a share of the image's side", low=0.0, high=1.0)
    fill: str | None = setting(
        None, "colour of cut-out and out-of-frame pixels; empty: the preset's", choices=("grey", "black")
    )


@dataclass(frozen=True)
class ModelConfig:
    net: str = setting(
        "wrn", "wrn: WideResNet of the papers; lesson: a small fast net for CPU lessons", choices=("wrn", "lesson")
    )
    depth: int = setting(28, "layers of the WideResNet, 6 n + 4", low=10, high=100)
    widen_factor: int = setting(2, "width of the WideResNet as a multiple of 16, 32, 64 channels", low=1, high=20)
    width: int = setting(32, "channels of the lesson net's first layer", low=8, high=256)
    bn_momentum: float = setting(
        0.001, "share of the new batch in BatchNorm's running statistics", low=0.0, above=True, high=1.0
    )


@dataclass(frozen=True)
class OptimConfig:
    name: str = setting(
        "sgd", "sgd: Nesterov momentum; adam: MixMatch's, with decoupled decay", choices=("sgd", "adam")
    )
    lr: float = setting(0.03, "learning rate at the start", low=0.0, above=True, high=10.0, unit="per step", live=True)
    momentum: float = setting(0.9, "momentum of sgd", low=0.0, high=0.999)
    weight_decay: float = setting(
        5e-4,
        "decay of the convolution and linear weights; with adam a multiple of lr, applied after the step",
        low=0.0,
        high=1.0,
    )
    schedule: str = setting("cosine", "cosine: lr * cos(7 pi k / 16 K); constant", choices=("cosine", "constant"))


@dataclass(frozen=True)
class TrainConfig:
    steps: int = setting(1_048_576, "optimizer steps", low=1, high=100_000_000, unit="steps")
    batch: int = setting(64, "labelled images per step (B)", low=1, high=4096, unit="images")
    seed: int = setting(
        0, "one number behind the split, the order, the augmentation and the initial weights", low=0, high=2**31 - 1
    )
    ema_decay: float = setting(0.999, "weight of the old value in the averaged weights", low=0.0, high=1.0)
    ema_warmup: bool = setting(False, "average over fewer steps at first: decay = min(ema_decay, (1 + t) / (10 + t))")
    evals: int = setting(64, "evaluations in the whole run, evenly spaced, the last one at its end", low=1, high=10_000)
    device: str = setting("auto", "auto takes the GPU if there is one", choices=("auto", "cpu", "cuda", "mps"))
    threads: int = setting(0, "CPU threads of the trainer; 0: all cores", low=0, high=1024)
    tensorboard: bool = setting(False, "also write TensorBoard event files into the run's folder", numbers=False)
    precision: str = setting(
        "auto",
        "number format of the convolutions; auto: bf16 on a GPU, fp16 on one older than bf16, fp32 elsewhere",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    graph: str = setting(
        "auto", "one CUDA graph per step; auto: on a GPU, where it can be captured", choices=("auto", "on", "off")
    )
    compile: bool = setting(
        False,
        "compile the net with torch.compile: takes half a minute before the first step, needs a C compiler on this machine, and "
        "gains next to nothing for WRN-28-2 on a GPU, where this program has kernels of its own",
    )


@dataclass(frozen=True)
class SupervisedConfig:
    name: str = setting("supervised", "method", choices=("supervised",))


@dataclass(frozen=True)
class MixMatchConfig:
    name: str = setting("mixmatch", "method", choices=("mixmatch",))
    mu: int = setting(1, "unlabelled images per labelled one; MixMatch's interleaving needs 1", low=1, high=1)
    views: int = setting(2, "weak views averaged into the guess (K)", low=1, high=8)
    temperature: float = setting(0.5, "sharpening temperature (T)", low=0.0, above=True, high=10.0, live=True)
    alpha: float = setting(0.75, "MixUp draws lambda from Beta(alpha, alpha)", low=0.0, above=True, high=100.0)
    lambda_u: float = setting(75.0, "weight of loss_u after the ramp", low=0.0, high=10_000.0, live=True)
    ramp_steps: int = setting(
        16_384, "steps over which lambda_u rises linearly from 0", low=0, high=100_000_000, unit="steps"
    )


@dataclass(frozen=True)
class FixMatchConfig:
    name: str = setting("fixmatch", "method", choices=("fixmatch",))
    mu: int = setting(7, "unlabelled images per labelled one", low=1, high=64)
    threshold: float = setting(0.95, "confidence a pseudo-label needs to be kept (tau)", low=0.0, high=1.0, live=True)
    lambda_u: float = setting(1.0, "weight of loss_u", low=0.0, high=10_000.0, live=True)


@dataclass(frozen=True)
class FlexMatchConfig:
    name: str = setting("flexmatch", "method", choices=("flexmatch",))
    mu: int = setting(7, "unlabelled images per labelled one", low=1, high=64)
    threshold: float = setting(
        0.95, "fixed confidence that a guess must reach to be recorded (tau)", low=0.0, high=1.0, live=True
    )
    lambda_u: float = setting(1.0, "weight of loss_u", low=0.0, high=10_000.0, live=True)
    mapping: str = setting(
        "convex", "from learning status to threshold", choices=("convex", "linear", "concave"), live=True
    )
    threshold_warmup: bool = setting(True, "count the images without a confident class yet as one more class")
    fault: str = setting(
        "none",
        "one of the tutorial's faults, on purpose, to show it",
        choices=("none", "mask-by-class-number", "confidence-as-mask-rate"),
    )


MethodConfig = SupervisedConfig | MixMatchConfig | FixMatchConfig | FlexMatchConfig
METHOD_CONFIGS: dict[str, type[MethodConfig]] = {
    "supervised": SupervisedConfig,
    "mixmatch": MixMatchConfig,
    "fixmatch": FixMatchConfig,
    "flexmatch": FlexMatchConfig,
}


@dataclass(frozen=True)
class RunConfig:
    """All that decides a run's numbers, with the device and the thread count."""

    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    method: MethodConfig = field(default_factory=FlexMatchConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        for path, spec, value in walk(self):
            check(path, spec, value)
        source = self.data.source
        if source not in DATA_SOURCES[:-1] and not (source.startswith("folder:") and len(source) > len("folder:")):
            raise ConfigError(f"data.source must be one of {', '.join(DATA_SOURCES)}, got {source!r}")
        if self.data.wrong > self.data.labels:
            raise ConfigError(f"data.wrong must be at most data.labels ({self.data.labels:,}), got {self.data.wrong:,}")
        hand = hand_picked(self.data)
        if (self.data.pick == "by-hand") != bool(hand):
            wanted = "name the labelled images" if not hand else "be empty"
            raise ConfigError(f"data.hand must {wanted} with data.pick {self.data.pick}, got {short(self.data.hand)}")
        if hand and self.data.labels > len(hand):
            raise ConfigError(
                f"data.labels must be at most {len(hand):,}, as many as data.hand names, got {self.data.labels:,}"
            )
        if self.data.wrong and self.data.wrong_share:
            raise ConfigError(
                f"data.wrong and data.wrong_share say the same, as a count and as a share: one of them must be 0, got {self.data.wrong:,} "
                f"and {self.data.wrong_share:g}"
            )
        if self.data.foreign_share is not None and not self.data.foreign_classes:
            raise ConfigError(
                f"data.foreign_share must be empty unless data.foreign_classes is 1 or more, got {self.data.foreign_share:g}"
            )
        small = source.startswith("folder:") and self.data.image_size < 16
        if self.model.net == "lesson" and small and self.train.batch < 2:
            raise ConfigError(
                f"train.batch must be 2 or more with model.net lesson and data.image_size below 16 ({self.data.image_size}): "
                f"its BatchNorm would see a single pixel, got {self.train.batch}"
            )
        if self.model.net == "wrn" and (self.model.depth - 4) % 6:
            raise ConfigError(f"model.depth must be 6 n + 4 (10, 16, 22, 28, ...), got {self.model.depth}")


def hand_picked(data: DataConfig) -> tuple[int, ...]:
    """Return the numbers in `data.hand`, in their order; ConfigError for anything but different whole numbers."""
    words = [word.strip() for word in data.hand.split(",")] if data.hand.strip() else []
    wrong = next((word for word in words if not (word.isascii() and word.isdecimal() and len(word) < 10)), None)
    if wrong is not None or len(words) > MOST_BY_HAND:
        got = short(wrong) if wrong is not None else f"{len(words):,}"
        raise ConfigError(f"data.hand must be at most {MOST_BY_HAND:,} whole numbers such as 3,17,204, got {got}")
    numbers = tuple(map(int, words))
    twice = [number for number, times in Counter(numbers).items() if times > 1]
    if twice:
        raise ConfigError(f"data.hand must name each image once, got {twice[0]} more than once")
    return numbers


SECTIONS = tuple(f.name for f in fields(RunConfig))


def walk(config: RunConfig) -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Yield (dotted name, field, value) of every setting, in the order in which they stand above."""
    for section in SECTIONS:
        part = getattr(config, section)
        for spec in fields(part):
            yield f"{section}.{spec.name}", spec, getattr(part, spec.name)


def find(config: RunConfig, path: str) -> dataclasses.Field[Any]:
    """Return the field behind a dotted name such as `optim.lr`; ConfigError lists the known ones."""
    known = {name: spec for name, spec, _ in walk(config)}
    if path not in known:
        section = path.split(".")[0]
        names = [name for name in known if name.startswith(section + ".")] or list(SECTIONS)
        raise ConfigError(f"unknown setting {short(path)}; known: {', '.join(names)}")
    return known[path]


def get(config: RunConfig, path: str) -> Any:
    """Return the value behind a dotted name; ConfigError lists the known ones."""
    find(config, path)
    section, name = path.split(".", 1)
    return getattr(getattr(config, section), name)


def replace(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """Return the config with dotted settings changed; strings are parsed. `method.name` swaps the method's section first."""
    changes = dict(changes)
    if "method.name" in changes:
        config = with_method(config, str(changes.pop("method.name")))
    parts = {section: getattr(config, section) for section in SECTIONS}
    for path, value in changes.items():
        spec = find(config, path)
        if isinstance(value, str):
            value = parse(path, spec, value)
        check(path, spec, value)
        if field_type(spec)[0] is float and isinstance(value, int):
            value = float(value)
        section, name = path.split(".", 1)
        parts[section] = dataclasses.replace(parts[section], **{name: value})
    return RunConfig(**parts)


def with_method(config: RunConfig, name: str) -> RunConfig:
    """Return the config with another method's default section."""
    if name not in METHOD_CONFIGS:
        raise ConfigError(f"method must be one of {', '.join(METHOD_NAMES)}, got {short(name)}")
    return dataclasses.replace(config, method=METHOD_CONFIGS[name]())


def to_dict(config: RunConfig) -> dict[str, dict[str, Any]]:
    return dataclasses.asdict(config)


def from_dict(raw: Any) -> RunConfig:
    """Build a config from nested dicts, strictly: unknown sections, settings, types and ranges raise ConfigError."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"a config must be an object with the sections {', '.join(SECTIONS)}, got {short(raw)}")
    _refuse_unknown("section", raw, SECTIONS)
    parts: dict[str, Any] = {}
    for spec in fields(RunConfig):
        section = raw.get(spec.name, {})
        if not isinstance(section, Mapping):
            raise ConfigError(f"{spec.name} must be an object of settings, got {short(section)}")
        kind: Any
        if spec.name == "method":
            name = section.get("name", "flexmatch")
            if not isinstance(name, str) or name not in METHOD_CONFIGS:
                raise ConfigError(f"method.name must be one of {', '.join(METHOD_NAMES)}, got {short(name)}")
            kind = METHOD_CONFIGS[name]
        else:
            kind = spec.default_factory
        known = {f.name: f for f in fields(kind)}
        _refuse_unknown(f"setting in {spec.name}", section, tuple(known))
        values = dict(section)
        for name, value in values.items():
            check(f"{spec.name}.{name}", known[name], value)
            if field_type(known[name])[0] is float and isinstance(value, int):
                values[name] = float(value)
        parts[spec.name] = kind(**values)
    return RunConfig(**parts)


def _refuse_unknown(what: str, raw: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(str(key) for key in raw if key not in known)
    if unknown:
        raise ConfigError(f"unknown {what}: {short(', '.join(unknown))}; known: {', '.join(known)}")


def include_labeled(config: RunConfig) -> bool:
    """Whether labelled images are also unlabelled ones: on for FixMatch and FlexMatch, off for MixMatch, as in the papers."""
    choice = config.data.include_labeled
    return config.method.name in ("fixmatch", "flexmatch") if choice == "auto" else choice == "yes"


def num_wrong(config: RunConfig) -> int:
    """How many labelled images are given a wrong class."""
    return config.data.wrong or round(config.data.wrong_share * config.data.labels)
