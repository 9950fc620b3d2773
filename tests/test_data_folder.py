"""A folder of images: layouts, errors, the held-out share, the cache, and that it opens nothing twice."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sslcore import data
from sslcore.config import DataConfig
from sslcore.data import cache, decode_pool
from sslcore.data.image_set import DataError, ImageSet

Colour = tuple[int, int, int]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data, "_recent", OrderedDict())


def colour_of(path: str) -> Colour:
    """A colour that belongs to a file's path, so that a test can tell which image it sees."""
    rng = np.random.default_rng(list(path.encode()))
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def make(root: Path, *paths: str) -> Path:
    """Write one-coloured 8 x 8 PNGs under root; "cat/*5" stands for cat/0.png ... cat/4.png."""
    for path in paths:
        folder, _, count = path.partition("*")
        for name in [f"{folder}{i}.png" for i in range(int(count))] if count else [path]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), colour_of(name)).save(root / name)
    return root


def load(root: Path, **settings: object) -> ImageSet:
    config = dataclasses.replace(DataConfig(source=f"folder:{root}", image_size=8), **settings)  # type: ignore[arg-type]
    return data.load(config)


def restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_recent", OrderedDict())


def check_colours(images: ImageSet) -> None:
    """Every image shows the colour of its own path."""
    for pixels, paths in ((images.train_images, images.train_paths), (images.test_images, images.test_paths)):
        for image, path in zip(pixels, paths, strict=True):
            assert (image == torch.tensor(colour_of(path), dtype=torch.uint8)).all(), path


def test_train_and_test_parts(tmp_path: Path) -> None:
    root = make(tmp_path / "pets", "train/dog/*3", "train/cat/*4", "train/unlabeled/*5", "test/cat/*2", "test/dog/*1")
    got = load(root)
    assert got.class_names == ("cat", "dog") and got.title == "Folder pets" and got.source == f"folder:{root}"
    assert got.train_labels.tolist() == [0] * 4 + [1] * 3 + [-1] * 5 and got.test_labels.tolist() == [0, 0, 1]
    assert got.train_images.shape == (12, 8, 8, 3) and got.num_unlabeled == 5 and got.flip is True
    assert got.train_paths[0] == "train/cat/0.png" and got.test_paths == (
        "test/cat/0.png",
        "test/cat/1.png",
        "test/dog/0.png",
    )
    assert any("5 images have no label" in note for note in got.notes)
    check_colours(got)
    make(tmp_path / "one", "train/dog/*3", "train/cat/*4", "train/unlabeled/*1", "test/cat/*2", "test/dog/*1")
    assert any("1 image has no label" in note for note in load(tmp_path / "one").notes)


@pytest.mark.parametrize("train", ["train/", ""])
def test_held_out_share_is_stratified_fixed_and_labelled(tmp_path: Path, train: str) -> None:
    root = make(tmp_path / "pets", f"{train}cat/*20", f"{train}dog/*10", f"{train}one/*1", f"{train}unlabeled/*7")
    got = load(root, test_share=0.3)
    assert got.counts("test") == (6, 3, 0) and got.counts("train") == (14, 7, 1) and got.num_unlabeled == 7
    assert any("9 of 31 labelled images were held out" in note for note in got.notes)
    check_colours(got)
    assert not set(got.train_paths) & set(got.test_paths)
    assert set(got.test_paths) < set(load(root, test_share=0.5).test_paths)
    make(root, f"{train}cat/new.png")
    assert len(set(got.test_paths) & set(load(root, test_share=0.3).test_paths)) >= 8


def test_another_share_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "pets", "cat/*4", "dog/*4")
    load(root)
    monkeypatch.setattr("sslcore.data.folder.decode_files", None)
    assert load(root, test_share=0.5).counts("test") == (2, 2)


def test_unlabeled_beside_train_and_any_spelling(tmp_path: Path) -> None:
    root = make(tmp_path, "Train/a/*2", "Train/b/*2", "Test/a/*1", "Unlabelled/*3")
    got = load(root)
    assert got.class_names == ("a", "b") and got.num_unlabeled == 3 and got.counts("test") == (1, 0)
    assert any("no images of: b" in note for note in got.notes)


