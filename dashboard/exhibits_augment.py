"""The pictures of the Augmentations page: arrays -> HTML sheets and one chart. Pure; no streamlit, no torch.

A sheet is HTML with one small PNG a view, enlarged by the browser without blurring: nothing is enlarged or encoded
here that the eye doesn't need, the words under a view stay sharp, wrap on a phone and can be read aloud. Every word
that came from outside passes `html.escape`.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from dashboard import theme
from dashboard.figures import PERCENT, WIDTH, Figure, new, note, rule, trace, typed, upward
from dashboard.text import plotly_safe, told_apart

SHOWN = 3  # classes with a bar under a view
MOST = 128  # pixels of a picture's side in a sheet; larger ones are averaged down
BINS = 40
LABELLED = 5  # classes of a soft label with a bar
START = 6  # and of its beginning, at least
END = 4  # letters of a long name that are always shown


@dataclass(frozen=True)
class View:
    """One picture of a sheet. pixels (H, W, C) uint8; probs (C,) where a model was asked."""

    pixels: np.ndarray
    lines: tuple[str, ...] = ()  # under the picture, the first ones plain
    faint: str = ""  # the last line, in grey
    probs: np.ndarray | None = None
    marked: bool = False  # framed: the chosen one
    title: str = ""  # above the picture


def sheet(views: Sequence[View], names: Sequence[str], expected: int | None = None, size: str = "") -> str:
    """Return the views side by side as HTML; `expected`: the class that a view's best one is compared with; size "", "narrow" or "large"."""
    return f'<div class="ssl-sheet {size}" role="list">{"".join(_view(view, names, expected) for view in views)}</div>'


def _view(view: View, names: Sequence[str], expected: int | None) -> str:
    said = ", ".join([view.title, *view.lines, view.faint]).strip(", ") or "picture"
    title = f'<div class="title">{html.escape(view.title)}</div>' if view.title else ""
    lines = "".join(f"<div>{html.escape(line)}</div>" for line in view.lines)
    faint = f'<div class="faint">{html.escape(view.faint)}</div>' if view.faint else ""
    opinion = opinion_bars(view.probs, names, expected) if view.probs is not None else ""
    return (
        f'<figure role="listitem" class="{"marked" if view.marked else ""}">{title}'
        f'<img src="{data_uri(view.pixels.tobytes(), view.pixels.shape)}" alt="{html.escape(said)}" decoding="sync">'
        f"<figcaption>{lines}{faint}{opinion}</figcaption></figure>"
    )


