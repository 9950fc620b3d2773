"""Contact sheets: arrays -> one PNG. Pure; no streamlit.

A tile is one unlabelled image: weak view, strong view below it, the guessed class with a tick (right) or a cross
(wrong), its confidence as a bar with the threshold as a line across it, and whether the guess is kept. A guess that is
not kept has faded pictures and no frame, so nothing rests on colour alone.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import util
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dashboard import theme as colors

SIDE, GAP = 196, 22  # pixels of a picture and between tiles; shown at about half of that
NAME_SIZE, WORD_SIZE, SMALLEST = 40, 30, 22
NAME_ROW, BAR_ROW, WORD_ROW = 52, 20, 40
TILE = 2 * SIDE + 6 + 8 + NAME_ROW + BAR_ROW + WORD_ROW
FADED = 0.42
WEIGHT = 500  # of the letters


@dataclass(frozen=True)
class Tile:
    """One unlabelled image as the model sees it. Views (H, W, channels) uint8; confidence and threshold in [0, 1]."""

    weak: np.ndarray
    strong: np.ndarray
    number: int  # of the guessed class
    name: str
    confidence: float
    threshold: float | None = None  # None: the method has none
    kept: bool | None = None  # None: the method doesn't use these images
    right: bool | None = None  # None: the truth is not known


def contact_sheet(tiles: Sequence[Tile], columns: int = 4, theme: str = "light", slots: int = 0) -> bytes:
    """Return the tiles as one PNG with a transparent ground; `theme` ("light", "dark") picks the ink.

    `slots`: room for so many tiles even if there are fewer, so that a page doesn't jump.
    """
    columns = max(1, min(columns, max(len(tiles), slots)))
    rows = max(1, -(-max(len(tiles), slots) // columns))
    sheet = Image.new("RGBA", (columns * (SIDE + GAP) + GAP, rows * (TILE + GAP) + GAP), (0, 0, 0, 0))
    for i, tile in enumerate(tiles):
        _draw_tile(sheet, tile, GAP + i % columns * (SIDE + GAP), GAP + i // columns * (TILE + GAP), theme)
    return _png(sheet)


def picture_sheet(pictures: Sequence[np.ndarray], columns: int, rows: int, side: int = 96, gap: int = 8) -> bytes:
    """Return plain pictures, (H, W, channels) uint8 each, as one PNG of a fixed size with a transparent ground."""
    sheet = Image.new("RGBA", (columns * (side + gap) - gap, rows * (side + gap) - gap), (0, 0, 0, 0))
    for i, picture in enumerate(pictures[: columns * rows]):
        sheet.alpha_composite(as_picture(picture, side), (i % columns * (side + gap), i // columns * (side + gap)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def as_picture(image: np.ndarray, side: int = SIDE) -> Image.Image:
    """Return (H, W), (H, W, 1 or 3) or (1 or 3, H, W) uint8 as an RGBA square of `side`: each pixel a block, none blurred.

    Images larger than `side` are averaged down. A picture that doesn't divide `side` is centred in it.
    """
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[-1] not in (1, 3):
        image = image.transpose(1, 2, 0)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest <= side:
        factor = side // longest
        picture = Image.fromarray(np.ascontiguousarray(image.repeat(factor, axis=0).repeat(factor, axis=1)))
    else:
        picture = Image.fromarray(np.ascontiguousarray(image)).resize(
            (max(1, width * side // longest), max(1, height * side // longest)), Image.Resampling.BOX
        )
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(picture.convert("RGBA"), ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def row(pictures: Sequence[np.ndarray], side: int = SIDE, gap: int = 12) -> bytes:
    """Return pictures, each as `as_picture` takes it, side by side as one PNG with a transparent ground."""
    sheet = Image.new("RGBA", (len(pictures) * (side + gap) - gap, side), (0, 0, 0, 0))
    for i, picture in enumerate(pictures):
        sheet.paste(as_picture(picture, side), (i * (side + gap), 0))
    return _png(sheet)


def sprite(pictures: Sequence[np.ndarray], columns: int, most: int = 48) -> bytes:
    """Return pictures as a PNG of equal small squares, `columns` a row, for the browser to enlarge; sides up to `most` pixels."""
    side = min(most, max(max(picture.shape) for picture in pictures))
    sheet = Image.new("RGBA", (columns * side, -(-len(pictures) // columns) * side), (0, 0, 0, 0))
    for i, picture in enumerate(pictures):
        sheet.paste(as_picture(picture, side), (i % columns * side, i // columns * side))
    return _png(sheet)


def _png(sheet: Image.Image) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def describe(tiles: Sequence[Tile]) -> str:
    """Return the sheet in words, for people who can't see it."""
    kept = sum(tile.kept is True for tile in tiles)
    right = sum(tile.right is True for tile in tiles)
    known = sum(tile.right is not None for tile in tiles)
    count = "1 image" if len(tiles) == 1 else f"{len(tiles)} images, each"
    parts = [f"{count} with weak view, strong view and guess"]
    if any(tile.kept is not None for tile in tiles):
        parts.append(f"{kept} kept")
    if known:
        parts.append(f"{right} of {known} guessed right")
    return ", ".join(parts)


