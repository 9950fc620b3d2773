"""Uploaded pictures: the right picture or one clear sentence, whatever the bytes are, and nothing on the disk."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sslcore.data import upload
from sslcore.data.decode import decode
from sslcore.data.upload import UploadError, picture

SIZE = 16
_writes: list[str] = []
_listening = False


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if not _listening:
        return
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        _writes.append(str(args[0]))
    elif event in ("os.rename", "os.mkdir", "shutil.copyfile", "tempfile.mkstemp", "os.link", "os.symlink"):
        _writes.append(f"{event} {args}")


sys.addaudithook(_listen)  # of the interpreter itself; it can't be taken away again, only told to be quiet


def pattern(height: int = 24, width: int = 24) -> NDArray[np.uint8]:
    """A picture without any symmetry, so that each turn of it is another one."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows * columns) % 251], -1).astype(np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds next to nothing: what a decompression bomb looks like."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def sentence(content: bytes) -> str:
    with pytest.raises(UploadError) as caught:
        picture(content, SIZE)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and len(message) < 200
    return message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_a_picture_is_what_decode_makes_of_the_file(tmp_path: Path, kind: str) -> None:
    content = saved(Image.fromarray(pattern(24, 40)), kind)
    (tmp_path / "file").write_bytes(content)
    found = picture(content, SIZE)
    assert found.pixels.shape == (SIZE, SIZE, 3) and found.pixels.dtype == np.uint8
    assert np.array_equal(found.pixels, decode(str(tmp_path / "file"), SIZE))
    assert found.notes == ("Its middle square is used (24 of 40 x 24 pixels).",)


def test_one_channel_is_pillows_grey() -> None:
    content = saved(Image.fromarray(pattern(SIZE, SIZE)))
    grey = picture(content, SIZE, channels=1).pixels
    assert grey.shape == (SIZE, SIZE, 1)
    assert np.array_equal(grey[..., 0], np.asarray(Image.fromarray(pattern(SIZE, SIZE)).convert("L")))
    with pytest.raises(ValueError, match="channels must be 1 or 3, got 2"):
        picture(content, SIZE, channels=2)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_photograph_stands_upright(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    upright = Image.fromarray(pattern(SIZE, SIZE))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(undo[turn]) if turn in undo else upright
    assert np.array_equal(picture(saved(stored, exif=exif), SIZE).pixels, pattern(SIZE, SIZE))
    tall = Image.fromarray(pattern(2 * SIZE, SIZE))  # 16 wide, 32 high, as it is seen
    for kind in ("PNG", "JPEG", "WEBP"):
        content = saved(tall.transpose(undo[turn]) if turn in undo else tall, kind, exif=exif)
        assert picture(content, SIZE).notes == (f"Its middle square is used ({SIZE} of {SIZE} x {2 * SIZE} pixels).",)


def test_every_kind_of_pixel_becomes_rgb() -> None:
    base = Image.fromarray(pattern(SIZE, SIZE))
    palette = base.quantize(64)
    assert np.array_equal(picture(saved(palette), SIZE).pixels, np.asarray(palette.convert("RGB")))
    cmyk = picture(saved(base.convert("CMYK"), "TIFF"), SIZE).pixels
    assert np.abs(cmyk.astype(int) - pattern(SIZE, SIZE)).max() <= 2
    jpeg = picture(saved(base.convert("CMYK"), "JPEG", quality=95), SIZE).pixels
    assert np.abs(jpeg.astype(int) - pattern(SIZE, SIZE)).mean() < 12
    wide = Image.fromarray((pattern(SIZE, SIZE)[..., 0].astype(np.uint16)) * 257)
    assert np.array_equal(picture(saved(wide), SIZE).pixels[..., 0], pattern(SIZE, SIZE)[..., 0])
    clear = base.convert("RGBA")
    clear.putalpha(0)
    assert (picture(saved(clear), SIZE).pixels == 255).all()  # transparent: the white paper below
    assert (picture(saved(Image.new("1", (SIZE, SIZE), 1)), SIZE).pixels == 255).all()


def test_an_animation_shows_its_first_frame_and_says_so() -> None:
    frames = [Image.new("RGB", (SIZE, SIZE), color) for color in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        found = picture(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options), SIZE)
        assert (found.pixels == (255, 0, 0)).all(), kind
        assert "first one is shown" in found.notes[0], kind


def test_one_pixel_and_very_wide_pictures_come_through() -> None:
    found = picture(saved(Image.new("RGB", (1, 1), (7, 8, 9))), SIZE)
    assert (found.pixels == (7, 8, 9)).all() and "enlarged to 16 x 16" in found.notes[0]
    wide = Image.new("RGB", (20_000, 40), (1, 2, 3))
    wide.paste((200, 100, 50), (9_900, 0, 10_100, 40))  # the filter also sees the neighbours of the middle square
    found = picture(saved(wide), SIZE)
    assert (found.pixels == (200, 100, 50)).all() and "40 of 20,000 x 40" in found.notes[0]
    assert picture(saved(Image.new("RGB", (20_000, 1))), SIZE).pixels.shape == (SIZE, SIZE, 3)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("a bomb was decoded")

    monkeypatch.setattr(upload, "square", never)
    assert "12,000 x 12,000, that is 144 million pixels; at most 50" in sentence(png_header(12_000, 12_000))
    for side in (20_000, 2**31 - 1):  # Pillow refuses these by itself
        assert "more than 170 million pixels; at most 50" in sentence(png_header(side, side))


def test_a_file_that_is_no_picture_gets_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sentence(b"") == "The file is empty."
    for content in (b"hello", b"%PDF-1.7\n", b"PK\x03\x04" + bytes(100), b"<svg xmlns='x'/>", bytes(1000)):
        assert "not a picture that can be read; the formats are JPEG, PNG, GIF, BMP, WebP, TIFF" in sentence(content)
    assert "not a picture" in sentence(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # would start Ghostscript
    assert "not a picture" in sentence(saved(Image.new("RGB", (4, 4)), "TGA"))
    monkeypatch.setattr(upload, "MAX_MEGABYTES", 1)
    assert "The file has 2 MB; at most 1 MB" in sentence(bytes(2 * 10**6))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_a_cut_or_broken_file_gets_one_sentence_or_a_picture(kind: str) -> None:
    rng = np.random.default_rng(0)
    content = saved(Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    assert "damaged or was cut short" in sentence(content[: len(content) * 2 // 3])
    for _ in range(60):  # whatever is wrong inside, nothing but UploadError comes out
        broken = bytearray(content)
        for place in rng.integers(0, len(broken), 8):
            broken[place] = rng.integers(0, 256)
        try:
            assert picture(bytes(broken), SIZE).pixels.shape == (SIZE, SIZE, 3)
        except UploadError as problem:
            assert "\n" not in str(problem)


def test_nothing_is_written_to_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    global _listening
    contents = [saved(Image.fromarray(pattern(64, 64)), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]
    contents += [saved(Image.fromarray(pattern(64, 64)), "TIFF", compression="tiff_lzw"), b"no picture"]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    picture(contents[0], SIZE)  # modules that are imported the first time write .pyc files
    _writes.clear()
    _listening = True
    try:
        for content in contents:
            if content == b"no picture":
                with pytest.raises(UploadError):
                    picture(content, SIZE)
            else:
                picture(content, SIZE)
        assert _writes == []
        (tmp_path / "proof").write_text("the listener hears")
        assert len(_writes) == 1
    finally:
        _listening = False
    assert [path.name for path in tmp_path.iterdir()] == ["proof"]
