"""CIFAR-100, SVHN, STL-10 and Fashion-MNIST on tiny archives in their original formats, written here.

What they share with CIFAR-10 (time limits, cancelling, another torchvision) is tested there.
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import pickle
import sys
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.datasets as sets

from dashboard import text
from sslcore import config as cfg
from sslcore import data, presets
from sslcore.config import DataConfig
from sslcore.data import torchvision_sets
from sslcore.data.image_set import DataError, ImageSet
from sslcore.trainer import Trainer

NOWHERE = "http://127.0.0.1:9/"  # the discard port: refused at once
Made = dict[str, np.ndarray]  # train, train_y, test, test_y (N, H, W, C), and unlabeled


def made(count: int, side: int, channels: int, classes: int) -> Made:
    """Images whose every byte counts, every class in both parts."""
    rng = np.random.default_rng(side)
    shape = (side, side, channels)
    parts = {name: rng.integers(0, 256, (count, *shape), dtype=np.uint8) for name in ("train", "test", "unlabeled")}
    return parts | {f"{name}_y": rng.permutation(count) % classes for name in ("train", "test")}


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def packed(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def make_cifar100(folder: Path, patch: Callable[..., None]) -> Made:
    wanted = made(100, 32, 3, 100)
    members = {
        part: {
            "data": wanted[part].transpose(0, 3, 1, 2).reshape(100, 3072), "fine_labels": wanted[f"{part}_y"].tolist(), "coarse_labels": [0] * 100
        }
        for part in ("train", "test")
    } | {"meta": {"fine_label_names": [f"thing {k}" for k in range(100)], "coarse_label_names": ["all"]}}  # fmt: skip
    raw = {f"cifar-100-python/{name}": pickle.dumps(content, protocol=2) for name, content in members.items()}
    path = folder / "cifar-100-python.tar.gz"
    packed(path, raw)
    sums = {name.rpartition("/")[2]: hashlib.md5(content).hexdigest() for name, content in raw.items()}
    patch(sets.CIFAR100, "tgz_md5", md5(path))
    patch(sets.CIFAR100, "url", NOWHERE + path.name)
    patch(sets.CIFAR100, "train_list", [["train", sums["train"]]])
    patch(sets.CIFAR100, "test_list", [["test", sums["test"]]])
    patch(sets.CIFAR100, "meta", {"filename": "meta", "key": "fine_label_names", "md5": sums["meta"]})
    return wanted


def make_svhn(folder: Path, patch: Callable[..., None]) -> Made:
    from scipy.io import savemat

    wanted, listed = made(20, 32, 3, 10), {}
    for part in ("train", "test"):
        path = folder / f"{part}_32x32.mat"
        labels = np.where(wanted[f"{part}_y"] == 0, 10, wanted[f"{part}_y"]).astype(np.uint8)[
            :, None
        ]  # 10 stands for 0
        savemat(path, {"X": wanted[part].transpose(1, 2, 3, 0), "y": labels})
        listed[part] = [NOWHERE + path.name, path.name, md5(path)]
    patch(sets.SVHN, "split_list", listed)
    return wanted


def make_stl10(folder: Path, patch: Callable[..., None]) -> Made:
    wanted = made(20, 96, 3, 10)
    raw = {f"{part}_X.bin": wanted[part].transpose(0, 3, 2, 1).tobytes() for part in ("train", "unlabeled", "test")}
    raw |= {f"{part}_y.bin": (wanted[f"{part}_y"] + 1).astype(np.uint8).tobytes() for part in ("train", "test")}
    path = folder / "stl10_binary.tar.gz"
    packed(
        path,
        {
            f"stl10_binary/{name}": raw[name]
            for name in ("test_X.bin", "test_y.bin", "train_X.bin", "train_y.bin", "unlabeled_X.bin")
        },
    )
    sums = {name: hashlib.md5(content).hexdigest() for name, content in raw.items()}
    patch(sets.STL10, "tgz_md5", md5(path))
    patch(sets.STL10, "url", NOWHERE + path.name)
    patch(sets.STL10, "train_list", [[name, sums[name]] for name in ("train_X.bin", "train_y.bin", "unlabeled_X.bin")])
    patch(sets.STL10, "test_list", [[name, sums[name]] for name in ("test_X.bin", "test_y.bin")])
    return wanted


def make_fashion(folder: Path, patch: Callable[..., None]) -> Made:
    wanted, listed = made(20, 28, 1, 10), []
    for part, name in (("train", "train"), ("test", "t10k")):
        head = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (20, 28, 28))
        files = {"images-idx3": head + wanted[part].tobytes()}
        files["labels-idx1"] = (
            bytes([0, 0, 8, 1]) + (20).to_bytes(4, "big") + wanted[f"{part}_y"].astype(np.uint8).tobytes()
        )
        for what, content in files.items():
            path = folder / f"{name}-{what}-ubyte.gz"
            path.write_bytes(gzip.compress(content, mtime=0))
            listed.append((path.name, md5(path)))
    patch(sets.FashionMNIST, "resources", listed)
    patch(sets.FashionMNIST, "mirrors", [NOWHERE])
    wanted |= {part: np.pad(wanted[part], ((0, 0), (2, 2), (2, 2), (0, 0))) for part in ("train", "test")}
    return wanted


MAKERS = {"cifar100": make_cifar100, "svhn": make_svhn, "stl10": make_stl10, "fashion_mnist": make_fashion}
SUBFOLDER = {"svhn": "svhn", "fashion_mnist": "fashion_mnist"}


@pytest.fixture(params=MAKERS)
def public(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Path, Path, Made]:
    """(source, folder with the tiny files, folder where they are looked for, what they hold)"""
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(data, "_recent", OrderedDict())
    source, folder = request.param, tmp_path / "made"
    folder.mkdir()
    wanted = MAKERS[source](folder, monkeypatch.setattr)
    target = tmp_path / "data" / "downloads" / SUBFOLDER.get(source, "")
    target.mkdir(parents=True)
    return source, folder, target, wanted


def load(source: str, progress: data.Progress | None = None) -> ImageSet:
    return data.load(DataConfig(source=source), progress)


def check(got: ImageSet, source: str, wanted: Made) -> None:
    train, labels = wanted["train"], wanted["train_y"]
    if source == "stl10":
        train, labels = np.concatenate([train, wanted["unlabeled"]]), np.concatenate([labels, np.full(20, -1)])
        assert got.num_unlabeled == 20 and "true classes are unknown" in got.notes[0]
    assert np.array_equal(got.train_images.numpy(), train) and np.array_equal(got.test_images.numpy(), wanted["test"])
    assert got.train_labels.tolist() == labels.tolist() and got.test_labels.tolist() == wanted["test_y"].tolist()
    assert (
        got.num_classes == (100 if source == "cifar100" else 10)
        and got.flip is (source != "svhn")
        and got.source == source
    )
    first = {"cifar100": "thing 0", "svhn": "0", "stl10": "airplane", "fashion_mnist": "T-shirt/top"}
    assert got.class_names[0] == first[source]


def put(folder: Path, target: Path) -> list[Path]:
    return [path.rename(target / path.name) for path in sorted(folder.iterdir())]


def test_files_in_the_downloads_folder_and_the_second_start(
    public: tuple[str, Path, Path, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder, target, wanted = public
    assert not torchvision_sets.is_here(source)
    files = put(folder, target)
    assert torchvision_sets.is_here(source)
    first = load(source)
    check(first, source, wanted)
    assert sorted(target.iterdir()) == files  # nothing unpacked stays
    for path in files:
        path.unlink()
    monkeypatch.setattr(data, "_recent", OrderedDict())
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    second = load(source)
    check(second, source, wanted)
    assert second.fingerprint == first.fingerprint and torchvision_sets.is_here(source)


def test_the_names_told_without_torchvision_are_its_own(public: tuple[str, Path, Path, Made]) -> None:
    source, folder, *_ = public
    kind = torchvision_sets.KINDS[source]
    assert {each.name for each in kind.archives(getattr(sets, kind.dataset))} == set(torchvision_sets.FILES[source])
    assert {path.name for path in folder.iterdir()} == set(torchvision_sets.FILES[source])
    assert source in cfg.DATA_SOURCES


def test_the_page_offers_every_source() -> None:
    offered = {source.partition(":")[0] for source in cfg.DATA_SOURCES}
    assert set(text.DATA) == set(text.DATA_HELP) == offered


def test_damaged_files_are_not_opened(public: tuple[str, Path, Path, Made]) -> None:
    source, folder, target, _ = public
    for path in put(folder, target):
        whole = path.read_bytes()
        path.write_bytes(whole[:-20] + b"x" * 20)
        with pytest.raises(DataError, match="is damaged or not the original archive: its MD5 is not") as caught:
            load(source)
        assert path.name in str(caught.value)
        path.write_bytes(whole)
    load(source)


def test_offline_says_what_to_put_where(public: tuple[str, Path, Path, Made]) -> None:
    source, folder, target, _ = public
    with pytest.raises(DataError) as caught:
        load(source)
    told = str(caught.value)
    assert all(path.name in told for path in folder.iterdir()) and str(target) in told and "Connection refused" in told
    assert "digits, shapes or folder:PATH, which need no network" in told and "\n" not in told


@pytest.fixture
def server(public: tuple[str, Path, Path, Made], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(public[1]))

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()


def test_downloaded_with_progress(
    public: tuple[str, Path, Path, Made], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder, target, wanted = public
    kind = torchvision_sets.KINDS[source]
    dataset = getattr(sets, kind.dataset)
    for name in ("url", "mirrors", "split_list"):
        if hasattr(dataset, name):
            old = getattr(dataset, name)
            new: Any = server + old.removeprefix(NOWHERE) if isinstance(old, str) else [server]
            if isinstance(old, dict):
                new = {part: [server + file, file, code] for part, (_, file, code) in old.items()}
            monkeypatch.setattr(dataset, name, new)
    seen: list[tuple[str, int, int]] = []
    check(load(source, lambda *state: seen.append(state)), source, wanted)
    sizes = [path.stat().st_size for path in folder.iterdir()]
    downloaded = [state for state in seen if state[0] == f"Downloading {kind.title}" and state[1] == state[2]]
    assert sorted(total for _, _, total in downloaded) == sorted(sizes)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


@pytest.mark.parametrize("public", ["cifar100", "stl10"], indirect=True)
def test_unpacked_folder(public: tuple[str, Path, Path, Made]) -> None:
    source, folder, target, wanted = public
    with tarfile.open(next(folder.iterdir())) as tar:
        tar.extractall(target)
    assert torchvision_sets.is_here(source)
    check(load(source), source, wanted)


@pytest.mark.parametrize("public", ["cifar100", "stl10"], indirect=True)
def test_damaged_unpacked_folder(public: tuple[str, Path, Path, Made]) -> None:
    source, folder, target, _ = public
    with tarfile.open(next(folder.iterdir())) as tar:
        tar.extractall(target)
    next(target.glob("*/t*")).write_bytes(b"else")
    with pytest.raises(DataError, match="is incomplete or damaged"):
        load(source)


@pytest.mark.parametrize("net", ["wrn", "lesson"])
def test_both_nets_take_the_images(public: tuple[str, Path, Path, Made], net: str) -> None:
    source, folder, target, _ = public
    put(folder, target)
    settings = {
        "data.source": source, "data.labels": 100 if source == "cifar100" else 10, "model.net": net, "model.depth": 10, "model.widen_factor": 1,
        "train.batch": 2, "method.mu": 1,
    }  # fmt: skip
    config = presets.build("smoke", "fixmatch", settings)
    output, _ = Trainer(config, load(source), torch.device("cpu")).train_step()
    assert torch.isfinite(output.loss)