def _draw_tile(sheet: Image.Image, tile: Tile, x: int, y: int, theme: str) -> None:
    draw = ImageDraw.Draw(sheet)
    ink, faint, used = colors.INK[theme], colors.FAINT[theme], tile.kept is not False
    for row, view in enumerate((tile.weak, tile.strong)):
        picture, top = as_picture(view), y + row * (SIDE + 6)
        if not used:
            picture.putalpha(picture.getchannel("A").point(lambda alpha: round(alpha * FADED)))
        sheet.alpha_composite(picture, (x, top))
    bottom = y + 2 * SIDE + 6
    if tile.kept:
        draw.rounded_rectangle((x - 7, y - 7, x + SIDE + 6, bottom + 6), radius=10, outline=ink, width=4)

    top = bottom + 12
    if tile.right is not None:
        _sign(draw, tile.right, x + SIDE - 17, top + 23, theme)
    room = SIDE - (44 if tile.right is not None else 0)
    name = tile.name if _readable(tile.name) else f"class {tile.number}"
    fit_line(draw, name, x, top, room, NAME_SIZE, ink if used else faint)

    top += NAME_ROW
    draw.rounded_rectangle((x, top, x + SIDE, top + 10), radius=5, fill=colors.TRACK[theme])
    if tile.confidence > 0.03:
        draw.rounded_rectangle(
            (x, top, x + round(SIDE * min(tile.confidence, 1.0)), top + 10), radius=5, fill=ink if used else faint
        )
    if tile.threshold is not None:
        at = x + round((SIDE - 4) * min(max(tile.threshold, 0.0), 1.0))
        draw.rectangle((at, top - 5, at + 4, top + 15), fill=colors.TICK[theme])

    word = "" if tile.kept is None else " kept" if tile.kept else " not kept"
    fit_line(draw, f"{100 * tile.confidence:.0f} %{word}", x, top + BAR_ROW, SIDE, WORD_SIZE, ink if used else faint)


def _sign(draw: ImageDraw.ImageDraw, right: bool, x: int, y: int, theme: str) -> None:
    """A disc with a tick, or a square with a cross: two shapes as well as two colours."""
    box, stroke = (x - 17, y - 17, x + 17, y + 17), colors.ON_SIGN[theme]
    if right:
        draw.ellipse(box, fill=colors.RIGHT[theme])
        draw.line([(x - 8, y), (x - 2, y + 7), (x + 9, y - 7)], fill=stroke, width=5, joint="curve")
    else:
        draw.rounded_rectangle(box, radius=6, fill=colors.WRONG[theme])
        draw.line([(x - 8, y - 8), (x + 8, y + 8)], fill=stroke, width=5)
        draw.line([(x - 8, y + 8), (x + 8, y - 8)], fill=stroke, width=5)


def fit_line(draw: ImageDraw.ImageDraw, text: str, x: int, y: int, room: int, size: int, fill: str) -> None:
    """Write one line, smaller and then cut in its middle if it is longer than the room: names often differ at their ends."""
    text = " ".join(text.split())
    while size > SMALLEST and draw.textlength(text, _font(size)) > room:
        size -= 2
    if draw.textlength(text, _font(size)) > room:
        kept = len(text)
        while kept and draw.textlength(_cut(text, kept), _font(size)) > room:
            kept -= 1
        text = _cut(text, kept)
    draw.text((x, y), text, font=_font(size), fill=fill)


def _cut(text: str, kept: int) -> str:
    """Return the first and the last of `kept` letters."""
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The page's own font, which streamlit ships, or Pillow's, which knows ASCII only."""
    spec = util.find_spec("streamlit")
    folder = Path(spec.origin).parent / "static" if spec and spec.origin else Path()
    for path in sorted(folder.glob("**/SourceSansVF-Upright*.woff2")):
        with contextlib.suppress(OSError):
            font = ImageFont.truetype(path, size)
            font.set_variation_by_axes([WEIGHT])
            return font
    return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def _readable(text: str) -> bool:
    """Whether the font has all the letters: one that it lacks looks like one that nobody has."""
    font = _font(WORD_SIZE)
    nothing = bytes(font.getmask("\U0010fffd"))
    return all(letter.isspace() or bytes(font.getmask(letter)) != nothing for letter in set(text))
