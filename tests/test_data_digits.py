"""The embedded digits: what they are, the fixed test part, and what every ImageSet must hold."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sslcore import data
from sslcore.config import ConfigError, DataConfig
from sslcore.data.image_set import DataError, ImageSet, build, channel_stats, fingerprint


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data, "_recent", OrderedDict())


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart: nothing in memory, the files still there."""
    monkeypatch.setattr(data, "_recent", OrderedDict())


def test_digits_are_scikit_learns_enlarged() -> None:
    from sklearn.datasets import load_digits

    got = data.load(DataConfig())
    assert got.train_images.shape == (1437, 16, 16, 1) and got.test_images.shape == (360, 16, 16, 1)
    assert got.counts("test") == (36,) * 10 and got.class_names == tuple("0123456789")
    assert got.flip is False and "8 x 8" in got.title and "16 x 16" in got.title
    assert got.num_unlabeled == 0 and got.channels == 1

    # The same images one by one, the plain way; as multisets with their labels, since the split reorders them.
    bunch = load_digits()
    wanted = []
    for scan, label in zip(bunch.images, bunch.target, strict=True):
        small = Image.fromarray(np.array([[round(value * 255 / 16) for value in row] for row in scan], np.uint8))
        wanted.append((np.asarray(small.resize((16, 16), Image.Resampling.BILINEAR)).tobytes(), int(label)))
    images = torch.cat([got.train_images, got.test_images])
    labels = torch.cat([got.train_labels, got.test_labels])
    assert sorted((image.numpy().tobytes(), int(label)) for image, label in zip(images, labels, strict=True)) == sorted(
        wanted
    )


def test_digits_are_the_same_on_every_machine() -> None:
    """A checkpoint knows its data by this; were it to change, every run on digits could no longer be resumed."""
    assert data.load(DataConfig()).fingerprint == "a61a226c1fdce7571f1e55dcdf37baac51273c58eb28c7eaf72cd61d26851f51"


def test_second_start_reads_the_cache_and_imports_no_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.load(DataConfig())
    forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # an import of it would raise
    second = data.load(DataConfig())
    assert second is not first and second.fingerprint == first.fingerprint


def test_same_config_same_object() -> None:
    assert data.load(DataConfig()) is data.load(DataConfig(labels=10, val=3))
    assert data.load(DataConfig(flip="on")) is not data.load(DataConfig())


@pytest.mark.parametrize(("flip", "wanted"), [("auto", False), ("on", True), ("off", False)])
def test_flip_setting(flip: str, wanted: bool) -> None:
    assert data.load(DataConfig(flip=flip)).flip is wanted


def test_works_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "file"))
    assert len(data.load(DataConfig()).train_labels) == 1437


def test_unknown_source() -> None:
    with pytest.raises(
        ConfigError,
        match=r"data\.source must be one of digits, shapes, cifar10, cifar100, svhn, stl10, fashion_mnist, folder:PATH, got 'mnist'",
    ):
        data.load(DataConfig(source="mnist"))
    with pytest.raises(ConfigError, match="got 'folder:'"):
        data.load(DataConfig(source="folder:"))


