"""Slow, obvious twins of the methods: plain Python loops over images and classes, written from the papers alone.

Each takes logits (and, for MixMatch, draws) instead of a model, so that nothing is shared with the real thing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = Sequence[float]


def softmax(logits: Row) -> list[float]:
    biggest = max(logits)
    powers = [math.exp(value - biggest) for value in logits]
    return [value / sum(powers) for value in powers]


def cross_entropy(target: Row, logits: Row) -> float:
    """H(target, softmax(logits)) for a distribution `target`."""
    return -sum(p * math.log(q) for p, q in zip(target, softmax(logits), strict=True) if p > 0)


def one_hot(k: int, classes: int) -> list[float]:
    return [1.0 if k == j else 0.0 for j in range(classes)]


def argmax(row: Row) -> int:
    return max(range(len(row)), key=lambda k: row[k])


def supervised(logits_x: Sequence[Row], y: Sequence[int]) -> float:
    return sum(cross_entropy(one_hot(label, len(row)), row) for row, label in zip(logits_x, y, strict=True)) / len(y)


def fixmatch(
    logits_x: Sequence[Row], y: Sequence[int], weak: Sequence[Row], strong: Sequence[Row], tau: float, lambda_u: float
) -> dict[str, float]:
    return _masked(logits_x, y, weak, strong, [tau] * len(weak[0]), lambda_u)


def _masked(
    logits_x: Sequence[Row],
    y: Sequence[int],
    weak: Sequence[Row],
    strong: Sequence[Row],
    tau: Sequence[float],
    lambda_u: float,
) -> dict[str, float]:
    loss_x = supervised(logits_x, y)
    total, kept = 0.0, 0
    for row_w, row_s in zip(weak, strong, strict=True):
        q = softmax(row_w)
        label = argmax(q)
        if q[label] >= tau[label]:
            kept += 1
            total += cross_entropy(one_hot(label, len(q)), row_s)
    loss_u = total / len(weak)
    return {"loss": loss_x + lambda_u * loss_u, "loss_x": loss_x, "loss_u": loss_u, "mask_rate": kept / len(weak)}


def mapping(beta: float, kind: str) -> float:
    return {"convex": beta / (2 - beta), "linear": beta, "concave": math.log(beta + 1) / math.log(2)}[kind]


def flexmatch_thresholds(
    records: Sequence[int | None], classes: int, tau: float, kind: str, warmup: bool
) -> list[float]:
    """`records`: the latest confident class of every pool image, None = none yet."""
    sigma = [sum(1 for record in records if record == c) for c in range(classes)]
    unused = sum(1 for record in records if record is None)
    denominator = max(max(sigma), unused) if warmup else max(sigma)
    return [mapping(s / denominator if denominator else 0.0, kind) * tau for s in sigma]


def flexmatch(
    logits_x: Sequence[Row], y: Sequence[int], weak: Sequence[Row], strong: Sequence[Row], u_index: Sequence[int],
    records: list[int | None], tau: float, lambda_u: float, kind: str, warmup: bool,
) -> dict[str, float]:  # fmt: skip
    """One step; `records` is changed in place, after the thresholds were taken from it (Algorithm 1)."""
    classes = len(weak[0])
    found = _masked(logits_x, y, weak, strong, flexmatch_thresholds(records, classes, tau, kind, warmup), lambda_u)
    for row, n in zip(weak, u_index, strict=True):
        q = softmax(row)
        if max(q) >= tau:
            records[n] = argmax(q)
    return found


def sharpen(p: Row, temperature: float) -> list[float]:
    powers = [value ** (1 / temperature) for value in p]
    return [value / sum(powers) for value in powers]


def mixmatch_targets(y: Sequence[int], view_logits: Sequence[Sequence[Row]], temperature: float) -> list[list[float]]:
    """Targets of X and of each of the K views of U, in that order; view_logits[k][b] is view k of image b."""
    classes = len(view_logits[0][0])
    guesses = []
    for b in range(len(view_logits[0])):
        views = [softmax(view[b]) for view in view_logits]
        mean = [sum(view[c] for view in views) / len(views) for c in range(classes)]
        guesses.append(sharpen(mean, temperature))
    return [one_hot(label, classes) for label in y] + guesses * len(view_logits)


def mixup(rows: Sequence[Row], lam: Sequence[float], permutation: Sequence[int]) -> list[list[float]]:
    mixed = []
    for k, row in enumerate(rows):
        share = max(lam[k], 1 - lam[k])
        other = rows[permutation[k]]
        mixed.append([share * a + (1 - share) * b for a, b in zip(row, other, strict=True)])
    return mixed


def mixmatch_losses(logits: Sequence[Row], targets: Sequence[Row], num_x: int) -> tuple[float, float]:
    """loss_x and loss_u of mixed images whose logits are given; the first num_x rows are X'."""
    classes = len(logits[0])
    loss_x = sum(cross_entropy(t, row) for t, row in zip(targets[:num_x], logits[:num_x], strict=True)) / num_x
    squares = 0.0
    for t, row in zip(targets[num_x:], logits[num_x:], strict=True):
        squares += sum((a - b) ** 2 for a, b in zip(t, softmax(row), strict=True))
    return loss_x, squares / (classes * (len(logits) - num_x))
