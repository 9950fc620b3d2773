"""MixMatch's guesses before and after sharpening (arXiv:1905.02249, Eq. 6 and 7), image by image. Pure; no streamlit."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboard import theme
from dashboard.charts_classes import short_names
from dashboard.figures import Figure, new, note, typed
from dashboard.images import as_picture

IMAGES = 6  # side by side
BARS = 10  # classes beside each image: all, or of many the likeliest
GAP = 2.0  # bars' widths between two images
SIDE = 96  # pixels of a picture
TOP = 1.5  # end of the axis: three lines of words above a bar of 100 %


def sharpening(
    frame: Mapping[str, np.ndarray], names: Sequence[str], order: Sequence[int], *, sharpened: bool
) -> Figure:
    """Draw for each image the mean of the K weak views' probabilities and, filled, what sharpening makes of it.

    frame: a keyframe with view_probs (n, K, C) and guess (n, C); order: the places of the images, the first few are drawn.
    """
    before: dict[str, list[Any]] = {"x": [], "y": [], "customdata": [], "color": []}
    after: dict[str, list[Any]] = {"x": [], "y": []}
    pictures, notes, place, short = [], [], 0.0, short_names(names)
    for i in order[:IMAGES]:
        mean, guess = frame["view_probs"][i].mean(axis=0), frame["guess"][i]
        shown = np.sort(np.argsort(-mean, kind="stable")[:BARS])
        at = place + np.arange(len(shown))
        middle, place = float(at.mean()), place + len(shown) + GAP
        best = int(mean.argmax())
        before["x"] += at.tolist()
        before["y"] += mean[shown].tolist()
        before["color"] += [theme.class_color(int(c)) for c in shown]
        before["customdata"] += [[short[int(c)], float(mean[c]), float(guess[c])] for c in shown]
        after["x"] += at.tolist()
        after["y"] += guess[shown].tolist()
        pictures.append(_picture(frame["weak_images"][i], middle, len(shown)))
        top = float(max(mean[best], guess[best] if sharpened else 0.0))
        notes.append(note(short[best], x=float(at[list(shown).index(best)]), y=top, yanchor="bottom"))
        # One above the other: six stand side by side on a phone.
        words = f"{entropy(mean):.2f}" + (f"<br>\u2192 {entropy(guess):.2f}" if sharpened else "")
        notes.append(note(words, x=middle, y=TOP, yanchor="top"))
    told = "%{customdata[0]}: mean of the views %{customdata[1]:.1%}, sharpened %{customdata[2]:.1%}<extra></extra>"
    colors = before.pop("color")
    outline = {"color": ["rgba(0,0,0,0)"] * len(colors), "line": {"color": colors, "width": 2}}
    bar: dict[str, Any] = {"type": "bar", "customdata": before["customdata"], "hovertemplate": told}
    first = {**bar, "x": before["x"], "y": typed(np.array(before["y"])), "name": "mean of the views", "width": 0.92}
    traces = [{**first, "marker": outline if sharpened else {"color": colors}}]
    if sharpened:
        traces.append(
            {
                **bar,
                "x": after["x"],
                "y": typed(np.array(after["y"])),
                "name": "sharpened",
                "width": 0.5,
                "marker": {"color": colors},
            }
        )
    figure = new(traces if pictures else [])
    figure["layout"] |= {
        "xaxis": {"range": [-1.5, max(place - GAP + 0.5, 1.0)], "showticklabels": False, "showgrid": False, "fixedrange": True, "title": {"text": ""}},
        "yaxis": {"range": [0, TOP], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1], "fixedrange": True},
        "barmode": "overlay", "bargap": 0, "hovermode": "closest", "showlegend": False, "images": pictures, "annotations": notes,
        "margin": {"l": 58, "r": 14, "t": 8, "b": 104},
    }  # fmt: skip
    return figure


def entropy(probs: np.ndarray) -> float:
    """Return the entropy of (C,) probabilities in nats: 0 = sure, log C = no idea."""
    known = probs[probs > 0]
    return float(-(known * np.log(known)).sum())


def _picture(image: np.ndarray, middle: float, wide: int) -> dict[str, Any]:
    buffer = io.BytesIO()
    as_picture(image, SIDE).save(buffer, "PNG")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {
        "source": source, "xref": "x", "yref": "paper", "x": middle, "y": -0.04, "sizex": 0.9 * wide, "sizey": 0.5,
        "xanchor": "center", "yanchor": "top", "sizing": "contain",
    }  # fmt: skip
