"""What the command line prints: progress on stderr, results and tables on stdout. No torch here."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sslcore import config as cfg
from sslcore import events as ev
from sslcore import sweep
from sslcore.lab import Lab
from sslcore.naming import clean_name
from sslcore.store import StoreError
from sslcore.sweep import Cell

if TYPE_CHECKING:
    from sslcore.data.image_set import ImageSet

POLL = 0.1  # seconds between two looks at the run


def result(run: ev.Run) -> dict[str, Any]:
    """Return what other tools read of a run; accuracies are fractions, None while there are none."""
    summary = run.summary
    return {
        "run_id": run.id, "status": run.state, "method": run.method, "data": run.data, "labels": run.labels, "seed": run.seed,
        "step": run.step, "steps": run.steps, "seconds": run.seconds, "seconds_per_step": run.seconds / run.step if run.step else None,
        "images_per_s": run.step * summary.get("images_per_step", 0) / run.seconds if run.seconds else None,
        "test_accuracy": summary.get("test_accuracy"), "test_accuracy_raw": summary.get("test_accuracy_raw"),
        "test_balanced_accuracy": summary.get("test_balanced_accuracy"),
        "best_val_accuracy": summary.get("best_val_accuracy"), "weights_sha256": summary.get("weights_sha256"),
        "device": summary.get("device"), "threads": summary.get("threads"), "preset": run.preset, "changed": run.changed,
    }  # fmt: skip


def put(value: Any, args: argparse.Namespace, text: str) -> None:
    """Print a command's result: with --json the value and nothing else, else the text."""
    print(json.dumps(value) if args.json else text)


def bad_usage(message: str) -> int:
    """Tell in one line what was asked for in vain; return the exit status."""
    print("error: " + clean_name(message), file=sys.stderr)
    return 2


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def sentence(run: ev.Run) -> str:
    """Say how a run ended, with all that an accuracy must be quoted with."""
    accuracy = run.summary.get("test_accuracy")
    tail = (
        f"test accuracy {percent(accuracy)} (averaged weights), {percent(run.summary.get('test_accuracy_raw'))} (raw); "
        if accuracy is not None
        else ""
    )
    took = run.summary.get("compile_seconds")
    compiled = "" if took is None else f" (the first step took {took:.1f} s, compiling included)"
    where = f"{run.method} on {run.summary.get('title', run.data)}, {run.labels} labels, seed {run.seed}"
    return f"{run.id} {run.state} at step {run.step:,} of {run.steps:,} after {run.seconds:.1f} s of training{compiled}: {tail}{where}"


def follow(lab: Lab, run_id: str, quiet: bool) -> ev.Run:
    """Wait until the run rests, with a bar where a person looks; Ctrl-C stops the run with a checkpoint.

    A step can take a minute: a second Ctrl-C doesn't wait for it, and the last checkpoint counts.
    StoreError if the store can no longer be written: the run is found interrupted later.
    """
    bar, asked = _Bar(quiet), False
    while True:
        try:
            if lab.trouble:
                bar.close()
                raise StoreError(lab.trouble)
            run = lab.store.run(run_id)
            bar.show(run)
            # Queued here, or at work: go on waiting. Queued in another, living process: not ours to wait for, but we follow it.
            if run.state not in (ev.QUEUED, *ev.ACTIVE):
                bar.close()
                return run
            time.sleep(POLL)
        except KeyboardInterrupt:
            if asked:
                bar.close()
                lab.close()
                return lab.store.run(run_id)
            asked = True
            lab.stop(run_id)
            bar.say("stopping after the step in hand; Ctrl-C again leaves now, with the last checkpoint")


class _Bar:
    """tqdm where it is installed, else one line that is written over; nothing unless stderr is a terminal."""

    def __init__(self, quiet: bool) -> None:
        self.on = sys.stderr.isatty() and not quiet
        self.bar: Any = None
        self.width = 0

    def show(self, run: ev.Run) -> None:
        if not self.on:
            return
        if self.bar is None:
            try:
                from tqdm import tqdm

                self.bar = tqdm(total=run.steps, initial=run.step, unit="step", desc=run.id)
            except ImportError:
                self.bar = False
        accuracy = percent(run.summary.get("test_accuracy"))
        if self.bar:
            self.bar.set_postfix_str(f"{run.state}, test {accuracy}", refresh=False)
            self.bar.update(run.step - self.bar.n)
        else:
            text = f"{run.id} {run.state} {run.step}/{run.steps}, test {accuracy}"
            print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
            self.width = len(text)

    def say(self, words: str) -> None:
        """Write a line above the bar, where there is one."""
        if self.on and self.bar:
            self.bar.write(words, file=sys.stderr)
        elif self.on:
            print("\n" + words, file=sys.stderr)

    def close(self) -> None:
        if self.bar:
            self.bar.close()
        elif self.bar is False:
            print(file=sys.stderr)