@lru_cache(maxsize=512)
def data_uri(content: bytes, shape: tuple[int, ...]) -> str:
    """Return a uint8 picture (H, W, 1 or 3) as a PNG in a data URI."""
    pixels = np.frombuffer(content, np.uint8).reshape(shape)
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if shape[-1] == 1 else pixels))
    if max(picture.size) > MOST:
        picture.thumbnail((MOST, MOST), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def opinion_bars(probs: np.ndarray, names: Sequence[str], expected: int | None = None, shown: int = SHOWN) -> str:
    """Return the likeliest classes of probabilities (C,) as bars; the best one with a tick if it is `expected`, else a cross."""
    order = [int(c) for c in np.argsort(-probs, kind="stable")[:shown]]
    rows, apart = [], told_apart([" ".join(str(name).split()) for name in names], START, END)
    for rank, c in enumerate(order):
        sign, name = "" if expected is None or rank else _sign(c == expected), apart[c]
        rows.append(
            f'<div class="row{" best" if not rank else ""}"><span title="{html.escape(name)}">{sign}{_parts(name)}</span>'
            f"<em>{100 * float(probs[c]):.0f}&#8239;%</em>"
            f'<i><b style="width:{100 * float(probs[c]):.1f}%;background:{theme.class_color(c)}"></b></i></div>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'


def _parts(name: str) -> str:
    """Return a name as HTML that is cut before its end where there is no room: "animal_041" and "animal_042" differ there."""
    head, tail = (name[:-END], name[-END:]) if len(name) > 2 * END else (name, "")
    return (
        f"<bdi>{html.escape(head)}</bdi><bdi>{html.escape(tail)}</bdi>" if tail else f"<bdi>{html.escape(head)}</bdi>"
    )


def _sign(right: bool) -> str:
    return (
        '<u class="right" title="same class">\u2713</u>'
        if right
        else '<u class="wrong" title="another class">\u2717</u>'
    )


def label_bars(parts: Sequence[tuple[str, np.ndarray]], names: Sequence[str]) -> str:
    """Return soft labels side by side as HTML: (heading, probabilities (C,)); only classes that have a share somewhere."""
    blocks = []
    for heading, probs in parts:
        present = int(min(max((probs > 0.005).sum(), 1), LABELLED))
        blocks.append(
            f'<div class="label"><div class="title">{html.escape(heading)}</div>{opinion_bars(probs, names, shown=present)}</div>'
        )
    return f'<div class="ssl-labels">{"".join(blocks)}</div>'


def beta_density(alpha: float, x: np.ndarray) -> np.ndarray:
    """Return the density of Beta(alpha, alpha) at x, (n,) inside (0, 1)."""
    log_norm = 2 * math.lgamma(alpha) - math.lgamma(2 * alpha)
    return np.exp((alpha - 1) * (np.log(x) + np.log1p(-x)) - log_norm)


def beta_chart(draws: np.ndarray, alpha: float, share: float) -> Figure:
    """Draw the density of Beta(alpha, alpha), that of max(lam, 1 - lam), real draws (n,) as a histogram, and the chosen share."""
    count, edges = np.histogram(draws, BINS, (0.0, 1.0))
    middle, height = (edges[:-1] + edges[1:]) / 2, count * BINS / max(len(draws), 1)
    x = np.linspace(0.005, 0.995, 199)
    density = beta_density(alpha, x)
    folded = np.where(x >= 0.5, 2 * density, np.nan)
    bars = {
        "type": "bar", "x": typed(middle), "y": typed(height), "name": f"{len(draws):,} draws", "marker": {"color": theme.SKY}, "opacity": 0.6,
        "width": 0.9 / BINS, "hovertemplate": "%{y:.2f}",
    }  # fmt: skip
    lines = [
        trace(x, y, name, {"color": color, "dash": dash, "width": WIDTH}, ".2f")
        for y, name, color, dash in (
            (density, "density of \u03bb", theme.BLUE, "solid"),
            (folded, "of \u03bb\u2032", theme.RED, "dash"),
        )
    ]
    figure = new([bars, *lines])
    kept = max(share, 1 - share)
    rules = [(share, "\u03bb")] + ([(kept, "\u03bb\u2032")] if kept != share else [])
    figure["layout"] |= {
        "xaxis": {"range": [0, 1], "title": {"text": "\u03bb"}, "showgrid": False, "tickformat": ".1f", "hoverformat": ".3f"},
        "yaxis": upward([height, folded[20:-20]]) | {"title": {"text": "density"}}, "bargap": 0, "hovermode": "x unified",
        "shapes": [rule(x=at) for at, _ in rules],
        "annotations": [note(name, x=at, y=1, yref="paper", yanchor="top", xanchor="left") for at, name in rules],
    }  # fmt: skip
    return figure


def break_chart(values: np.ndarray, probs: np.ndarray, names: Sequence[str], unit: str, chosen: float) -> Figure:
    """Draw how the likeliest classes' probabilities (n, C) change with the magnitude of one operation, values (n,)."""
    shown = sorted(np.argsort(-probs.max(axis=0), kind="stable")[:4].tolist())
    figure = new(
        [
            trace(values, probs[:, c], plotly_safe(str(names[c])), {"color": theme.class_color(c), "dash": theme.class_dash(c), "width": WIDTH}, ".1%")
            | {"mode": "lines+markers", "marker": {"size": 6}}
            for c in shown
        ]
    )  # fmt: skip
    figure["layout"] |= {
        "xaxis": {"title": {"text": unit}, "showgrid": False}, "yaxis": dict(PERCENT), "hovermode": "x unified", "shapes": [rule(x=chosen)],
    }  # fmt: skip
    return figure
