"""The commands that ask a trained model: evaluate it, or have it predict. torch is imported where it is needed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sslcore import console
from sslcore.config import ConfigError, RunConfig
from sslcore.files import write_atomically
from sslcore.options import asked_store, number


def evaluate(args: argparse.Namespace) -> int:
    from sslcore.session import evaluate_run

    store = asked_store(args)
    run = store.run(args.run_id)
    found = evaluate_run(store, run.id)
    console.put(
        console.result(run) | found,
        args,
        f"{run.id}: test accuracy {found['test_accuracy']:.2%} (averaged weights), {found['test_accuracy_raw']:.2%} (raw)",
    )
    return 0


def predict(args: argparse.Namespace) -> int:
    run_id, labeller = _labeller(args)
    threshold = _threshold(args, labeller.config)
    found = [labeller.predict_file(Path(name), threshold) for name in args.images]
    bad = [each["error"] for each in found if "error" in each]
    value = {"run_id": run_id, "step": labeller.step, "threshold": threshold, "predictions": found}
    if args.json or len(bad) < len(found):
        console.put(value, args, "\n".join(console.prediction(each) for each in found if "error" not in each))
    for sentence in bad:
        console.bad_usage(sentence)
    return 2 if bad else 0


def pseudo_labels(args: argparse.Namespace) -> int:
    from sslcore.labelling import pseudo_label_lines

    run_id, labeller = _labeller(args)
    threshold = _threshold(args, labeller.config)
    answers = labeller.pseudo_labels(console.progress(args.json))
    kept = int((answers.confidence >= threshold).sum())
    _write_csv(args.out, pseudo_label_lines(answers, threshold))
    console.put(
        {"run_id": run_id, "out": args.out, "images": len(answers.paths), "kept": kept, "threshold": threshold},
        args,
        f"{args.out}: {len(answers.paths):,} images, {kept:,} of them with a confidence of {threshold:.0%} or more",
    )
    return 0


def to_label(args: argparse.Namespace) -> int:
    from sslcore.labelling import to_label_lines

    count = int(number("--count", args.count, 1, 1_000_000, whole=True))
    run_id, labeller = _labeller(args)
    answers = labeller.to_label(count, args.by == "diverse", console.progress(args.json))
    _write_csv(args.out, to_label_lines(answers))
    shown = f"{args.out}: {len(answers.paths):,} images"
    console.put({"run_id": run_id, "out": args.out, "images": len(answers.paths)}, args, shown)
    return 0


def _labeller(args: argparse.Namespace) -> tuple[str, Any]:
    """Return the run's id and its last checkpoint, ready to be asked."""
    from sslcore.checkpoint import last
    from sslcore.labelling import Labeller

    store = asked_store(args)
    run_id = store.run(args.run_id).id
    return run_id, Labeller(last(store.folder(run_id)))


def _threshold(args: argparse.Namespace, config: RunConfig) -> float:
    from sslcore.labelling import usual_threshold

    return usual_threshold(config) if args.threshold is None else number("--threshold", args.threshold, 0, 1)


def _write_csv(out: str, lines: Iterable[str]) -> None:
    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)

    try:
        write_atomically(Path(out), write)
    except OSError as error:
        raise ConfigError(f"--out {out[:120]!r} can't be written: {error.strerror or error}") from None
