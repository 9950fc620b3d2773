"""Which of a keyframe's probe images a person asks for, in which order. numpy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

FILTERS = {  # key -> words; the key stands in the code, the words on the page and in the URL
    "all": "All, always in the same places",
    "first": "Kept and wrong first",
    "kept": "Kept",
    "dropped": "Not kept",
    "wrong": "Wrong",
}
PLAIN = ("all", "wrong")  # all that makes sense where every guess is kept, or none is used


def order(frame: Mapping[str, np.ndarray], show: str, guess: int | None = None) -> list[int]:
    """Return the places of the wanted images among the probe's; `guess`: only those guessed to be of this class."""
    pseudo, kept, truth = frame["pseudo"], frame["mask"].astype(bool), frame["unlabeled_truth"]
    shown = min(len(pseudo), len(frame["weak_images"]), len(frame["strong_images"]))
    wrong = (truth >= 0) & (pseudo != truth)
    wanted = {"kept": kept, "dropped": ~kept, "wrong": wrong}.get(show, np.ones(len(pseudo), bool))
    if guess is not None:
        wanted = wanted & (pseudo == guess)
    found = np.flatnonzero(wanted[:shown])
    if show == "first":  # kept and wrong, then kept, then wrong, then the rest; the surest first within each
        rank = 2 * ~kept + ~wrong
        rank[kept & ~wrong], rank[~kept & wrong] = 1, 2
        found = found[np.lexsort((-frame["weak_probs"].max(axis=1)[found], rank[found]))]
    return [int(i) for i in found]
