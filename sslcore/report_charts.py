"""The pictures of an HTML report: a run's curves, several runs over each other, confusion and recall. No torch.

Names of classes and runs are escaped where they enter the HTML; `svg` does it for what stands in a chart.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sslcore import events as ev
from sslcore import keyframes
from sslcore.palette import class_color, class_dash, run_mark, run_slots
from sslcore.store import Store
from sslcore.svg import Line, Mark, chart, legend

MOST_CLASSES = 10  # of one chart
MOST_CELLS = 20  # classes of a confusion matrix that is drawn whole
BLUE, RED, SKY, TEAL, TAN = (class_color(k) for k in (0, 2, 3, 6, 7))


def esc(value: Any) -> str:
    return html.escape(str(value))


def percent(value: Any, digits: int = 1) -> str:
    """Write a fraction; a dash where there is none."""
    return f"{100 * value:.{digits}f} %" if isinstance(value, (int, float)) and value == value else "-"


def written(value: Any) -> str:
    """Write a setting as a person would."""
    return "empty" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def plain(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {written(value)}" for name, value in data.items())


def figure(title: str, caption: str, lines: Sequence[Line], **options: Any) -> str:
    """One chart with its title, legend and a sentence on what to look for; empty where there is nothing to draw."""
    if not any(np.isfinite(line.y).any() for line in lines):
        return ""
    drawn = chart(
        lines, alt=f"{title}: {', '.join(line.label for line in lines)}, over the steps", x_label="step", **options
    )
    return f"<figure><figcaption><h3>{esc(title)}</h3><p>{esc(caption)}</p></figcaption>{legend(lines)}{drawn}</figure>"


def run_charts(store: Store, run: ev.Run) -> str:
    """The curves of one run: losses, accuracies, mask and purity, class thresholds; changed settings are marked."""
    train, evals = store.points(run.id, ev.TRAIN), store.points(run.id, ev.EVAL)
    marks = [
        (event, chr(ord("A") + k % 26)) for k, event in enumerate(e for e in store.events(run.id) if e.kind == "set")
    ]
    rules = [Mark(event.step, letter) for event, letter in marks]
    found = [
        figure("Losses", "Total = labelled + weight x unlabelled.", _pick(train, (
            ("train/loss", "total", "currentColor", "solid"), ("train/loss_x", "labelled", BLUE, "dash"), ("train/loss_u", "unlabelled", RED, "dot"),
        )), y_label="loss", marks=rules),
        figure("Accuracy", "Test images by averaged (EMA) and raw weights; the labelled images are soon learnt by heart.", _pick(evals, (
            ("eval/test/accuracy", "test, EMA", BLUE, "solid"), ("eval/test/accuracy/raw", "test, raw", SKY, "dot"),
            ("eval/val/accuracy", "validation, EMA", TEAL, "dashdot"), ("eval/train/accuracy", "labelled, EMA", TAN, "dash"),
        ), dots=True), y_label="accuracy", percent=True, top=1.0, marks=rules),
        figure("Pseudo-labels", "Mask rate: share kept. Purity: share of the kept that is right. Confidence: how sure the model is.", _pick(train, (
            ("train/mask_rate", "mask rate", BLUE, "solid"), ("train/purity", "purity", TEAL, "dash"), ("train/confidence", "confidence", TAN, "dot"),
        )), y_label="share", percent=True, top=1.0, marks=rules),
        _thresholds(store, run, rules),
    ]  # fmt: skip
    told = "".join(f"<li><b>{letter}</b> step {event.step:,}: {esc(plain(event.data))}</li>" for event, letter in marks)
    return f"<div class='charts'>{''.join(found)}</div>" + (f"<ul class='marks'>{told}</ul>" if told else "")


def _pick(
    points: Mapping[str, np.ndarray], wanted: Iterable[tuple[str, str, str, str]], dots: bool = False
) -> list[Line]:
    return [
        Line(points["step"], points[name], label, color, dash, dots)
        for name, label, color, dash in wanted
        if name in points
    ]


def _thresholds(store: Store, run: ev.Run, marks: Sequence[Mark]) -> str:
    """FlexMatch's threshold of each class over time; of many classes the lowest and the highest at the end."""
    at, values = store.arrays(run.id, "flex/threshold")
    if not len(at):
        return ""
    names = run.summary.get("class_names", [])
    order = np.argsort(np.nan_to_num(values[-1]), kind="stable").tolist()
    shown = sorted(order if len(order) <= MOST_CLASSES else order[: MOST_CLASSES // 2] + order[-MOST_CLASSES // 2 :])
    lines = [
        Line(at, values[:, c], names[c] if c < len(names) else str(c), class_color(c), class_dash(c)) for c in shown
    ]
    tau = run.config.get("method", {}).get("threshold")
    many = f" Of {len(order):,} classes, the lowest and highest are shown." if len(order) > MOST_CLASSES else ""
    caption = f"The confidence that each class's guesses must reach to be kept; lower for a class that lags.{many}"
    return figure(
        "Class thresholds", caption, lines, y_label="threshold", top=1.0, marks=marks,
        rule=(tau, f"tau {tau:g}") if isinstance(tau, (int, float)) else None,
    )  # fmt: skip


def overlays(store: Store, runs: Sequence[ev.Run], names: Sequence[str]) -> str:
    """One chart a metric, with a line for each run."""
    slots = run_slots({}, {run.id: run.method for run in runs})
    found = []
    share: dict[str, Any] = {"percent": True, "top": 1.0}
    for series, metric, title, caption, options in (
        (ev.EVAL, "eval/test/accuracy", "Test accuracy, EMA", "Averaged weights on the test images.", share | {"y_label": "accuracy"}),
        (ev.EVAL, "eval/val/accuracy", "Validation accuracy, EMA", "On the images set aside for choosing.", share | {"y_label": "accuracy"}),
        (ev.TRAIN, "train/loss", "Loss", "Methods weigh its parts differently: compare the shape, not the height.", {"y_label": "loss"}),
        (ev.TRAIN, "train/mask_rate", "Mask rate", "Share of the pseudo-labels that is kept.", share | {"y_label": "share"}),
        (ev.TRAIN, "train/purity", "Purity", "Share of the kept pseudo-labels that is right.", share | {"y_label": "share"}),
    ):  # fmt: skip
        lines = []
        for run, name in zip(runs, names, strict=True):
            points = store.points(run.id, series)
            if metric in points:
                mark = run_mark(run.method, slots[run.id])
                lines.append(Line(points["step"], points[metric], name, *mark, series == ev.EVAL))
        found.append(figure(title, caption, lines, **options) if lines else "")
    return f"<div class='charts'>{''.join(found)}</div>"


def confusion(store: Store, run: ev.Run) -> str:
    """The confusion matrix and each class's recall of the newest keyframe that was evaluated; of many classes the extremes."""
    folder = store.folder(run.id)
    for step in reversed(keyframes.steps(folder)):
        try:
            matrix = keyframes.load(folder, step).get("confusion")
        except (FileNotFoundError, ValueError):  # thinned away or damaged: an earlier one will do
            continue
        if matrix is not None:
            names = list(run.summary.get("class_names", []))
            names += [str(c) for c in range(len(names), len(matrix))]
            return (
                f"<section><h3>Test images at step {step:,}, averaged weights</h3><div class='confusion'>"
                f"{_matrix(matrix, names) if len(matrix) <= MOST_CELLS else _mistakes(matrix, names)}{_recall(matrix, names)}</div></section>"
            )
    return ""


def _matrix(matrix: np.ndarray, names: Sequence[str]) -> str:
    totals = np.maximum(matrix.sum(axis=1), 1)
    long = max(len(name) for name in names) > 3  # written upright then
    head = "".join(f"<th scope='col'><span>{esc(name)}</span></th>" for name in names[: len(matrix)])
    body = ""
    for c, row in enumerate(matrix.tolist()):
        cells = ""
        for k, count in enumerate(row):
            share = round(100 * count / float(totals[c]))
            tint = f" style='--p:{share}%'" if count else ""
            cells += f"<td class='{'right' if k == c else 'wrong'}'{tint}>{f'{count:,}' if count else '·'}</td>"
        body += f"<tr><th scope='row'>{esc(names[c])}</th>{cells}</tr>"
    return (
        f"<div class='wide'><table class='matrix{' long' if long else ''}'><caption>Rows: truth. Columns: what was predicted. "
        "Stronger colour: a larger share of the row.</caption>"
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _mistakes(matrix: np.ndarray, names: Sequence[str], most: int = 15) -> str:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [
        (names[k // len(matrix)], names[k % len(matrix)], int(wrong.flat[k])) for k in order.tolist() if wrong.flat[k]
    ]
    rows = "".join(f"<tr><td>{esc(a)}</td><td>{esc(b)}</td><td class='n'>{n:,}</td></tr>" for a, b, n in pairs)
    return (
        "<table class='plain'><caption>The most frequent confusions</caption><thead><tr><th>truth</th><th>predicted</th>"
        f"<th class='n'>images</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _recall(matrix: np.ndarray, names: Sequence[str]) -> str:
    totals = matrix.sum(axis=1)
    recall = np.diagonal(matrix) / np.maximum(totals, 1)
    order = list(range(len(matrix)))
    if len(order) > MOST_CELLS:
        ranked = np.argsort(recall, kind="stable").tolist()
        order = [*ranked[:10], *ranked[-5:]]
    rows = "".join(
        f"<tr><th scope='row'>{esc(names[c])}</th><td class='bar'><i style='width:{100 * recall[c]:.1f}%'></i></td>"
        f"<td class='n'>{percent(float(recall[c]))}</td><td class='n'>{int(totals[c]):,}</td></tr>"
        for c in order
    )
    which = " (the ten lowest and five highest)" if len(order) < len(matrix) else ""
    return (
        f"<table class='plain recall'><caption>Recall: share of a class's test images that are predicted right{which}</caption>"
        f"<thead><tr><th>class</th><th></th><th class='n'>recall</th><th class='n'>images</th></tr></thead><tbody>{rows}</tbody></table>"
    )
