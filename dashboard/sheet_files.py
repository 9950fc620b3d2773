"""A sheet of views as files to keep: the pictures with their words as one PNG, what was drawn as CSV. No streamlit."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from dashboard import drawn_words
from dashboard import theme as colors
from dashboard.exhibits_augment import View
from dashboard.images import as_picture, fit_line

if TYPE_CHECKING:
    from sslcore.augment.told import Told

SIDE, GAP, LINE, LETTERS = 128, 14, 20, 16  # pixels


def png(rows: Sequence[Sequence[View]], names: Sequence[str]) -> bytes:
    """Return rows of views as one picture on white, under each its words and, where a model was asked, its best class."""
    lines = 1 + max(len(_lines(view, names)) for row in rows for view in row)
    width, height = max(map(len, rows)) * (SIDE + GAP) + GAP, SIDE + lines * LINE + GAP
    sheet = Image.new("RGB", (width, len(rows) * height + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, view in enumerate(row):
            left, top = GAP + x * (SIDE + GAP), GAP + y * height
            picture = as_picture(view.pixels, SIDE)
            sheet.paste(picture, (left, top), picture)
            for i, line in enumerate(_lines(view, names)):
                fit_line(draw, line, left, top + SIDE + 4 + i * LINE, SIDE, LETTERS, colors.INK["light"])
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _lines(view: View, names: Sequence[str]) -> list[str]:
    said = [view.title, *view.lines, view.faint]
    if view.probs is not None:
        best = int(view.probs.argmax())
        said.append(f"{100 * float(view.probs[best]):.0f} % {names[best]}")
    return [line for line in said if line]


def table(told: Sequence[tuple[str, Told]], probs: np.ndarray | None, names: Sequence[str]) -> str:
    """Return one row a view: its kind, what was drawn and, where a model was asked, each class's probability (n, C)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    classes = [] if probs is None else [_cell(f"p({name})") for name in names]
    writer.writerow(["view", "mirrored", "right", "down", "operations", "cut_y0_x0_y1_x1", *classes])
    for i, (kind, view) in enumerate(told):
        ops = "; ".join(drawn_words.operation(op) for op in view.ops)
        box = " ".join(map(str, view.box)) if view.box else ""
        opinion = [] if probs is None else [f"{float(p):.6f}" for p in probs[i]]
        writer.writerow([kind, int(view.mirrored), view.right, view.down, _cell(ops), box, *opinion])
    return out.getvalue()


def _cell(value: str) -> str:
    """Keep a spreadsheet from reading a text as a formula."""
    return "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
