"""Every kind of image file becomes what a person sees."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sslcore.data import decode as module
from sslcore.data.decode import decode, decode_many

SIZE = 16


def picture(height: int = SIZE, width: int = SIZE) -> NDArray[np.uint8]:
    """A picture without any symmetry, so that each turn of it is another one."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows * columns) % 251], -1).astype(np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> str:
    image.save(path, **options)  # type: ignore[arg-type]
    return str(path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.tga", "a.webp", "no_extension", "wrong.jpg"])
def test_lossless_formats_of_the_right_size_come_through_untouched(tmp_path: Path, name: str) -> None:
    kind = {"a.webp": "WEBP", "no_extension": "PNG", "wrong.jpg": "PNG"}.get(name)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    path = saved(tmp_path / name, Image.fromarray(picture()), format=kind, **options)
    assert np.array_equal(decode(path, SIZE), picture())


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(picture()), quality=60)
    with Image.open(path) as image:
        assert np.array_equal(decode(path, SIZE), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("height,width", [(16, 40), (41, 16), (33, 71), (5, 9), (1, 1), (30, 30)])
def test_short_side_then_centre(tmp_path: Path, height: int, width: int) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(picture(height, width)))
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(np.ascontiguousarray(picture(height, width)[top : top + side, left : left + side]))
    wanted = np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    # The filter also sees the two source pixels beside the square: within their reach the twin may differ.
    reach = 0 if height == width or side == SIZE else 2 * max(1, SIZE // side)
    inner = slice(reach, SIZE - reach)
    assert np.abs(decode(path, SIZE)[inner, inner].astype(int) - wanted[inner, inner]).max() <= 1


def test_a_very_long_picture(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGB", (3000, 1), (7, 8, 9)))
    assert (decode(path, SIZE) == (7, 8, 9)).all()


def test_large_jpegs_and_pngs_stay_close_to_the_full_way(tmp_path: Path) -> None:
    """draft() and reducing_gap save most of the time; against decoding all and one antialiased resize."""
    rows, columns = np.mgrid[0:700, 0:1000]
    waves = 127 + 60 * np.sin(rows / 91) + 60 * np.sin(columns / 97)
    image = Image.fromarray(np.stack([waves, rows / 3, columns / 4], -1).astype(np.uint8))
    wanted = np.asarray(ImageOps.fit(image, (SIZE, SIZE), Image.Resampling.BICUBIC)).astype(int)
    for name in ("a.jpg", "a.png"):
        got = decode(saved(tmp_path / name, image, quality=95), SIZE)
        assert np.abs(got - wanted).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_exif_orientation(tmp_path: Path, orientation: int, name: str) -> None:
    """EXIF says which side of the upright picture the stored first row and first column are."""
    upright = picture(24, 16)
    row_side, column_side = [
        *(("top", "left"), ("top", "right"), ("bottom", "right"), ("bottom", "left")),
        *(("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom")),
    ][orientation - 1]
    height, width = upright.shape[:2]
    rows, columns = (height, width) if row_side in ("top", "bottom") else (width, height)
    stored = np.zeros((rows, columns, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            place = {row_side: row, column_side: column}
            y = place["top"] if "top" in place else height - 1 - place["bottom"]
            x = place["left"] if "left" in place else width - 1 - place["right"]
            stored[row, column] = upright[y, x]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if name.endswith("jpg") else {}
    path = saved(tmp_path / name, Image.fromarray(stored), exif=exif, **options)
    error = np.abs(decode(path, 16).astype(int) - upright[4:20])
    assert error.mean() < 3 if name.endswith("jpg") else error.max() == 0


def test_alpha_lies_on_white(tmp_path: Path) -> None:
    alpha = np.linspace(0, 255, SIZE * SIZE).reshape(SIZE, SIZE, 1).astype(np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(np.concatenate([picture(), alpha], -1)))
    share = alpha / 255.0
    assert np.abs(decode(path, SIZE) - (picture() * share + 255 * (1 - share))).max() <= 1
    grey = np.stack([picture()[..., 0], alpha[..., 0]], -1)
    bands = [Image.fromarray(np.ascontiguousarray(grey[..., band])) for band in (0, 1)]
    path = saved(tmp_path / "la.png", Image.merge("LA", bands))
    wanted = grey[..., :1] * share + 255 * (1 - share)
    assert np.abs(decode(path, SIZE) - np.repeat(wanted, 3, -1)).max() <= 1


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (SIZE, SIZE), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(0, (0, 0, 8, SIZE))
    for name in ("a.png", "a.gif"):
        got = decode(saved(tmp_path / name, image), SIZE)
        assert (got[:, :8] == (10, 20, 30)).all() and (got[:, 8:] == (200, 100, 50)).all()
        got = decode(saved(tmp_path / name, image, transparency=0), SIZE)
        assert (got[:, :8] == 255).all() and (got[:, 8:] == (200, 100, 50)).all()


def test_transparent_colour_of_an_rgb_png(tmp_path: Path) -> None:
    image = Image.new("RGB", (SIZE, SIZE), (9, 8, 7))
    image.paste((1, 2, 3), (0, 0, 8, SIZE))
    got = decode(saved(tmp_path / "a.png", image, transparency=(1, 2, 3)), SIZE)
    assert (got[:, :8] == 255).all() and (got[:, 8:] == (9, 8, 7)).all()


def test_grey_and_black_and_white(tmp_path: Path) -> None:
    grey = picture()[..., 0]
    assert np.array_equal(
        decode(saved(tmp_path / "a.png", Image.fromarray(grey)), SIZE), np.repeat(grey[..., None], 3, -1)
    )
    bits = Image.fromarray(grey).convert("1")
    got = decode(saved(tmp_path / "b.png", bits), SIZE)
    assert np.array_equal(got[..., 0] > 0, np.asarray(bits)) and set(got.ravel().tolist()) == {0, 255}


def test_cmyk_jpeg(tmp_path: Path) -> None:
    image = Image.new("RGB", (SIZE, SIZE), (200, 40, 90)).convert("CMYK")
    assert np.abs(decode(saved(tmp_path / "a.jpg", image, quality=95), SIZE) - np.array([200, 40, 90])).max() <= 4


@pytest.mark.parametrize("name,order", [("a.png", "<u2"), ("a.tif", "<u2"), ("b.tif", ">u2")])
def test_sixteen_bit_grey(tmp_path: Path, name: str, order: str) -> None:
    grey = picture()[..., 2]
    path = saved(tmp_path / name, Image.fromarray((grey.astype(np.uint16) * 257).astype(order)))
    assert np.array_equal(decode(path, SIZE), np.repeat(grey[..., None], 3, -1))


def test_values_without_a_scale_of_their_own(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, SIZE * SIZE).reshape(SIZE, SIZE)
    wanted = np.rint(ramp * 255)
    for number, values in enumerate(
        (ramp.astype(np.float32), (ramp * 3000 - 1000).astype(np.float32), (ramp * 4e6).astype(np.int32))
    ):
        got = decode(saved(tmp_path / f"{number}.tif", Image.fromarray(values)), SIZE)
        assert np.abs(got[..., 0] - wanted).max() <= 1
    assert (decode(saved(tmp_path / "flat.tif", Image.fromarray(np.full((8, 8), -3, np.float32))), SIZE) == 0).all()


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_first_frame_of_an_animation(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:], **options)
    assert np.abs(decode(path, SIZE) - np.array([250, 0, 0])).max() <= 6


def test_bad_files_are_reported_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = saved(tmp_path / "good.png", Image.fromarray(picture()))
    whole = saved(tmp_path / "whole.jpg", Image.fromarray(picture(200, 200)))
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(Path(whole).read_bytes()[:2000])
    short = tmp_path / "short.png"
    short.write_bytes(Path(good).read_bytes()[:60])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.txt").write_text("no image")
    # Pillow would start Ghostscript on this one.
    (tmp_path / "script.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n"
    )
    nan = saved(tmp_path / "nan.tif", Image.fromarray(np.full((8, 8), np.nan, np.float32)))
    names = [
        str(cut),
        good,
        str(short),
        *(str(tmp_path / n) for n in ("empty.png", "text.txt", "script.eps", "gone.png")),
        nan,
    ]
    images, failed = decode_many(names, SIZE)
    assert failed == [0, 2, 3, 4, 5, 6, 7]
    assert np.array_equal(images[1], picture()) and not images[failed].any()

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # the 200 x 200 one is now a decompression bomb
    assert decode_many([good, whole], SIZE)[1] == [1]


def test_eps_is_not_even_tried(tmp_path: Path) -> None:
    assert "EPS" not in module.formats() and {"JPEG", "PNG", "GIF", "WEBP", "TIFF"} <= set(module.formats())


def test_a_broken_number_is_refused_without_a_warning() -> None:
    signalling = np.full((8, 8), 0x7FA00000, np.uint32).view(np.float32)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="no numbers"):
        warnings.simplefilter("error")
        module.to_grey(signalling)
