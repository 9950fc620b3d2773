"""The X-ray's formulas with the actual numbers in them: a Ray -> LaTeX. Pure; only symbols and numbers, no typed text."""

from __future__ import annotations

import math

import numpy as np

from dashboard import sandbox
from dashboard.xray import Knobs, Ray

LISTED = 3  # views whose numbers are written out
SHARE = {
    "convex": r"\frac{\beta_{\hat y}}{2-\beta_{\hat y}}",
    "linear": r"\beta_{\hat y}",
    "concave": r"\frac{\ln(1+\beta_{\hat y})}{\ln 2}",
}


def num(value: float) -> str:
    """Write a number with three digits that count: 0.893, 12.4, 1.20 x 10^-5, 0."""
    if value == 0:
        return "0"
    if value < 0:
        return "-" + num(-value)
    return power(math.log(value)) if not 1e-3 <= value < 1e4 else plain(value)


def plain(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{min(digits, 4)}f}"


def power(log: float) -> str:
    """Write e^log, which may be too large or small for a float."""
    if math.log(1e-3) <= log < math.log(1e4):
        return plain(math.exp(log))
    exponent = math.floor(log / math.log(10))
    mantissa = 10 ** (log / math.log(10) - exponent)
    if f"{mantissa:.2f}" == "10.00":
        mantissa, exponent = 1.0, exponent + 1
    return rf"{mantissa:.2f}\times 10^{{{exponent}}}"


def lines(*rows: str) -> str:
    """Set formulas below each other, aligned at their &."""
    return r"\begin{aligned}" + r"\\[4pt]".join(rows) + r"\end{aligned}"


def softmax(logits: np.ndarray, guess: int) -> str:
    """p of the guessed class from its logits (C,)."""
    top = float(logits.max())
    total = top + math.log(float(np.exp(logits - top).sum()))
    share = math.exp(float(logits[guess]) - total)
    return lines(
        r"p_{\hat y} &= \frac{e^{z_{\hat y}}}{\sum_j e^{z_j}}",
        rf"&= \frac{{e^{{{logits[guess]:.2f}}}}}{{{power(total)}}} = {num(share)}",
    )


def mean(ray: Ray) -> str:
    """MixMatch's average of K views (Eq. 6)."""
    count, values = len(ray.view_probs), [num(float(row[ray.guess])) for row in ray.view_probs]
    listed = " + ".join(values[:LISTED]) + (r" + \dots" if count > LISTED else "")
    return rf"\bar p_{{\hat y}} = \tfrac{{1}}{{{count}}}\,({listed}) = {num(float(ray.probs[ray.guess]))}"


def sharpened(ray: Ray, temperature: float) -> str:
    """MixMatch's sharpening (Eq. 7)."""
    result = num(float(ray.target[ray.guess]))
    if temperature == 0:
        return lines(
            r"q_{\hat y} &= \lim_{T\to 0}\frac{\bar p_{\hat y}^{\,1/T}}{\sum_j \bar p_j^{\,1/T}}",
            rf"&= 1[\hat y = \arg\max \bar p] = {result}",
        )
    logs = np.log(np.maximum(ray.probs, 1e-300)) / temperature
    total = float(logs.max()) + math.log(float(np.exp(logs - logs.max()).sum()))
    own = num(float(ray.probs[ray.guess]))
    return lines(
        r"q_{\hat y} &= \frac{\bar p_{\hat y}^{\,1/T}}{\sum_j \bar p_j^{\,1/T}}",
        rf"&= \frac{{{own}^{{\,1/{temperature:g}}}}}{{{power(total)}}} = {result}",
    )


def gate(ray: Ray, tau: float) -> str:
    """FixMatch's mask."""
    sign, mask = (r"\ge", 1) if ray.kept else ("<", 0)
    return lines(
        r"\text{mask} &= 1[\,\max_c p_c \ge \tau\,]",
        rf"{num(ray.confidence)} &{sign} {tau:g} \;\Rightarrow\; \text{{mask}} = {mask}",
    )


def class_gate(ray: Ray, knobs: Knobs, counts: np.ndarray) -> str:
    """FlexMatch's learning status, class threshold and mask (Eq. 6, 7, 8, 11, 12)."""
    assert ray.threshold is not None
    sigma, most = float(counts[ray.guess]), sandbox.most_of(counts, knobs.warmup)
    beta = sigma / most
    over = r"\max(\max_c\sigma_c,\ \text{unused})" if knobs.warmup else r"\max_c\sigma_c"
    sign, mask = (r"\ge", 1) if ray.kept else ("<", 0)
    return lines(
        rf"\beta_{{\hat y}} &= \frac{{\sigma_{{\hat y}}}}{{{over}}}",
        rf"&= \frac{{{sigma:.0f}}}{{{most:.0f}}} = {num(beta)}",
        rf"T_{{\hat y}} &= {SHARE[knobs.mapping]}\,\tau = {num(ray.threshold)}",
        rf"{num(ray.confidence)} &{sign} {num(ray.threshold)} \;\Rightarrow\; \text{{mask}} = {mask}",
    )


def _broken(left: str, value: float) -> tuple[str, ...]:
    """Return `left` = value in one line, or in two where a power of ten would leave the card."""
    result = num(value)
    return (left, f"&= {result}") if "times" in result else (f"{left} = {result}",)


def loss(ray: Ray, knobs: Knobs) -> str:
    """This image's share of loss_u."""
    if knobs.method == "mixmatch":
        views, classes = ray.predicted.shape
        squares = float(np.square(ray.predicted - ray.target).sum())
        return lines(
            r"\ell_u &= \frac{1}{KC}\sum_k\sum_c \left(q_c - p^{(k)}_c\right)^2",
            *_broken(rf"&= \frac{{{num(squares)}}}{{{views}\cdot {classes}}}", ray.loss),
        )
    share = num(float(ray.predicted[0, ray.guess]))
    return lines(
        r"\ell_u &= -\,\text{mask}\cdot\ln p_{\hat y}(\text{strong}(u))",
        *_broken(rf"&= -\,{int(ray.kept)}\cdot \ln {share}", ray.loss),
    )