def test_data_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert data.data_root() == tmp_path / "data"
    monkeypatch.delenv("SSLLAB_DATA")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for platform, variable, wanted in (
        ("linux", "XDG_CACHE_HOME", ".cache/ssl-lab"),
        ("darwin", "XDG_CACHE_HOME", "Library/Caches/ssl-lab"),
        ("win32", "LOCALAPPDATA", "AppData/Local/ssl-lab"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.delenv(variable, raising=False)
        assert data.data_root() == tmp_path / wanted
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert data.data_root() == tmp_path / "local" / "ssl-lab"


def test_importing_data_imports_no_source() -> None:
    slow = ("sklearn", "torchvision", "streamlit", "pandas")
    code = f"import sys, sslcore.data; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("channels", [1, 3])
def test_channel_stats_equal_float64(channels: int) -> None:
    images = torch.randint(0, 256, (300, 9, 33, channels), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images[..., 0] //= 2
    mean, std = channel_stats(images)
    wide = images.numpy().astype(np.float64).reshape(-1, channels) / 255
    np.testing.assert_allclose(mean, wide.mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, wide.std(0), rtol=1e-9)
    assert channel_stats(torch.full((3, 4, 4, channels), 7, dtype=torch.uint8))[1] == (1 / 255,) * channels


def tiny(**changes: object) -> ImageSet:
    """A valid set of 6 + 2 grey images with two classes, changed by name."""
    images = torch.arange(8 * 4, dtype=torch.uint8).view(8, 2, 2, 1)
    made = build(
        source="tiny",
        title="Tiny",
        train=(images[:6], torch.tensor([0, 1, 0, 1, -1, 1])),
        test=(images[6:], torch.tensor([0, 1])),
        class_names=("a", "b"),
        flip=True,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": torch.zeros(6, 2, 2, 1)}, "training images must be uint8"),
        ({"train_images": torch.zeros(6, 2, 2, 2, dtype=torch.uint8)}, "training images must be uint8"),
        ({"train_labels": torch.tensor([0, 1, 0])}, "training labels must be int64"),
        ({"train_labels": torch.tensor([0, 1, 0, 1, -2, 1])}, "training labels must be from -1 to 1, got -2 to 1"),
        ({"test_labels": torch.tensor([0, 2])}, "test labels must be from 0 to 1, got 0 to 2"),
        ({"test_labels": torch.tensor([0, -1])}, "test labels must be from 0 to 1, got -1 to 0"),
        ({"train_labels": torch.tensor([0, 0, 0, 0, -1, 0])}, "no training image of class 'b'"),
        ({"test_images": torch.zeros(2, 3, 3, 1, dtype=torch.uint8)}, "one shape"),
        (
            {"test_images": torch.zeros(0, 2, 2, 1, dtype=torch.uint8), "test_labels": torch.zeros(0).long()},
            "no test images",
        ),
        (
            {"class_names": ("a",), "train_labels": torch.zeros(6).long(), "test_labels": torch.zeros(2).long()},
            "at least 2",
        ),
        ({"std": (0.0,)}, "std above 0"),
        ({"mean": (0.1, 0.2)}, "mean and std need 1 numbers"),
        ({"train_paths": ("one",)}, "1 training paths for 6 training images"),
    ],
)
def test_image_set_refuses_what_does_not_fit(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        tiny(**changes)


def test_summary_and_counts() -> None:
    made = tiny()
    assert made.counts("train") == (2, 3) and made.counts("test") == (1, 1) and made.num_unlabeled == 1
    summary = json.loads(json.dumps(made.summary()))
    assert summary["train"] == 5 and summary["unlabeled"] == 1 and summary["test"] == 2
    assert summary["classes"] == [{"name": "a", "train": 2, "test": 1}, {"name": "b", "train": 3, "test": 1}]


def test_to_moves_all_tensors_or_returns_itself() -> None:
    made = tiny()
    assert made.to("cpu") is made
    assert made.to(torch.device("cpu")) is made
    if torch.cuda.is_available():
        moved = made.to("cuda")
        assert {
            t.device.type for t in (moved.train_images, moved.train_labels, moved.test_images, moved.test_labels)
        } == {"cuda"}


def test_fingerprint_sees_every_value_and_shape() -> None:
    base = fingerprint(torch.zeros(2, 3, dtype=torch.uint8), torch.tensor([1, 2]))
    assert base == fingerprint(torch.zeros(2, 3, dtype=torch.uint8), torch.tensor([1, 2]))
    assert base != fingerprint(torch.zeros(3, 2, dtype=torch.uint8), torch.tensor([1, 2]))
    assert base != fingerprint(torch.zeros(2, 3, dtype=torch.uint8), torch.tensor([1, 3]))
