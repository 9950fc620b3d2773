"""A picture that a person uploads: bytes -> one small uint8 square, in memory only.

The bytes come from anywhere, so they are measured before they are decoded, opened as one of the common formats alone,
and whatever Pillow raises becomes one sentence. Nothing is written to disk and nothing is kept. What a picture becomes
is decode.py's affair: turned as its EXIF says, first frame, alpha on white, the middle square.
"""

from __future__ import annotations

import io
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from sslcore.data.decode import COMMON, formats, in_channels, square

MAX_MEGABYTES = 20  # of the file: a phone's photograph has 2 to 15
MAX_MEGAPIXELS = 50  # decoded: the largest that a phone commonly makes; 150 MB while it is being made small
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that turn a picture by a quarter
ACCEPTED = (*COMMON, "AVIF")


class UploadError(ValueError):
    """A file that can't be shown; the message is one sentence for the person who chose it."""


class Picture(NamedTuple):
    """What came of an upload."""

    pixels: NDArray[np.uint8]  # (size, size, channels)
    notes: tuple[str, ...]  # sentences on what was changed: cropped, first frame, ...


def picture(content: bytes, size: int, channels: int = 3) -> Picture:
    """Return the middle square of an uploaded picture as (size, size, channels) uint8; channels 3, or 1 for grey.

    UploadError for a file that is empty, too large, no picture, of another format, damaged or cut short.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")
    if not content:
        raise UploadError("The file is empty.")
    if len(content) > MAX_MEGABYTES * 10**6:
        raise UploadError(
            f"The file has {len(content) / 1e6:,.0f} MB; at most {MAX_MEGABYTES} MB can be taken. Make it smaller first."
        )
    readable = [name for name in formats() if name in ACCEPTED]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata, and Pillow's own, later limit on pixels
            with Image.open(io.BytesIO(content), formats=readable) as image:
                notes = _notes(image, size)
                rgb = square(image, size)
    except UploadError:
        raise
    except UnidentifiedImageError:
        names = ", ".join(name.replace("WEBP", "WebP") for name in readable)
        raise UploadError(f"This is not a picture that can be read; the formats are {names}.") from None
    except Image.DecompressionBombError:
        raise UploadError(_too_many("more than 170")) from None
    except MemoryError:
        raise UploadError("The picture needs more memory than there is. Make it smaller first.") from None
    except Exception:  # a damaged file can raise anything: OSError, SyntaxError, ValueError, struct.error, IndexError
        raise UploadError("The picture can't be read to its end: the file is damaged or was cut short.") from None
    return Picture(np.ascontiguousarray(in_channels(rgb, channels)), notes)


def _notes(image: Image.Image, size: int) -> tuple[str, ...]:
    """Check the size that the header promises, and say what will be changed, with width and height as they are seen."""
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 10**6:
        raise UploadError(_too_many(f"{width:,} x {height:,}, that is {width * height / 1e6:,.0f}"))
    if image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS:
        width, height = height, width
    notes = []
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a phone's extra pictures are no frames
        notes.append("It has several frames or pages; the first one is shown.")
    if width != height:
        notes.append(f"Its middle square is used ({min(width, height):,} of {width:,} x {height:,} pixels).")
    if min(width, height) < size:
        notes.append(f"It was enlarged to {size} x {size} pixels.")
    return tuple(notes)


def _too_many(have: str) -> str:
    return (
        f"The picture has {have} million pixels; at most {MAX_MEGAPIXELS} million can be taken. Make it smaller first."
    )
