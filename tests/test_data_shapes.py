"""The drawings: the same on every machine, in equal numbers, each cue a hint and no more, every class recognisable."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from numpy.typing import NDArray

from sslcore import __main__, data
from sslcore.config import DataConfig
from sslcore.data import cache, shapes
from sslcore.data.image_set import ImageSet
from sslcore.data.outlines import OUTLINES, Dice

CONFIG = DataConfig(source="shapes")
PILLOW = tuple(int(number) for number in PIL.__version__.split(".")[:2])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageSet]:
    """All 6,000 pictures, drawn once for this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSLLAB_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setattr(data, "_recent", OrderedDict())
        yield data.load(CONFIG)


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of 20 + 10 pictures and an empty cache."""
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data, "_recent", OrderedDict())
    monkeypatch.setattr(shapes, "TRAIN", 20)
    monkeypatch.setattr(shapes, "TEST", 10)


def test_counts_and_names(drawn: ImageSet) -> None:
    assert drawn.train_images.shape == (5000, 32, 32, 3) and drawn.test_images.shape == (1000, 32, 32, 3)
    assert drawn.counts("train") == (500,) * 10 and drawn.counts("test") == (100,) * 10
    assert drawn.class_names == tuple(OUTLINES) == tuple(shapes.HABITS) and drawn.num_unlabeled == 0
    assert drawn.source == "shapes" and drawn.flip is True
    assert min(drawn.std) > 0.15  # colourful: no channel is flat


def test_no_picture_comes_twice_so_train_and_test_share_none(drawn: ImageSet) -> None:
    contents = {image.numpy().tobytes() for part in (drawn.train_images, drawn.test_images) for image in part}
    assert len(contents) == 6000


@pytest.mark.skipif(PILLOW < (11, 2), reason="Pillow 11.2 changed how polygons are filled")
def test_the_same_on_every_machine(drawn: ImageSet) -> None:
    """A checkpoint knows its data by this; were it to change, every run on shapes could no longer be resumed."""
    assert drawn.fingerprint == "dad933623c1ba54d2c7570ef3ea623d3d16b8550a4d2267d47b7f8f09421bbe3"


def test_a_picture_depends_on_its_number_alone(drawn: ImageSet) -> None:
    for number in (4999, 0, 123):
        np.testing.assert_array_equal(shapes.picture(number), drawn.train_images[number].numpy())
    np.testing.assert_array_equal(shapes.picture(5007), drawn.test_images[7].numpy())


def test_dice_are_fair_and_in_range() -> None:
    dice = Dice(1, 2)
    values = np.array([dice.between(-1.0, 3.0) for _ in range(4000)])
    assert values.min() >= -1 and values.max() < 3 and abs(values.mean() - 1) < 0.08
    assert set(Counter(dice.index(3) for _ in range(300))) == {0, 1, 2}
    assert 0.2 < np.mean([dice.chance(0.25) for _ in range(2000)]) < 0.3
    octets = dice.octets(1001)
    assert octets.shape == (1001,) and octets.dtype == np.uint8 and 115 < octets.mean() < 140
    # PCG64's first number for this key; NumPy promises to keep it.
    assert Dice(1, 2).octets(8).tobytes() == int(np.random.PCG64((1, 2)).random_raw()).to_bytes(8, "little")


@pytest.mark.parametrize("cue", ["hue", "pattern", "scene"])
def test_each_cue_helps_and_misleads(cue: str) -> None:
    """Guess the class from one cue with the best possible table: far better than chance, far from sure."""
    seen: dict[str, Counter[str]] = {}
    names = list(OUTLINES)
    for number in range(4000):
        name = names[number % 10]
        seen.setdefault(getattr(shapes.deal(name, Dice(9, number)), cue), Counter())[name] += 1
    right = sum(max(classes.values()) for classes in seen.values()) / 4000
    assert 0.17 < right < 0.45
    assert all(len(classes) == 10 for classes in seen.values())  # no cue rules a class out


def features(images: torch.Tensor) -> NDArray[np.float64]:
    """Return the pictures at 8 x 8, as differences from their own mean colour, and a one: (N, 193)."""
    small = images.numpy().astype(np.float64).reshape(-1, 8, 4, 8, 4, 3).mean((2, 4)) / 255
    small -= small.mean((1, 2), keepdims=True)
    return np.concatenate([small.reshape(len(small), -1), np.ones((len(small), 1))], 1)


def test_every_class_is_recognisable(drawn: ImageSet) -> None:
    """Even a linear rule on 8 x 8 pixels finds each class several times as often as the 10 % of chance."""
    x, y = features(drawn.train_images), drawn.train_labels.numpy()
    weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ np.eye(10)[y])
    guess = (features(drawn.test_images) @ weights).argmax(1)
    for label, name in enumerate(drawn.class_names):
        found = (guess[drawn.test_labels.numpy() == label] == label).mean()
        assert found > 0.5, f"{name} {found:.0%}"


def test_mirroring_keeps_the_class(drawn: ImageSet) -> None:
    """The mean picture of a class lies nearer to its own mirror image than to any other class's mean picture."""
    means = torch.stack([drawn.train_images[drawn.train_labels == label].float().mean(0) for label in range(10)])
    distance = torch.cdist(means.flatten(1), means.flip(2).flatten(1))
    assert distance.argmin(1).tolist() == list(range(10))


def test_second_start_draws_nothing(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.load(CONFIG)
    monkeypatch.setattr(data, "_recent", OrderedDict())
    monkeypatch.setattr(shapes, "picture", None)  # a call of it would raise
    second = data.load(CONFIG)
    assert second is not first and second.fingerprint == first.fingerprint


def test_a_cache_of_another_size_is_drawn_anew(few: None) -> None:
    cache.save(shapes.CACHE_NAME, {"images": np.zeros((30, 16, 16, 3), np.uint8)})
    assert data.load(CONFIG).train_images.shape == (20, 32, 32, 3)


def test_works_where_nothing_can_be_kept(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "file"))
    assert any("could not be kept" in note for note in data.load(CONFIG).notes)


def test_progress_is_told_and_may_end_it(monkeypatch: pytest.MonkeyPatch, few: None) -> None:
    monkeypatch.setattr(shapes, "TRAIN", 490)
    told = []
    data.load(CONFIG, lambda what, done, total: told.append((what, done, total)))
    assert told == [("Drawing shapes", 250, 500), ("Drawing shapes", 500, 500)]

    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shapes, "TRAIN", 240)
    monkeypatch.setattr(data, "_recent", OrderedDict())
    with pytest.raises(KeyboardInterrupt):
        data.load(CONFIG, stop)


def test_command_line_describes_it(few: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["data", "shapes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"]["hot-air balloon"] == 2 and found["image_size"] == [32, 32] and found["channels"] == 3
