"""Named starting points: one RunConfig each, plus what differs per method. No torch here.

A preset says what it shows, how long it takes on what, and which number to expect. Precedence: preset, then the
method's overrides, then what the person typed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sslcore import config as cfg
from sslcore import events as ev
from sslcore.config import (
    AugmentConfig,
    ConfigError,
    DataConfig,
    FixMatchConfig,
    FlexMatchConfig,
    MethodConfig,
    MixMatchConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)

# MixMatch's optimizer (arXiv:1905.02249 and its code): Adam, constant lr, decay 0.02 * lr after the step.
_MIXMATCH_ADAM = {"optim.name": "adam", "optim.lr": 0.002, "optim.weight_decay": 0.02, "optim.schedule": "constant"}


@dataclass(frozen=True)
class Preset:
    title: str
    note: str  # what it shows, how long on what, which number to expect
    config: RunConfig
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # method -> {setting: value}
    breaks: bool = False  # broken on purpose, for the Guide's gallery; listed after the others


_LESSON = Preset(
    "Digits lesson",
    "Real handwritten digits with a handful of labels, about 9 seconds per run on one CPU core. Measured on the 360 test "
    "images, seeds 0 to 9: with 40 labels FlexMatch 95.9 %, Supervised 88.8 %; with 10 labels 88.9 % and 66.0 %.",
    RunConfig(
        data=DataConfig(source="digits", labels=40),
        augment=AugmentConfig(num_ops=3, strength=1.8, cutout=0.25, fill="black"),
        model=ModelConfig(net="lesson", width=24, bn_momentum=0.05),
        method=FlexMatchConfig(),
        optim=OptimConfig(lr=0.05, weight_decay=1e-3),
        # One thread on every machine: the same numbers everywhere. A second one makes a step of a net this small a quarter
        # shorter on an idle machine, and many times longer on a busy one, where the two wait for each other.
        train=TrainConfig(steps=700, batch=24, ema_decay=0.99, ema_warmup=True, evals=14, threads=1),
    ),
    {
        "mixmatch": {**_MIXMATCH_ADAM, "method.ramp_steps": 350, "method.lambda_u": 25.0},
        "fixmatch": {"method.mu": 5, "method.threshold": 0.8},
        "flexmatch": {"method.mu": 5, "method.threshold": 0.9, "method.lambda_u": 2.0},
    },
)


def _broken(title: str, method: str, settings: Mapping[str, Any], note: str) -> Preset:
    """The digits lesson with some settings that break it, for the method that shows it best and every other that has them."""
    fits = {name: {path for path, _, _ in cfg.walk(cfg.with_method(RunConfig(), name))} for name in cfg.METHOD_NAMES}
    overrides = {
        name: {**_LESSON.overrides.get(name, {}), **{path: value for path, value in settings.items() if path in known}}
        for name, known in fits.items()
    }
    return Preset(f"Break it: {title}", note, cfg.with_method(_LESSON.config, method), overrides, breaks=True)


# Named by what they show. Each is one change to the digits lesson with 40 or 10 labels, so that the difference has one cause.
BROKEN: dict[str, Preset] = {
    "break-no-strong-view": _broken(
        "no strong augmentation", "fixmatch", {"augment.preset": "off", "data.labels": 10},
        "Both views are weak, so the target of a kept image is what the model already says: there is little to disagree about and little to "
        "learn. Look at loss_u, which stays near 0. One seed proves nothing here: with seed 0 it ended at 76 % (92 % with strong views), "
        "with seed 1 at 88 % (87 %).",
    ),
    "break-tau-zero": _broken(
        "tau = 0", "fixmatch", {"method.threshold": 0.0},
        "No threshold: every guess is a target from the first step, when most guesses are wrong. The mask rate is 100 % throughout. Look at "
        "the purity of the first steps: it begins near chance instead of near 100 %. With seed 0 the easy digits recovered from that; harder images need not.",
    ),
    "break-lambda-100": _broken(
        "lambda_u = 100", "fixmatch", {"method.lambda_u": 100.0},
        "The unlabelled loss weighs a hundred times as much as the labelled one: the model's own guesses outvote the labels. With seed 0 it ended up calling "
        "every image the same class, with full confidence. Look at mask rate and purity together, and at the labelled images' accuracy.",
    ),
    "break-one-label": _broken(
        "one label a class", "flexmatch", {"data.labels": 10},
        "Ten labelled digits, one of each. Which ten matters more than the method: start it with several seeds and compare. "
        "Look for a class that is taken for another in the confusion matrix.",
    ),
    "break-wrong-label": _broken(
        "a mislabelled seed", "flexmatch", {"data.labels": 10, "data.wrong": 1},
        "One label per class, and one of the ten is wrong on purpose. The error spreads to images that look alike: with seed 0, 73 % of the "
        "test images were right, against 93 % with all ten labels right. Look in the confusion matrix for a class that is never predicted.",
    ),
    "break-long-tail": _broken(
        "long tails that disagree", "mixmatch", {"data.labels": 20, "data.labeled_gamma": 50.0, "data.unlabeled_gamma": 0.02},
        "0 is the most frequent label, 9 the most frequent unlabelled digit. The guesses lean towards what has labels: with seeds 0, 1, 2 MixMatch "
        "ended at 70, 74, 56 %, Supervised at 73, 83, 65 %. Look at the recall of the 8s: 3, 17, 22 % where Supervised has 64, 92, 61 %.",
    ),
    "break-wrong-labels": _broken(
        "three labels in ten wrong", "mixmatch", {"data.wrong_share": 0.3},
        "Twelve of forty labels name the next digit. Images that look alike outvote most of the errors: with seeds 0, 1, 2 MixMatch ended at 72, 73, 78 %, "
        "Supervised at 62, 54, 63 %. Not everywhere: with seed 0 the recall of the 7s is 3 % where Supervised has 25. Look at the recall of each class.",
    ),
    "break-foreign": _broken(
        "foreign images in the pool", "fixmatch", {"data.labels": 9, "data.foreign_classes": 7},
        "Only 0, 1 and 2 are labelled and tested, while 70 % of the unlabelled images are other digits. With easy digits the accuracy doesn't "
        "suffer (seeds 0, 1, 2: FixMatch 91, 91, 98 %, Supervised 89, 85, 92 %), but at the end 93 to 97 % of the foreign images have a pseudo-label. "
        "Look at the curve called foreign kept: purity doesn't count these.",
    ),
    "break-mask-by-class": _broken(
        "mask by class number", "flexmatch", {"method.fault": "mask-by-class-number"},
        "The tutorial looks up the confidence by class number: all images taken for a 3 are judged by image number 3 of the batch, so a whole "
        "class is kept or dropped at once. Look at the images once the thresholds have risen: unsure ones are kept, sure ones dropped. The accuracy "
        "hides such a fault well; compare the purity.",
    ),
    "break-mask-rate": _broken(
        "a confidence called mask rate", "flexmatch", {"method.fault": "confidence-as-mask-rate"},
        "The training is right, the reporting is not: the tutorial plots the mean confidence as the mask rate. Look at the first steps, where FlexMatch "
        "keeps everything and the curve should stand at 100 %; it lies on the confidence curve instead.",
    ),
}  # fmt: skip

# What the tutorial trains each method with. Labelled images are not in its pool, and its learning rate of FixMatch is MixMatch's.
_TUTORIAL: dict[str, dict[str, Any]] = {
    "mixmatch": {**_MIXMATCH_ADAM, "method.ramp_steps": 20 * 1024, "train.steps": 20 * 1024, "train.evals": 20},
    "fixmatch": {"method.mu": 1, "optim.lr": 0.002},
    "flexmatch": {"method.mu": 1},
}


def _tutorial(title: str, method: MethodConfig, note: str) -> Preset:
    config = RunConfig(
        data=DataConfig(source="cifar10", labels=500, val=5000, include_labeled="no"),
        augment=AugmentConfig(preset="kekmodel"),
        method=method,
        train=TrainConfig(steps=2**14, evals=16),
    )
    own = {"mixmatch": "20,480 steps, 2.0 %", "fixmatch": "2^14 steps, 1.6 %", "flexmatch": "2^14 steps, 1.6 %"}[
        method.name
    ]
    rest = (
        f"{own} of the papers' 2^20; 5,000 images kept for validation, labelled images not in the pool, no warm-up of the averaged "
        "weights. The method is the paper's, not the tutorial's code. Made for a GPU."
    )
    return Preset(title, f"{note} {rest}", config, _TUTORIAL)


TUTORIAL: dict[str, Preset] = {
    "tutorial-mixmatch": _tutorial(
        "The tutorial's MixMatch", MixMatchConfig(),
        "Adam at 0.002 and lambda_u = 75 as in the paper, but rising over the whole run instead of its first 1/64. The tutorial's one run "
        "with 500 labels: 54.1 %; the paper's: 90.4 %.",
    ),
    "tutorial-fixmatch": _tutorial(
        "The tutorial's FixMatch", FixMatchConfig(),
        "SGD at 0.002, where the paper has 0.03; mu = 1, where it has 7; kekmodel's ranges of RandAugment. The tutorial's one run with 500 "
        "labels: 57.2 %; the paper's with 250: 94.9 %.",
    ),
    "tutorial-flexmatch": _tutorial(
        "The tutorial's FlexMatch", FlexMatchConfig(),
        "SGD at 0.03 as in the paper, fifteen times the rate of the tutorial's FixMatch; mu = 1, where the paper has 7; kekmodel's ranges of RandAugment. "
        "The tutorial's one run with 500 labels: 59.8 %; the paper's with 250: 95.0 %.",
    ),
}  # fmt: skip

PRESETS: dict[str, Preset] = {
    "digits-lesson": _LESSON,
    "shapes-lesson": Preset(
        "Shapes lesson",
        "Colour drawings of ten things, where colour, pattern and background can each mislead: 40 labels are few here. On "
        "one CPU core Supervised takes 11 seconds, MixMatch 34, FixMatch and FlexMatch 75.",
        RunConfig(
            data=DataConfig(source="shapes", labels=40),
            augment=AugmentConfig(cutout=0.25),
            model=ModelConfig(net="lesson", width=32, bn_momentum=0.05),
            method=FlexMatchConfig(),
            optim=OptimConfig(lr=0.03, weight_decay=1e-3),
            train=TrainConfig(steps=1200, batch=24, ema_decay=0.98, ema_warmup=True, evals=15, threads=1),
        ),
        {
            "mixmatch": {**_MIXMATCH_ADAM, "method.ramp_steps": 600},
            "fixmatch": {"method.mu": 5, "method.threshold": 0.9},
            "flexmatch": {"method.mu": 5, "method.threshold": 0.9},
        },
    ),
    "photos-lesson": Preset(
        "Photos lesson",
        "Small photographs without a GPU, CIFAR-10 or your own folder: the lesson net, 4,000 small steps, half a minute for Supervised to "
        "three for FlexMatch on one CPU core. On CIFAR-10 as JPEG with 500 labels, seeds 0 and 1: 47, 53, 51, 51 % in the order of the methods. FlexMatch goes "
        "without its warm-up: with a pool of tens of thousands, so short a run would stay in it, at thresholds near 0, to its end.",
        RunConfig(
            data=DataConfig(source="cifar10", labels=500),
            augment=AugmentConfig(strength=0.6, cutout=0.25),
            model=ModelConfig(net="lesson", width=32, bn_momentum=0.05),
            method=FlexMatchConfig(),
            optim=OptimConfig(lr=0.03, weight_decay=1e-3),
            train=TrainConfig(steps=4000, batch=24, ema_decay=0.99, ema_warmup=True, evals=10, threads=1),
        ),
        {
            "mixmatch": {**_MIXMATCH_ADAM, "method.ramp_steps": 2000, "method.lambda_u": 25.0},
            "fixmatch": {"method.mu": 5, "method.threshold": 0.8},
            "flexmatch": {"method.mu": 5, "method.threshold": 0.8, "method.threshold_warmup": False},
        },
    ),
    "smoke": Preset(
        "Smoke test",
        "Thirty small steps on the digits: shows that everything runs, not that it learns. About a second on one CPU core.",
        RunConfig(
            data=DataConfig(source="digits", labels=20),
            model=ModelConfig(net="lesson", width=8, bn_momentum=0.1),
            method=FlexMatchConfig(mu=2),
            train=TrainConfig(steps=30, batch=10, ema_decay=0.9, ema_warmup=True, evals=3, threads=1),
        ),
        {
            "mixmatch": {**_MIXMATCH_ADAM, "method.ramp_steps": 100},
            "fixmatch": {"method.mu": 2},
            "flexmatch": {"method.mu": 2},
        },
    ),
    "cifar10-tutorial": Preset(
        "CIFAR-10, the tutorial's length",
        "The papers' constants with their schedules scaled to the tutorial's 20 x 1024 steps: 2 % of the papers' 2^20. "
        "Made for a GPU; on a CPU a FlexMatch step takes many seconds.",
        RunConfig(
            data=DataConfig(source="cifar10", labels=500),
            model=ModelConfig(net="wrn", bn_momentum=0.01),
            train=TrainConfig(steps=20 * 1024, ema_warmup=True, evals=20),
        ),
        {"mixmatch": {**_MIXMATCH_ADAM, "method.ramp_steps": 20 * 1024 // 64}},
    ),
    "cifar10-paper": Preset(
        "CIFAR-10, the papers' length",
        "2^20 steps with the papers' constants. Hours on a fast GPU. Published test errors: FixMatch 5.07 % with 250 labels, "
        "FlexMatch 4.97 % with 40, MixMatch 11.08 % with 250.",
        RunConfig(data=DataConfig(source="cifar10", labels=250), train=TrainConfig(evals=1024)),
        {"mixmatch": {**_MIXMATCH_ADAM}},
    ),
    **TUTORIAL,
    **BROKEN,
}
DEFAULT = "digits-lesson"
_MADE_FOR = {"digits": DEFAULT, "shapes": "shapes-lesson"}


def lesson_for(source: str) -> str:
    """Return the preset of a lesson that was tuned for images like these: a data set's name or folder:PATH."""
    return _MADE_FOR.get(source, "photos-lesson")


