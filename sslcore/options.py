"""What may be typed on the command line, and what it asks for. No torch: --help is quick."""

from __future__ import annotations

import argparse
import dataclasses
import math
from typing import Any, NoReturn

from sslcore import config as cfg
from sslcore import presets, sweep
from sslcore.config import ConfigError, RunConfig
from sslcore.naming import clean_name
from sslcore.store import Store, default_root

LONGEST = 600  # characters of a complaint

BOARD_HELP = "also write TensorBoard event files into the run's folder (needs the package tensorboard)"


class Parser(argparse.ArgumentParser):
    """argparse whose complaint is one line, not the whole usage."""

    def error(self, message: str) -> NoReturn:
        told = clean_name(message)  # what was typed may hold line ends and a terminal's own commands
        told = told if len(told) <= LONGEST else told[:LONGEST] + " ..."
        self.exit(2, f"{self.prog}: {told}; {self.prog} --help lists what is allowed\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `command` says which was typed."""
    top = Parser(
        prog="python -m sslcore", description="Semi-supervised image classification: train, steer and read runs."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        made.add_argument(
            "--root", default=None, help="folder of the runs (default: checkpoints/ of the repository, or SSLLAB_ROOT)"
        )
        made.add_argument("--json", action="store_true", help="print one JSON value on stdout and nothing else")
        return made

    train = command("train", "train one run and print its result")
    train.add_argument("--preset", default=presets.DEFAULT, help=", ".join(presets.PRESETS))
    train.add_argument("--method", default="", help=", ".join(cfg.METHOD_NAMES))
    train.add_argument("--data", help=", ".join(cfg.DATA_SOURCES))
    for name, path in (
        ("labels", "data.labels"),
        ("seed", "train.seed"),
        ("steps", "train.steps"),
        ("device", "train.device"),
    ):
        spec = cfg.find(RunConfig(), path)
        train.add_argument(f"--{name}", help=f"{spec.metadata['help']} ({cfg.allowed(spec)})")
    train.add_argument("--name", default="", help="a name for the run")
    train.add_argument("--tensorboard", action="store_true", help=BOARD_HELP)
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting, such as optim.lr=0.05; repeatable",
    )

    for name, help in (
        ("resume", "resume a run that was paused, stopped or cut short, in this process"),
        ("evaluate", "evaluate a run's last checkpoint on the test set"),
        ("show", "show one run: settings, result, events"),
        ("delete", "delete a run that isn't active"),
        ("pause", "ask a run to save a checkpoint and free its thread"),
        ("stop", "ask a run to save a checkpoint and end"),
    ):
        command(name, help).add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    change = command("set", "change a setting of a run while it trains")
    change.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    change.add_argument("assignment", metavar="NAME=VALUE", help="such as method.threshold=0.8")
    branch = command("fork", "go on from a checkpoint of a run with changed settings, as a new run")
    branch.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    branch.add_argument(
        "--at", type=int, metavar="STEP", help="a step that has a checkpoint (default: the last before the end)"
    )
    branch.add_argument("--steps", help="steps of the fork (default: those of the run)")
    branch.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting to change, such as method.threshold=0.8; repeatable"
    )  # fmt: skip
    export = command("export", "write a run as one file: .zip to import elsewhere, .html to read")
    export.add_argument(
        "run_ids", metavar="RUN", nargs="+", help="a run's id; several for one .html that compares them"
    )
    export.add_argument("--out", required=True, metavar="FILE", help="FILE.zip: all of the run; FILE.html: a report")
    export.add_argument("--force", action="store_true", help="replace FILE if it exists")
    take = command("import", "import a run that was exported elsewhere")
    take.add_argument("file", metavar="FILE", help="a .zip that `export` wrote")
    command("runs", "list all runs, newest first")
    asked = command("predict", "ask a run's averaged weights about your own images")
    asked.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    asked.add_argument("images", metavar="IMAGE", nargs="+", help="an image file in any format that Pillow reads")
    pseudo = command("pseudo-labels", "write a run's predictions for its whole unlabelled pool as CSV")
    pseudo.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    pseudo.add_argument("--out", required=True, metavar="FILE.csv", help="columns: path, class, confidence, kept")
    for made in (asked, pseudo):
        made.add_argument(
            "--threshold", help="confidence that an answer must reach to count as sure (default: the run's method.threshold, else 0.95)"
        )  # fmt: skip
    doubtful = command("to-label", "write a CSV of the images that a person should label next")
    doubtful.add_argument("run_id", metavar="RUN", help="a run's id or a unique beginning of it")
    doubtful.add_argument("--count", default="24", help="how many images (default 24)")
    doubtful.add_argument(
        "--by", default="diverse", choices=("diverse", "confidence"), help="diverse: far from each other among the least certain (default)"
    )  # fmt: skip
    doubtful.add_argument("--out", required=True, metavar="FILE.csv", help="columns: path, guess, confidence")

    swept = command("sweep", "methods x label counts x seeds: train what is missing and print the curve")
    swept.add_argument("--preset", default=sweep.DEFAULT, help=f"{', '.join(sweep.NAMED)}, or a preset of train")
    swept.add_argument("--methods", help="such as supervised,flexmatch (default: all four)")
    swept.add_argument("--labels", help="label counts, such as 10,20,40")
    swept.add_argument("--seeds", help="such as 0,1,2 or 0-9 (default: 0)")
    for name in ("data", "steps", "device"):
        swept.add_argument(f"--{name}", help="as for train")
    swept.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting, for every run; repeatable"
    )
    swept.add_argument("--parallel", default="auto", help="runs at a time (default auto: what the machine allows)")
    swept.add_argument("--again", action="store_true", help="train failed runs again")
    swept.add_argument("--out", metavar="FILE.csv", help="write one row per run, kept up to date during the sweep")
    swept.add_argument(
        "--per-class", metavar="FILE.csv", help="write one row per class of every run, to pair methods seed by seed"
    )
    swept.add_argument("--report", metavar="FILE.html", help="write the curve and everything read off it as one page")
    swept.add_argument("--tensorboard", action="store_true", help=BOARD_HELP)

    bench = command("bench", "time every method, every net and the augmentation on this machine")
    bench.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    bench.add_argument("--net", default="all", choices=("all", "lesson", "wrn"), help="which net")
    bench.add_argument("--method", default="all", choices=("all", *cfg.METHOD_NAMES), help="which method")
    bench.add_argument(
        "--steps",
        default="30",
        help="most timed steps of each, rounded up where the views of several steps are made at once (default 30)",
    )
    bench.add_argument(
        "--seconds", default="15", help="most seconds for each, after at least 3 timed rounds (default 15)"
    )
    bench.add_argument("--threads", default="0", help="CPU threads; 0: all cores")
    bench.add_argument(
        "--gpu", action="store_true", help="measure everything about an NVIDIA GPU, in at most 8 minutes"
    )
    bench.add_argument("--only", help="with --gpu: only some of its sections, such as ceilings,methods")
    bench.add_argument("--data", help="with --gpu: images to train on (default: noise)")

    data = command("data", "list the data sources, or load one and describe it")
    data.add_argument("source", nargs="?", metavar="NAME", help=", ".join(cfg.DATA_SOURCES) + ", or a .zip of images")
    return top