def test_class_names_sort_as_numbers(tmp_path: Path) -> None:
    assert load(make(tmp_path / "n", "10/*2", "9/*2", "1/*2")).class_names == ("1", "9", "10")
    assert load(make(tmp_path / "m", "c10/*2", "c9/*2", "b/*2")).class_names == ("b", "c9", "c10")


def test_subfolders_hidden_files_and_what_lies_about(tmp_path: Path) -> None:
    root = make(
        tmp_path / "p",
        "cat/*2",
        "cat/deep/er/x.png",
        "dog/*2",
        "cat/.hidden.png",
        ".git/x.png",
        "cat/.d/x.png",
        "loose.png",
    )
    (root / "__MACOSX").mkdir()
    got = load(root)
    assert got.class_names == ("cat", "dog") and sum(got.counts("train")) + sum(got.counts("test")) == 5
    assert "cat/deep/er/x.png" in got.train_paths + got.test_paths
    assert "Left out, since they lie in no class folder: loose.png." in got.notes


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    assert load(make(tmp_path, "train/*2", "bus/*2", "car/*2")).class_names == ("bus", "car", "train")


def test_other_folders_beside_train_are_named(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/*2", "train/b/*2", "val/a/*1", "test/*3")
    got = load(root)
    assert "Beside train and test these folders were left out: val." in got.notes
    assert "The folder test has no class folders, so it was left out." in got.notes
    assert got.counts("test") == (1, 1)


@pytest.mark.skipif(not hasattr(os, "symlink") or sys.platform == "win32", reason="needs symbolic links")
def test_links_are_followed_once(tmp_path: Path) -> None:
    root = make(tmp_path / "p", "cat/*2", "dog/*2")
    elsewhere = make(tmp_path / "far", "*1", "deep/*1")
    os.symlink(elsewhere / "0.png", root / "cat" / "linked.png")
    os.symlink(root, root / "cat" / "up")
    os.symlink(root / "dog", root / "cat" / "other_class")
    os.symlink(elsewhere, root / "dog" / "far")
    os.symlink(elsewhere, elsewhere / "deep" / "again")
    os.symlink(tmp_path / "nowhere.png", root / "dog" / "dangling.png")
    os.mkfifo(root / "dog" / "pipe.png")  # opening one would wait for ever
    got = load(root)
    assert sorted(got.train_paths + got.test_paths) == [
        *("cat/0.png", "cat/1.png", "cat/linked.png", "dog/0.png", "dog/1.png", "dog/far/0.png", "dog/far/deep/0.png"),
    ]
    assert "1 file could not be read as an image: dog/dangling.png." in got.notes


def test_unreadable_files_are_counted_and_named(tmp_path: Path) -> None:
    root = make(tmp_path, "cat/*6", "dog/*6")
    for i in range(7):
        (root / "cat" / f"bad{i}.jpg").write_bytes(b"\xff\xd8\xff broken")
    (root / "dog" / "notes.txt").write_text("these are dogs")
    got = load(root)
    names = "cat/bad0.jpg, cat/bad1.jpg, cat/bad2.jpg, cat/bad3.jpg, cat/bad4.jpg and 3 more"
    assert f"8 files could not be read as an image: {names}." in got.notes
    assert len(got.train_labels) + len(got.test_labels) == 12
    check_colours(got)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["cat/*3"], "must have at least 2 classes, got 1: cat"),
        (["train/cat/*3", "train/unlabeled/*3"], "must have at least 2 classes, got 1: cat"),
        (["train/unlabeled/*3"], "must have at least 2 classes, got 0"),
        (["x.png"], "must hold a folder for each class"),
        (["train/*3", "test/*3"], "must hold a folder for each class, or train with a folder for each class"),
        (["test/a/*3", "a/*2", "b/*2"], "has a folder test but no train"),
        (["train/a/*3", "train/b/*2", "test/c/*2"], "class 'c' of .*test has no folder in train"),
        (["a/*1", "b/*1"], "has one image of each class, so none can be held out"),
        (["a/.hidden.png", "b/*1"], "class 'a' is empty: no file in .*a"),
        (["train/a/*3", "train/b/*2", "test/a/.hidden.png"], "class 'a' is empty: no file in .*test/a"),
    ],
)
def test_one_sentence_for_a_folder_that_does_not_do(tmp_path: Path, paths: list[str], message: str) -> None:
    make(tmp_path / "p", *paths)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "p")
    assert "\n" not in str(caught.value) and ". " not in str(caught.value)


def test_missing_folder_file_for_folder_and_unreadable_class(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load(tmp_path / "nowhere")
    make(tmp_path, "file.png")
    with pytest.raises(DataError, match="is a file"):
        load(tmp_path / "file.png")
    root = make(tmp_path / "p", "train/cat/*2", "train/dog/*2", "test/cat/*1", "test/dog/*1")
    (root / "test/cat/0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="class 'cat' is empty: no file of it in the test part"):
        load(root)


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "pets", "cat/*2", "dog/*2")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert data.load(DataConfig(source="folder:~/pets", image_size=8)).title == "Folder pets"


def test_second_start_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "p", "cat/*5", "dog/*5", "cat/broken.png")
    (root / "cat" / "broken.png").write_bytes(b"x" * 50)
    first = load(root)
    assert load(root) is first
    # The files keep name, size and time, but hold nothing any more: who opens one, fails.
    for path in root.rglob("*.png"):
        stat = path.stat()
        path.write_bytes(b"\0" * stat.st_size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    restart(monkeypatch)
    second = load(root)
    assert second is not first
    assert (
        second.fingerprint == first.fingerprint
        and second.notes == first.notes
        and second.train_paths == first.train_paths
    )


@pytest.mark.parametrize("change", ["write", "add", "remove", "rename", "mode"])
def test_a_changed_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    root = make(tmp_path / "p", "cat/*5", "dog/*5")
    first = load(root)
    target = root / "cat" / "2.png"
    if change == "write":
        Image.new("RGB", (8, 8), (1, 2, 3)).save(target)
        os.utime(target, (1, 1))
    elif change == "add":
        make(root, "cat/more.png")
    elif change == "remove":
        target.unlink()
    elif change == "rename":
        target.rename(root / "dog" / "came.png")
    else:
        os.chmod(target, 0o400)
    second = load(root)
    assert second is not first
    if change == "mode":  # nothing else about it changed
        assert second.fingerprint == first.fingerprint
    else:
        assert second.fingerprint != first.fingerprint


def test_another_size_is_another_set(tmp_path: Path) -> None:
    root = make(tmp_path / "p", "cat/*2", "dog/*2")
    assert load(root).train_images.shape[1:] == (8, 8, 3)
    assert load(root, image_size=12).train_images.shape[1:] == (12, 12, 3)


def cache_file(tmp_path: Path) -> Path:
    (only,) = (tmp_path / "data" / "cache").iterdir()  # so no temporary file was left behind
    return only


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other shape", "wild positions"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    root = make(tmp_path / "p", "cat/*20", "dog/*20")
    first = load(root)
    path = cache_file(tmp_path)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flip":  # a single bit in the middle of the pixels
        path.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other shape":
        np.savez(path, images=np.zeros((40, 4, 4, 3), np.uint8), readable=np.arange(40))
    else:
        np.savez(path, images=np.zeros((40, 8, 8, 3), np.uint8), readable=np.arange(40) + 9)
    restart(monkeypatch)
    assert load(root).fingerprint == first.fingerprint
    assert cache_file(tmp_path).read_bytes() == whole


def test_pickles_in_the_cache_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "p", "cat/*2", "dog/*2")
    first = load(root)
    np.savez(cache_file(tmp_path), images=np.array([print], object), readable=np.arange(4))
    restart(monkeypatch)
    assert load(root).fingerprint == first.fingerprint


def test_a_moved_folder_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "p", "cat/*2", "dog/*2")
    first = load(root)
    shutil.move(root, tmp_path / "q")
    monkeypatch.setattr("sslcore.data.folder.decode_files", None)
    moved = load(tmp_path / "q")
    assert moved.fingerprint == first.fingerprint and moved.title == "Folder q"


def test_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "file"))
    got = load(make(tmp_path / "p", "cat/*2", "dog/*2"))
    assert any("could not be kept" in note for note in got.notes)


def test_oldest_cache_files_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.save("a", {"x": np.zeros(700, np.uint8)})
    monkeypatch.setattr(cache, "BUDGET", 3 * cache_file(tmp_path).stat().st_size)
    for age, name in enumerate(("a", "b", "c")):
        assert cache.save(name, {"x": np.zeros(700, np.uint8)}) == ""
        os.utime(tmp_path / "data" / "cache" / f"{name}.npz", (100 + age, 100 + age))
    assert cache.load("a", ("x",)) is not None  # used just now, so it is younger than b
    cache.save("d", {"x": np.zeros(700, np.uint8)})
    assert sorted(path.name for path in (tmp_path / "data" / "cache").iterdir()) == ["a.npz", "c.npz", "d.npz"]
    cache.save("large", {"x": np.zeros(9000, np.uint8)})
    assert [path.name for path in (tmp_path / "data" / "cache").iterdir()] == ["large.npz"]


def many(root: Path) -> list[str]:
    make(root, "cat/*70")
    (root / "cat" / "33.png").write_bytes(b"broken")
    return [str(root / "cat" / f"{i}.png") for i in range(70)]


def test_worker_processes_equal_one_thread(tmp_path: Path) -> None:
    paths = many(tmp_path)
    seen: list[tuple[str, int, int]] = []
    images, readable = decode_pool.decode_files(paths, 8, lambda *state: seen.append(state), workers=3)
    plain, plain_readable = decode_pool.decode_files(paths, 8, workers=1)
    assert np.array_equal(images, plain) and np.array_equal(readable, plain_readable)
    assert readable.tolist() == [i for i in range(70) if i != 33] and len(images) == 69
    done = [state[1] for state in seen]
    assert done == sorted(done) and seen[-1] == ("Decoding images", 70, 70)


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_may_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    paths = many(tmp_path)
    started: list[decode_pool.Worker] = []
    popen = decode_pool.subprocess.Popen
    monkeypatch.setattr(decode_pool.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])

    def cancel(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_pool.decode_files(paths, 8, cancel, workers=workers)
    assert len(started) == (workers if workers > 1 else 0)
    assert all(worker.returncode is not None for worker in started)


def test_a_dead_worker_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "worker.py").write_text("import sys\nsys.stdin.readline()\n")
    monkeypatch.setattr(decode_pool, "__file__", str(tmp_path / "decode_pool.py"))
    (tmp_path / "worker.py").rename(tmp_path / "decode.py")
    with pytest.raises(DataError, match=r"stopped unexpectedly between .*png and .*png"):
        decode_pool.decode_files(many(tmp_path), 8, workers=2)


@pytest.mark.slow
@pytest.mark.skipif(
    "SSLLAB_CIFAR10_JPEG" not in os.environ, reason="SSLLAB_CIFAR10_JPEG names no unpacked CIFAR-10 (JPEG)"
)
def test_the_real_pack() -> None:
    got = data.load(DataConfig(source=f"folder:{os.environ['SSLLAB_CIFAR10_JPEG']}"))
    assert got.train_images.shape == (50_000, 32, 32, 3) and got.test_images.shape == (10_000, 32, 32, 3)
    assert got.counts("train") == (5000,) * 10 and got.counts("test") == (1000,) * 10
    assert got.class_names == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    # CIFAR-10's published channel means; JPEG moves them by less than one grey level.
    assert got.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.004)
    assert got.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.004)
    picked = [0, 17_003, 49_999]
    for position in picked:
        with Image.open(Path(os.environ["SSLLAB_CIFAR10_JPEG"]) / got.train_paths[position]) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), got.train_images[position].numpy())