def build(preset: str = DEFAULT, method: str = "", settings: Mapping[str, Any] | None = None) -> RunConfig:
    """Return a preset's config for a method with the person's dotted settings on top; ConfigError says what is wrong."""
    if preset not in PRESETS:
        raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, got {preset[:80]!r}")
    chosen, settings = PRESETS[preset], dict(settings or {})
    named = str(settings.pop("method.name", method))
    if method and named != method:
        raise ConfigError(f"method.name must be the method that was chosen, {method[:80]}, got {named[:80]!r}")
    config = cfg.with_method(chosen.config, named) if named else chosen.config
    config = cfg.replace(config, chosen.overrides.get(config.method.name, {}))
    config = cfg.replace(config, settings)
    if config.data.source.startswith("folder:"):  # written out in full: a run is resumed from other working directories
        path = os.path.abspath(os.path.expanduser(config.data.source.removeprefix("folder:")))
        config = cfg.replace(config, {"data.source": f"folder:{path}"})
    return config


# Settings that have an option of their own on the command line; the others are written --set NAME=VALUE.
OPTIONS = {
    "data.source": "--data", "data.labels": "--labels", "train.seed": "--seed", "train.steps": "--steps", "train.device": "--device"
}  # fmt: skip


def reproduce(run: ev.Run) -> str:
    """Return the command that trains with a run's settings: its preset, method, labels and seed, then only what differs.

    Parsed again it gives an equal config. Where the preset isn't known here, the default one is the start. ConfigError for
    settings of another version. `caveat` says where the numbers can still be others.
    """
    config = cfg.from_dict(run.config)
    preset = run.preset if run.preset in PRESETS else DEFAULT
    start = {name: value for name, _, value in cfg.walk(build(preset, config.method.name))}
    words = ["python", "-m", "sslcore", "train", "--preset", preset, "--method", config.method.name]
    words += ["--labels", str(config.data.labels), "--seed", str(config.train.seed)]
    sets = []
    for name, _, value in cfg.walk(config):
        if name in ("data.labels", "train.seed") or value == start[name]:
            continue
        written = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if name in OPTIONS:
            words += [OPTIONS[name], written]
        else:
            sets += ["--set", f"{name}={written}"]
    return shlex.join(words + sets)


def caveat(run: ev.Run) -> str:
    """Return in one sentence why `reproduce` may not give a run's very numbers; empty where nothing stands against it."""
    if fork := run.summary.get("fork"):
        return f"This run is a fork of {fork['run']} at step {fork['step']:,}: the command trains with its settings from step 0."
    if run.changed:
        return "Settings were changed during this run: the command trains with the last ones from step 0."
    if run.summary.get("device", "cpu") != "cpu":
        return "The same device, torch version and settings give nearly the same numbers; bit for bit only on a CPU."
    threads = run.summary.get("threads", 0)
    cores = f" with {threads} thread{'s' * (threads != 1)}" if threads else ""
    return f"It gives the same numbers bit for bit on a CPU{cores} and the same torch version."
