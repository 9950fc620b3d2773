"""One image file of any Pillow format -> one uint8 RGB square.

Every kind of image becomes what a person sees: turned as its EXIF says, its first frame, alpha laid on white, 16-bit
grey divided by 257, CMYK and palettes converted. Then the middle square is resized, which is "short side to the wanted
size, then the centre" in one step. EPS is refused, because Pillow would start Ghostscript on it.

Run as a script this file is a worker of decode_pool.py: it answers lines on stdin with pixels on stdout. It imports no
torch and nothing of ours, so that a worker starts at once.
"""

from __future__ import annotations

import functools
import json
import signal
import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

VERSION = 1  # part of the cache's key: raise it whenever a pixel may come out differently
COMMON = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def decode(path: str, size: int) -> NDArray[np.uint8]:
    """Return the image as (size, size, 3) uint8; raises whatever Pillow raises for a file it can't read."""
    with Image.open(path, formats=formats()) as image:
        return square(image, size)


def square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Return an opened image as (size, size, 3) uint8: turned, in RGB, the middle square resized."""
    # A JPEG decodes straight to 1/2, 1/4 or 1/8; twice the wanted size leaves the resize its antialiasing. Its last
    # line may then stand for less than a whole one: a stretch of far less than one of our pixels.
    image.draft(None, (2 * size, 2 * size))
    ImageOps.exif_transpose(image, in_place=True)
    rgb = to_rgb(image)
    width, height = rgb.size
    if (width, height) != (size, size):
        side = min(width, height)
        # Half a pixel counts where pixels are resampled anyway; where they are not, it would blur them.
        left, top = ((length - side) // 2 if side == size else (length - side) / 2 for length in (width, height))
        box = (left, top, left + side, top + side)
        rgb = rgb.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(rgb)


def in_channels(rgb: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 as the net takes it: (H, W, channels), channels 3, or 1 for grey."""
    return rgb if channels == 3 else np.asarray(Image.fromarray(rgb).convert("L"))[..., None]


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit RGB, transparent parts white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(to_grey(np.asarray(image)))
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def to_grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return grey values of more than 8 bits as uint8.

    Whole numbers within 16 bits keep the scale of their type (/ 257), fractions within [0, 1] theirs (x 255); anything
    else has no scale of its own and is stretched from its darkest to its brightest pixel.
    """
    with np.errstate(invalid="ignore"):  # a broken file's NaN may be a signalling one; it is refused in words below
        wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    if not np.isfinite(high - low):
        raise ValueError("pixels that are no numbers")
    whole = np.issubdtype(values.dtype, np.integer)
    if low >= 0 and high <= (65535 if whole else 1):
        wide = wide / 257 if whole else wide * 255
    else:
        wide = (wide - low) * (255 / max(high - low, 1e-300))
    return np.rint(wide).astype(np.uint8)


@functools.cache
def formats() -> list[str]:
    """Return the formats that may be opened; the common ones first, since they are tried in this order."""
    Image.init()
    return [name for name in COMMON if name in Image.OPEN] + sorted(set(Image.OPEN) - set(COMMON) - {"EPS"})


def decode_many(paths: list[str], size: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Return (len(paths), size, size, 3) uint8 and the positions that could not be read; these are left black."""
    images = np.zeros((len(paths), size, size, 3), np.uint8)
    failed = []
    for position, path in enumerate(paths):
        try:
            images[position] = decode(path, size)
        except (
            Exception
        ):  # a broken file can raise anything: OSError, SyntaxError, struct.error, DecompressionBombError
            failed.append(position)
    return images, failed


def serve() -> None:
    """Answer each line [size, paths] on stdin with one line of failed positions and the pixels on stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair; stdin ends with it
    for line in sys.stdin.buffer:
        size, paths = json.loads(line)
        images, failed = decode_many(paths, size)
        sys.stdout.buffer.write(json.dumps(failed).encode() + b"\n")
        sys.stdout.buffer.write(images.data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
