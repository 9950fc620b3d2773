"""A disk that is full or can't be written: the reason in one sentence, what was there before whole, the same numbers afterwards.

Where a small disk can be mounted it is a real one; everywhere the same is brought about at the call that writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sslcore import checkpoint, files, keyframes, recorder
from sslcore import events as ev
from sslcore.__main__ import main
from sslcore.lab import Lab
from sslcore.store import Store, StoreError
from tests.test_lab import a_checkpoint_each_step, config, until, wait
from tests.test_store import new_run


@pytest.fixture(scope="module")
def sha(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run ends with that never met a full disk."""
    lab = Lab(Store(tmp_path_factory.mktemp("straight")))
    run = wait(lab, lab.start(config()), ev.FINISHED)
    lab.close()
    return run.summary["weights_sha256"]


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, do: Callable[[], Any]) -> None:
    """Do something once, in the thread that trains, when the run has come to a step."""
    log, once = Store.log, []

    def logged(store: Store, run_id: str, points: Any, *args: Any, **values: Any) -> None:
        if not once and points[0].step >= step:
            once.append(do())
        log(store, run_id, points, *args, **values)

    monkeypatch.setattr(Store, "log", logged)
    monkeypatch.setattr(recorder, "WINDOW", 0.0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], capture_output=True)
    if done.returncode:
        pytest.skip("no disk can be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free; the file to remove for making room."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def halves(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tmp"))


def test_what_does_not_fit_on_the_disk_leaves_what_was_there(disk: Path) -> None:
    store = Store(disk)
    run_id = new_run(store)
    folder = store.folder(run_id)
    small = {"step": 1, "model": {"w": torch.ones(1000)}}
    checkpoint.save(folder, small)
    keyframes.write(folder, 1, {"a": np.ones(1000)})
    point = ev.MetricPoint(ev.TRAIN, 1, 0.1, {"train/loss": 1.0})
    store.log(run_id, [point])
    ballast = fill(disk)

    with pytest.raises(StoreError, match=r"last\.pt can't be written: No space left on device; make room, then go on"):
        checkpoint.save(folder, {"step": 2, "model": {"w": torch.ones(1_000_000)}})
    with pytest.raises(StoreError, match=r"000000002\.npz can't be written: No space left on device"):
        keyframes.write(folder, 2, {"a": np.random.default_rng(0).random(100_000)})
    with pytest.raises(StoreError, match=r"lab\.db can't be written because the disk is full; make room, then go on"):
        for step in range(2, 2000):
            store.log(run_id, [ev.MetricPoint(ev.TRAIN, step, 0.1, {"train/loss": 1.0, "train/more": 2.0})])
    with pytest.raises(StoreError, match="can't be"):
        store.create(config())
    assert len(store.runs()) == 1 and len([path for path in disk.iterdir() if path.is_dir()]) == 1
    assert checkpoint.load(folder / checkpoint.LAST)["step"] == 1
    assert keyframes.steps(folder) == [1] and keyframes.load(folder, 1)["a"].sum() == 1000
    assert halves(disk) == []
    steps = store.points(run_id, ev.TRAIN, limit=10**6)["step"].tolist()
    assert steps == list(range(1, len(steps) + 1))

    ballast.unlink()
    store.log(run_id, [ev.MetricPoint(ev.TRAIN, 5000, 0.1, {"train/loss": 1.0})])
    assert store.points(run_id, ev.TRAIN, limit=10**6)["step"][-1] == 5000


def test_a_run_on_a_disk_that_fills_up_says_so_and_goes_on_to_the_same_end(
    disk: Path, sha: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "CHECKPOINT_EVERY", 0.0)
    at_step(monkeypatch, 12, lambda: fill(disk))
    lab = Lab(Store(disk))
    run_id = lab.start(config())
    until(lambda: bool(lab.trouble) or lab.store.run(run_id).state == ev.FAILED)
    if lab.trouble:  # not even that could be written
        assert run_id in lab.trouble and "full" in lab.trouble
    assert 0 < checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"] <= 12
    (disk / "ballast").unlink()
    failed = wait(lab, run_id, ev.FAILED)
    assert "make room, then go on" in failed.error and "\n" not in failed.error
    until(lambda: not lab.trouble)
    lab.resume(run_id)
    run = wait(lab, run_id, ev.FINISHED, ev.FAILED)
    assert run.summary.get("weights_sha256") == sha, run.error
    assert halves(disk) == []
    lab.close()


def test_a_command_on_a_full_disk_ends_with_a_sentence(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(disk)
    fill(disk)
    assert main(["train", "--preset", "smoke", "--root", str(disk)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and ("full" in err or "No space left" in err)


def test_a_read_only_folder_is_one_sentence(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(disk)
    new_run(store)
    store._let_go()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for words in (
        ["runs"],
        ["train", "--preset", "smoke"],
        ["train", "--preset", "smoke", "--root", str(disk / "new")],
    ):
        assert main([*words, *(["--root", str(disk)] if "--root" not in words else [])]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and f"the run folder {disk}" in err and "can't be used" in err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_one_sentence(tmp_path: Path) -> None:
    Store(tmp_path)
    tmp_path.chmod(0o555)
    with pytest.raises(StoreError, match="can't be used"):
        Store(tmp_path / "new")
    tmp_path.chmod(0o755)


# -- the same, brought about at the call that writes -----------------------------------------------------------------------


def full(write: Callable[..., Any], when: Callable[[], bool]) -> Callable[..., Any]:
    """`write`, which gives up half way with a full disk once `when` says so."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        if not when():
            return write(*args, **kwargs)
        next(arg for arg in args if hasattr(arg, "write")).write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return broken


@pytest.mark.parametrize("what", ["checkpoint", "keyframe", "store"])
def test_a_full_disk_in_the_middle_of_a_run(
    tmp_path: Path, sha: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    a_checkpoint_each_step(monkeypatch)
    is_full = threading.Event()
    if what == "checkpoint":
        monkeypatch.setattr(torch, "save", full(torch.save, is_full.is_set))
    elif what == "keyframe":
        monkeypatch.setattr(np, "savez_compressed", full(np.savez_compressed, is_full.is_set))
    else:  # SQLite's own limit of pages gives what a full disk gives
        log = Store.log

        def limited(store: Store, *args: Any, **values: Any) -> None:
            pages = store._connection().execute("PRAGMA page_count").fetchone()[0]
            store._connection().execute(f"PRAGMA max_page_count = {pages if is_full.is_set() else 2**30}")
            for _ in range(200 if is_full.is_set() else 1):
                log(store, *args, **values)

        monkeypatch.setattr(Store, "log", limited)
    at_step(monkeypatch, 12, is_full.set)
    lab = Lab(Store(tmp_path))
    run_id = lab.start(config())
    failed = wait(lab, run_id, ev.FAILED, ev.FINISHED)
    name = {"checkpoint": ".pt", "keyframe": ".npz", "store": "lab.db"}[what]
    assert failed.state == ev.FAILED and name in failed.error and failed.error.endswith("make room, then go on"), failed
    assert "\n" not in failed.error and halves(tmp_path) == []
    before = checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"]
    assert before == (19 if what == "keyframe" else 11)
    is_full.clear()
    lab.resume(run_id)
    run = wait(lab, run_id, ev.FINISHED, ev.FAILED)
    assert run.summary.get("weights_sha256") == sha, run.error
    lab.close()


def test_a_checkpoint_that_the_disk_takes_only_in_part_is_one_sentence(tmp_path: Path) -> None:
    """Wherever it ends: torch's own closing words must not stand in place of the disk's."""
    state = {"step": 1, "model": {"w": torch.ones(200_000)}}
    checkpoint.save(tmp_path, state)
    whole = (tmp_path / checkpoint.LAST).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for share in (0.0, 0.01, 0.3, 0.7, 0.999):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * whole), before[1]))
        try:
            with pytest.raises(StoreError, match=r"last\.pt can't be written: File too large"):
                checkpoint.save(tmp_path, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoint.load(tmp_path / checkpoint.LAST)["step"] == 1 and halves(tmp_path) == []


def test_what_is_no_file_is_written_into_and_stays(tmp_path: Path) -> None:
    """`--out /dev/null` must not put a file in its place, and `--out LINK` not a file in place of the link."""
    pipe, link, there = tmp_path / "pipe", tmp_path / "link", tmp_path / "there"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    files.write_atomically(pipe, lambda path: path.write_text("a,b"))
    reader.join(5)
    assert got == ["a,b"] and pipe.is_fifo()
    link.symlink_to(there)
    files.write_atomically(link, lambda path: path.write_text("c"))
    assert link.is_symlink() and there.read_text() == "c"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "there"]
