"""A contact sheet of plain pictures with lines of words under each. Pure; no streamlit."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from dashboard import theme as colors
from dashboard.images import as_picture, fit_line

SIDE, GAP, LETTERS, LINE = 128, 14, 26, 36  # pixels, shown at about half of that


def grid(pictures: Sequence[np.ndarray], lines: Sequence[str], columns: int, theme: str = "light") -> bytes:
    """Return pictures (H, W, channels) uint8 with its lines of words below each, `columns` a row, as one PNG."""
    high = SIDE + LINE * max((len(words.split("\n")) for words in lines), default=1) + GAP
    down = max(1, -(-len(pictures) // columns))
    sheet = Image.new("RGBA", (columns * (SIDE + GAP), down * high), (0, 0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    for i, (picture, words) in enumerate(zip(pictures, lines, strict=True)):
        left, top = i % columns * (SIDE + GAP), i // columns * high
        sheet.alpha_composite(as_picture(picture, SIDE), (left, top))
        for k, line in enumerate(words.split("\n")):
            fit_line(draw, line, left, top + SIDE + 2 + k * LINE, SIDE, LETTERS, colors.INK[theme])
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
