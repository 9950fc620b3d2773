"""Contact sheets: every pixel of a picture is a block, and what a tile says can be read off it."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from dashboard import images, sheets, theme
from dashboard.images import GAP, SIDE, TILE, Tile, as_picture, contact_sheet, describe

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 255, (16, 16, 1), dtype=np.uint8)
COLOR = GENERATOR.integers(0, 255, (32, 32, 3), dtype=np.uint8)
KEPT = Tile(GREY, GREY, 7, "7", 0.98, threshold=0.95, kept=True, right=True)


def read(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG" and picture.mode == "RGBA"
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(1, 4, (1, 1)), (4, 4, (1, 4)), (5, 4, (2, 4)), (3, 2, (2, 2))]
)
def test_a_sheet_has_the_size_of_its_grid(count: int, columns: int, shape: tuple[int, int]) -> None:
    sheet = read(contact_sheet([KEPT] * count, columns))
    assert sheet.shape == (shape[0] * (TILE + GAP) + GAP, shape[1] * (SIDE + GAP) + GAP, 4)


def test_an_empty_sheet_is_an_empty_picture() -> None:
    assert read(contact_sheet([]))[..., 3].max() == 0


@pytest.mark.parametrize(
    "image",
    [GREY, GREY[..., 0], GREY.transpose(2, 0, 1), COLOR, COLOR.transpose(2, 0, 1)],
    ids=lambda image: str(image.shape),
)
def test_small_images_are_enlarged_pixel_by_pixel(image: np.ndarray) -> None:
    plain = image.transpose(1, 2, 0) if image.ndim == 3 and image.shape[0] in (1, 3) else image
    size = plain.shape[0]
    factor = SIDE // size
    margin = (SIDE - factor * size) // 2
    picture = np.asarray(as_picture(image))
    assert picture.shape == (SIDE, SIDE, 4)
    for y, x in ((0, 0), (3, 5), (size - 1, size - 1)):
        block = picture[
            margin + y * factor : margin + (y + 1) * factor, margin + x * factor : margin + (x + 1) * factor, :3
        ]
        assert (block == np.broadcast_to(plain[y, x], (3,))).all()


def test_large_and_oblong_images_fit() -> None:
    picture = np.asarray(as_picture(np.full((400, 200, 3), 9, np.uint8)))
    assert picture.shape == (SIDE, SIDE, 4)
    opaque = picture[..., 3] > 0
    assert opaque.any(axis=1).sum() == SIDE and opaque.any(axis=0).sum() == SIDE // 2


def alpha_of_the_views(tile: Tile) -> int:
    sheet = read(contact_sheet([tile]))
    return int(sheet[GAP + SIDE // 2, GAP + SIDE // 2, 3])


def test_kept_is_framed_and_not_kept_is_faded() -> None:
    thrown = dataclasses.replace(KEPT, kept=False)
    unused = dataclasses.replace(KEPT, kept=None)
    assert alpha_of_the_views(KEPT) == alpha_of_the_views(unused) == 255 > 150 > alpha_of_the_views(thrown) > 0
    ink = np.array([int(theme.INK["light"][i : i + 2], 16) for i in (1, 3, 5)])
    frames = [(read(contact_sheet([tile]))[GAP + 60, GAP - 6, :3] == ink).all() for tile in (KEPT, thrown, unused)]
    assert frames == [True, False, False]


def bar(tile: Tile) -> np.ndarray:
    """The row of pixels through the middle of the confidence bar."""
    sheet = read(contact_sheet([tile]))
    return sheet[GAP + 2 * SIDE + 6 + 12 + images.NAME_ROW + 5, GAP : GAP + SIDE, :3]


def test_the_bar_is_as_long_as_the_confidence_and_the_tick_stands_at_the_threshold() -> None:
    row = bar(dataclasses.replace(KEPT, confidence=0.5, threshold=0.9))
    ink, tick = (
        np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) for color in (theme.INK["light"], theme.TICK["light"])
    )
    assert (row == ink).all(axis=1).sum() == pytest.approx(0.5 * SIDE, abs=2)
    assert np.flatnonzero((row == tick).all(axis=1)).mean() == pytest.approx(0.9 * SIDE, abs=3)
    assert not (bar(dataclasses.replace(KEPT, threshold=None)) == tick).all(axis=1).any()


def test_right_and_wrong_differ_in_shape_not_only_in_colour() -> None:
    signs = [
        read(contact_sheet([dataclasses.replace(KEPT, right=right, name="")]))[
            GAP + 2 * SIDE + 18 : GAP + 2 * SIDE + 62, -60:, 3
        ]
        for right in (True, False, None)
    ]
    assert signs[2].max() == 0
    assert (signs[0] != signs[1]).sum() > 50


@pytest.mark.parametrize(
    "name", ["a very long class name that goes on and on", "\u732b", "Gr\u00f6\u00dfe", "", "two\nlines"]
)
def test_any_name_stays_inside_its_tile(name: str) -> None:
    sheet = read(
        contact_sheet([dataclasses.replace(KEPT, name=name, kept=None), dataclasses.replace(KEPT, kept=None)], 2)
    )
    gap = sheet[GAP + 2 * SIDE + 10 :, GAP + SIDE + 4 : 2 * GAP + SIDE - 2, 3]
    assert gap.max() == 0


def test_names_that_differ_at_their_ends_are_told_apart() -> None:
    one, other = (dataclasses.replace(KEPT, name=f"a very long name of a class_{k}") for k in (1, 2))
    assert contact_sheet([one]) != contact_sheet([other])


def test_every_line_of_words_below_a_picture_is_there() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    one, two = (read(sheets.grid([picture], [words], 1)) for words in ("animal_023", "animal_023\n4 %"))
    assert two.shape[0] == one.shape[0] + sheets.LINE and two[-sheets.LINE - sheets.GAP :, :, 3].max() > 0


def test_letters_that_the_font_lacks_become_the_number_of_the_class() -> None:
    unknown = contact_sheet([dataclasses.replace(KEPT, name="\U0010fffe")])
    assert unknown == contact_sheet([dataclasses.replace(KEPT, name="class 7")])


def test_the_sheet_in_words() -> None:
    tiles = [KEPT, dataclasses.replace(KEPT, kept=False, right=False), dataclasses.replace(KEPT, right=None)]
    assert describe(tiles) == "3 images, each with weak view, strong view and guess, 2 kept, 1 of 2 guessed right"
    assert describe(tiles[:1]) == "1 image with weak view, strong view and guess, 1 kept, 1 of 1 guessed right"
