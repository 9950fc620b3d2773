"""CIFAR-10 on a tiny archive in the original format: found, downloaded from a local server, refused, offline."""

from __future__ import annotations

import hashlib
import http.server
import pickle
import socket
import sys
import tarfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sslcore import data
from sslcore.config import DataConfig
from sslcore.data import download
from sslcore.data.image_set import DataError, ImageSet

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes bytes as Python 2 wrote its strings, as in the original files."""

    def save_string(self, value: bytes) -> None:
        short = len(value) < 256
        self.write(b"U" + bytes([len(value)]) if short else b"T" + len(value).to_bytes(4, "little"))
        self.write(value)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: save_string}  # type: ignore[attr-defined]


def rows(number: int) -> tuple[np.ndarray, list[int]]:
    """Batch `number`: 20 images as rows of 3,072 bytes, red plane first, and their labels."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (20, 3072), dtype=np.uint8), rng.permutation(20).tolist()


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny archive, outside of the downloads folder; torchvision's MD5 table names its files."""
    from torchvision.datasets import CIFAR10

    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(data, "_recent", OrderedDict())
    folder = tmp_path / "made" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sums = {}
    for number, name in enumerate([*BATCHES, "batches.meta"]):
        content: dict[bytes, object]
        if name == "batches.meta":
            content = {
                b"label_names": [label.encode() for label in NAMES],
                b"num_cases_per_batch": 20,
                b"num_vis": 3072,
            }
        else:
            images, labels = rows(number)
            content = {b"data": images, b"labels": [label % 10 for label in labels], b"batch_label": name.encode()}
        with open(folder / name, "wb") as file:
            Python2Pickler(file, protocol=2).dump(content)
        with open(folder / name, "rb") as file:
            assert pickle.load(file, encoding="bytes").keys() == content.keys()
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    path = tmp_path / "made" / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in BATCHES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(
        CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    )
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/nothing")  # the discard port: refused at once
    return path


def downloads(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load() -> ImageSet:
    return data.load(DataConfig(source="cifar10"))


def check(got: ImageSet) -> None:
    assert got.title == "CIFAR-10" and got.source == "cifar10" and got.flip is True
    assert got.train_images.shape == (100, 32, 32, 3) and got.test_images.shape == (20, 32, 32, 3)
    assert got.class_names == tuple(NAMES)
    parts = [(got.train_images[20 * n : 20 * n + 20], got.train_labels[20 * n : 20 * n + 20], n) for n in range(5)]
    for images, labels, number in [*parts, (got.test_images, got.test_labels, 5)]:
        flat, wanted = rows(number)
        assert labels.tolist() == [label % 10 for label in wanted]
        for image, row in zip(images, flat, strict=True):
            for channel in range(3):  # a plane of 1,024 bytes, line by line
                assert image[..., channel].flatten().tolist() == row[1024 * channel : 1024 * channel + 1024].tolist()


def test_archive_in_the_downloads_folder(tmp_path: Path, archive: Path) -> None:
    archive.rename(downloads(tmp_path) / archive.name)
    check(load())
    assert [path.name for path in downloads(tmp_path).iterdir()] == [archive.name]  # nothing unpacked stays


def test_unpacked_folder(tmp_path: Path, archive: Path) -> None:
    (archive.parent / "cifar-10-batches-py").rename(downloads(tmp_path) / "cifar-10-batches-py")
    check(load())


def test_second_start_needs_neither_archive_nor_torchvision(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.rename(downloads(tmp_path) / archive.name)
    first = load()
    assert load() is first
    (downloads(tmp_path) / archive.name).unlink()
    monkeypatch.setattr(data, "_recent", OrderedDict())
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    second = load()
    check(second)
    assert second.fingerprint == first.fingerprint and second.class_names == first.class_names


def test_damaged_archive_and_folder(tmp_path: Path, archive: Path) -> None:
    target = downloads(tmp_path) / archive.name
    target.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DataError, match="is damaged or not the original archive"):
        load()
    assert target.exists()  # it is the person's file
    target.unlink()
    folder = downloads(tmp_path) / "cifar-10-batches-py"
    (archive.parent / folder.name).rename(folder)
    (folder / "data_batch_3").write_bytes(b"else")
    with pytest.raises(DataError, match="is incomplete or damaged"):
        load()


@pytest.fixture
def server(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the folder of the archive on a free port."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(archive.parent))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def test_download_with_progress(tmp_path: Path, archive: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", f"{server}/{archive.name}")
    seen: list[tuple[str, int, int]] = []
    check(data.load(DataConfig(source="cifar10"), lambda *state: seen.append(state)))
    size = archive.stat().st_size
    assert seen[-1] == ("Downloading CIFAR-10", size, size) and [s[1] for s in seen] == sorted(s[1] for s in seen)
    assert [path.name for path in downloads(tmp_path).iterdir()] == [archive.name]
    assert (downloads(tmp_path) / archive.name).read_bytes() == archive.read_bytes()


@pytest.mark.parametrize(
    "path,reason", [("cifar-10-batches-py/test_batch", "it arrived damaged"), ("missing", "File not found|Not Found")]
)
def test_wrong_download_leaves_nothing(
    tmp_path: Path, archive: Path, server: str, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", f"{server}/{path}")
    with pytest.raises(DataError, match=reason):
        load()
    assert list(downloads(tmp_path).iterdir()) == []


def test_cancelled_download_leaves_nothing(
    tmp_path: Path, archive: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", f"{server}/{archive.name}")

    def cancel(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.load(DataConfig(source="cifar10"), cancel)
    assert list(downloads(tmp_path).iterdir()) == []


def check_offline_sentence(error: DataError, tmp_path: Path) -> None:
    text = str(error)
    assert "cifar-10-python.tar.gz" in text and str(downloads(tmp_path)) in text
    assert "digits" in text and "folder:PATH" in text and "\n" not in text and ". " not in text


def test_offline_says_what_to_do(tmp_path: Path, archive: Path) -> None:
    before = time.monotonic()
    with pytest.raises(DataError) as caught:
        load()
    assert time.monotonic() - before < 2
    check_offline_sentence(caught.value, tmp_path)
    assert "Connection refused" in str(caught.value)


def test_a_network_that_swallows_everything_ends_too(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(DataError) as caught:
            load()
    check_offline_sentence(caught.value, tmp_path)
    assert "no answer within 0.2 s" in str(caught.value)


def test_without_torchvision(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(DataError, match="needs the package torchvision"):
        load()


def test_torchvision_built_for_another_torch(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises RuntimeError as it registers its ops."""
    package = tmp_path / "other" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(str(package.parent))
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(DataError, match=r"nms does not exist.*together"):
        load()
