"""What `data` warns of: copies across the parts, two labels on one image, tiny and lopsided classes; on a folder of mixed formats."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sslcore import data
from sslcore.__main__ import main
from sslcore.config import DataConfig
from sslcore.data import health


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data, "_recent", OrderedDict())


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """cat: 24 images, dog: 2; one test image is a training image saved as another kind of file, one image has two labels."""
    root = tmp_path / "pets"
    for k in range(24):
        draw(root / "train" / "cat" / f"{k}.{('png', 'bmp', 'tif', 'gif')[k % 3]}", k)
    draw(root / "train" / "cat" / "again.bmp", 3)
    draw(root / "train" / "dog" / "0.png", 100)
    draw(root / "train" / "dog" / "a_cat.png", 5)
    draw(root / "test" / "cat" / "new.png", 200)
    draw(root / "test" / "cat" / "old.tif", 6)
    draw(root / "test" / "dog" / "1.png", 101)
    (root / "train" / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return root


def test_each_warning_with_its_images(pets: Path) -> None:
    found = health.examine(data.load(DataConfig(source=f"folder:{pets}", image_size=8)))
    assert found.leaks == (("test/cat/old.tif", "train/cat/6.png"),)
    assert found.quarrels == (("train/cat/5.tif", "train/dog/a_cat.png"),)
    assert found.repeats == (("train/cat/3.png", "train/cat/again.bmp"),)
    assert found.train == (25, 2) and found.test == (2, 1)
    leak, quarrel, tiny, lopsided, repeat = found.warnings()
    assert leak.startswith(
        "1 test image is also in the training part, pixel by pixel: test/cat/old.tif = train/cat/6.png."
    )
    assert quarrel.startswith("1 training image is in two classes at once: train/cat/5.tif = train/dog/a_cat.png.")
    assert tiny == "Fewer than 10 labelled training images in: dog (2). What is learnt about these is luck."
    assert lopsided.startswith("cat has 12 times as many training images as dog")
    assert repeat == "1 training image is there twice: train/cat/3.png = train/cat/again.bmp."


def counted(*train: int, **pairs: tuple[health.Pair, ...]) -> tuple[str, ...]:
    """The warnings of a data set with so many labelled training images in its classes a, b, c, ..."""
    nothing: dict[str, tuple[health.Pair, ...]] = {"leaks": (), "quarrels": (), "repeats": ()}
    names = tuple("abcdefgh"[: len(train)])
    return health.Health(names, train, train, unlabeled=0, **(nothing | pairs)).warnings()


def test_ten_images_are_not_tiny_and_ten_times_as_many_are_lopsided() -> None:
    assert counted(10, 99) == ()
    (tiny,) = counted(9, 89)
    assert tiny.startswith("Fewer than 10 labelled training images in: a (9).")
    (lopsided,) = counted(100, 10)
    assert lopsided.startswith("a has 10 times as many training images as b:")


def test_of_many_only_a_few_are_named() -> None:
    (tiny,) = counted(3, 4, 5, 6, 7, 8, 9, 20)
    assert "in: a (3), b (4), c (5), d (6), e (7) and 2 more." in tiny
    pairs = tuple((f"test/{k}", f"train/{k}") for k in range(5))
    (leak,) = counted(10, 10, leaks=pairs)
    assert leak.startswith("5 test images are also")
    assert "test/0 = train/0, test/1 = train/1, test/2 = train/2 and 2 more." in leak


def test_a_copy_without_a_label_is_a_repeat_and_no_quarrel(pets: Path) -> None:
    draw(pets / "train" / "unlabeled" / "cat.png", 7)
    found = health.examine(data.load(DataConfig(source=f"folder:{pets}", image_size=8)))
    assert ("train/cat/7.bmp", "train/unlabeled/cat.png") in found.repeats and len(found.quarrels) == 1


def test_nothing_is_said_of_the_digits_but_what_is_so() -> None:
    images = data.load(DataConfig())
    found = health.examine(images)
    flat = [image.tobytes() for image in images.train_images.numpy()]
    assert len(found.repeats) + len(found.quarrels) == len(flat) - len(set(flat))
    assert sum(found.train) == 1437 and not any("Fewer than" in warning for warning in found.warnings())


def test_the_command_line_tells_it_of_a_folder_and_of_a_zip(pets: Path, tmp_path: Path, capsys: Any) -> None:
    import shutil

    packed = shutil.make_archive(str(tmp_path / "mine"), "zip", pets)
    for source in (f"folder:{pets}", packed):
        assert main(["data", source, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["classes"] == {"cat": 25, "dog": 2} and len(told["warnings"]) == 5
        assert any("1 file could not be read as an image: train/dog/broken.jpg." in note for note in told["notes"])
    assert told["source"].startswith(f"folder:{tmp_path / 'data'}") and told["title"] == "Folder mine"
    assert main(["data", str(tmp_path / "no.zip")]) == 2
    assert "no.zip can't be opened: No such file" in capsys.readouterr().err
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    assert main(["data", str(tmp_path / "bad.zip")]) == 2
    assert "not a complete zip" in capsys.readouterr().err


def test_the_sample_is_spread_over_the_class() -> None:
    images = data.load(DataConfig())
    first = np.flatnonzero(images.train_labels.numpy() == 3)
    shown = health.sample(images, 3, 5)
    assert len(shown) == 5 and np.array_equal(shown[0], images.train_images[first[0]].numpy())
    assert np.array_equal(shown[-1], images.train_images[first[-1]].numpy())
    assert len(health.sample(images, 3, 10_000)) == len(first)