class SweepLine:
    """One line on the terminal about a sweep: done, at work, time left."""

    def __init__(self, grid: Sequence[Cell], parallel: int, quiet: bool) -> None:
        self.grid, self.parallel = grid, parallel
        self.on = sys.stderr.isatty() and not quiet
        self.width = 0

    def show(self, found: Mapping[str, ev.Run]) -> None:
        if not self.on:
            return
        text = sweep_sentence(self.grid, found)
        left = sweep.seconds_left(self.grid, found, sweep.speeds(found.values()))
        if left:
            text += f", about {left / self.parallel:,.0f} s left"
        print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
        self.width = len(text)

    def close(self) -> None:
        if self.on:
            print(file=sys.stderr)


def sweep_sentence(grid: Sequence[Cell], found: Mapping[str, ev.Run]) -> str:
    """Say how far a sweep is: "12 of 20 runs finished, 1 failed, at work: flexmatch 40 labels seed 0"."""
    states = [found[cell.key].state for cell in grid if cell.key in found]
    text = f"{states.count(ev.FINISHED)} of {len(grid)} runs finished"
    if bad := states.count(ev.FAILED) + states.count(ev.DIVERGED):
        text += f", {bad} failed"
    at_work = [cell for cell in grid if cell.key in found and found[cell.key].state in ev.ACTIVE]
    if at_work:
        text += ", at work: " + ", ".join(f"{cell.method} {cell.labels} labels seed {cell.seed}" for cell in at_work)
    return text


def progress(quiet: bool) -> Callable[[str, int, int], None] | None:
    """Return a callback for long preparations, or None where nobody looks."""
    if quiet or not sys.stderr.isatty():
        return None

    def show(what: str, done: int, total: int) -> None:
        print(f"\r{what}: {done:,} of {total:,}", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return show


def table(runs: Sequence[ev.Run]) -> str:
    """Return one line per run under a header."""
    head = ("run", "state", "method", "data", "labels", "seed", "step", "test", "raw", "seconds")
    rows = [
        (run.id, run.state, run.method, run.data, str(run.labels), str(run.seed), f"{run.step:,}/{run.steps:,}",
         percent(run.summary.get("test_accuracy")), percent(run.summary.get("test_accuracy_raw")), f"{run.seconds:.1f}")
        for run in runs
    ]  # fmt: skip
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


def describe(run: ev.Run, events: Sequence[ev.Event]) -> str:
    """Return a run in full: the sentence, what differs from the defaults, the events, the error."""
    defaults = {name: value for name, _, value in cfg.walk(cfg.with_method(cfg.RunConfig(), run.method))}
    lines = [sentence(run), ""]
    lines += [
        f"  {name} = {value}" for name, _, value in cfg.walk(cfg.from_dict(run.config)) if defaults.get(name) != value
    ]
    lines.append("")
    for event in events:
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
        lines.append(
            f"  {clock}  step {event.step:,}  {event.kind} {' '.join(f'{k}={v}' for k, v in event.data.items())}"
        )
    return "\n".join([*lines, *([run.error.rstrip()] if run.error else [])])


def prediction(found: Mapping[str, Any]) -> str:
    """Say what a run thinks of one image: "cat.png: cat, 98.20 %", or that it isn't sure, and between which classes."""
    best = sorted(found["probs"].items(), key=lambda pair: -pair[1])[:3]
    rest = ", ".join(f"{name} {percent(p)}" for name, p in best[1:])
    if found["sure"]:
        return f"{found['path']}: {found['class']}, {percent(found['confidence'])} (then {rest})"
    return f"{found['path']}: not sure; {found['class']} {percent(found['confidence'])}, {rest}"


def sources() -> str:
    return (
        "digits         1,797 real handwritten digits of scikit-learn, enlarged from 8 x 8 to 16 x 16; works offline\n"
        "shapes         6,000 colour drawings of ten things, 32 x 32; drawn on first use, works offline\n"
        "cifar10        60,000 photographs in 10 classes, 32 x 32; downloaded on first use\n"
        "cifar100       60,000 photographs in 100 classes, 32 x 32; downloaded on first use\n"
        "svhn           99,289 digits cut out of house numbers, 32 x 32, never mirrored; downloaded on first use\n"
        "stl10          5,000 labelled, 100,000 unlabelled and 8,000 test photographs, 96 x 96; downloaded on first use\n"
        "fashion_mnist  70,000 grey pictures of clothes, 28 x 28, bordered to 32 x 32; downloaded on first use\n"
        "folder:PATH    your own images: PATH/train/<class>/*, PATH/test/<class>/*, PATH/train/unlabeled/*, or PATH/<class>/*"
    )


def describe_images(images: ImageSet) -> dict[str, Any]:
    """Return what there is to know about an ImageSet: counts per class, sizes, notes."""
    train, test = images.counts("train"), images.counts("test")
    return {
        "title": images.title, "classes": dict(zip(images.class_names, train, strict=True)), "test": dict(zip(images.class_names, test, strict=True)),
        "unlabeled": images.num_unlabeled, "image_size": list(images.train_images.shape[1:3]), "channels": images.channels,
        "flip": images.flip, "mean": list(images.mean), "std": list(images.std), "notes": list(images.notes), "fingerprint": images.fingerprint,
    }  # fmt: skip