def asked_store(args: argparse.Namespace) -> Store:
    """Return the store that --root names, or the default one."""
    return Store(args.root or default_root())


def number(name: str, text: str, low: float, high: float, whole: bool = False) -> float:
    """Return a number that was typed for an option; ConfigError names the option and its range."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high or (whole and not value.is_integer()):
        raise ConfigError(f"{name} must be a {'whole ' * whole}number from {low:g} to {high:,.10g}, got {text[:80]!r}")
    return value


def assignment(text: str) -> tuple[str, str]:
    """Return (name, value) of NAME=VALUE."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"a setting must be written NAME=VALUE, got {text[:80]!r}")
    return name.strip(), value


def train_config(args: argparse.Namespace) -> RunConfig:
    """Return the config that the options of `train` ask for; ConfigError says what is wrong."""
    settings: dict[str, Any] = dict(assignment(text) for text in args.set)
    settings |= {"train.tensorboard": True} if args.tensorboard else {}
    typed = {
        "data.source": args.data,
        "data.labels": args.labels,
        "train.seed": args.seed,
        "train.steps": args.steps,
        "train.device": args.device,
    }
    return presets.build(
        args.preset, args.method, settings | {path: value for path, value in typed.items() if value is not None}
    )


def sweep_plan(args: argparse.Namespace) -> sweep.Plan:
    """Return the named plan, or that of a preset, with what was typed in its place."""
    base = sweep.NAMED[args.preset].plan if args.preset in sweep.NAMED else sweep.Plan(args.preset)
    typed = {"data.source": args.data, "train.steps": args.steps, "train.device": args.device}
    settings: dict[str, Any] = dict(assignment(text) for text in args.set)
    settings |= {path: value for path, value in typed.items() if value is not None}
    settings |= {"train.tensorboard": True} if args.tensorboard else {}
    return dataclasses.replace(
        base,
        methods=tuple(args.methods.split(",")) if args.methods is not None else base.methods,
        labels=sweep.counts("labels", args.labels) if args.labels is not None else base.labels,
        seeds=sweep.counts("seeds", args.seeds) if args.seeds is not None else base.seeds,
        settings=settings,
    )
