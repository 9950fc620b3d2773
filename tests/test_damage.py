"""Files that a disk, a copy or a person has damaged: named, the last whole one used, nothing overwritten."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dashboard import queries
from sslcore import checkpoint, keyframes, report
from sslcore import events as ev
from sslcore.__main__ import main
from sslcore.lab import Lab
from sslcore.store import Store, StoreError
from tests.forge import train
from tests.test_lab import wait

Damage = Callable[[bytes], bytes]


def flipped(content: bytes, place: int) -> bytes:
    """The same with one bit turned; `place` counts bits, from the end if negative."""
    broken = bytearray(content)
    place %= 8 * len(broken)
    broken[place // 8] ^= 1 << place % 8
    return bytes(broken)


DAMAGE: dict[str, Damage] = {
    "cut short": lambda content: content[: len(content) * 2 // 3],
    "emptied": lambda content: b"",
    "one bit turned": lambda content: flipped(content, 4 * len(content)),
    "another file": lambda content: b"not what was written here\n" * 40,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder with a run paused at step 25 of 30, the run's id, and the hash of the weights that it would end with."""
    root = tmp_path_factory.mktemp("made")
    store = Store(root)
    straight = store.run(train(store, "flexmatch", **{"data.val": "40"}))
    store.delete(straight.id)
    run_id = train(store, "flexmatch", until=25, **{"data.val": "40"})
    store._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it in lab.db, to be copied
    assert sorted(path.name for path in store.folder(run_id).glob("*.pt"))[1:] == [
        "last.pt", "step-000000010.pt", "step-000000020.pt"
    ]  # fmt: skip
    return root, run_id, straight.summary["weights_sha256"]


@pytest.fixture
def copy(made: tuple[Path, str, str], tmp_path: Path) -> Path:
    shutil.copytree(made[0], tmp_path / "runs")
    return tmp_path / "runs"


def resume(root: Path, run_id: str) -> tuple[Store, ev.Run]:
    lab = Lab(Store(root))
    lab.resume(run_id)
    run = wait(lab, run_id, ev.FINISHED, ev.FAILED)
    lab.close()
    return lab.store, run


@pytest.mark.parametrize("how", DAMAGE)
def test_the_newest_whole_checkpoint_is_used_and_the_damaged_one_kept(copy: Path, made, how: str) -> None:  # type: ignore[no-untyped-def]
    _, run_id, sha = made
    last = copy / run_id / checkpoint.LAST
    broken = DAMAGE[how](last.read_bytes())
    last.write_bytes(broken)
    store, run = resume(copy, run_id)
    assert run.state == ev.FINISHED and run.summary["weights_sha256"] == sha, run.error
    assert (copy / run_id / "last.pt.damaged").read_bytes() == broken
    (told,) = [event for event in store.events(run_id) if event.kind == "damaged"]
    assert told.step == 20 and told.data == {"file": "last.pt", "kept as": "last.pt.damaged"}
    assert checkpoint.load(last)["step"] == 30
    assert (20, "last.pt is damaged: on from here") in queries.marks(store.events(run_id))


def test_a_second_damaged_one_is_passed_over_too_and_neither_is_lost(copy: Path, made) -> None:  # type: ignore[no-untyped-def]
    _, run_id, sha = made
    folder = copy / run_id
    best = checkpoint.load(folder / checkpoint.BEST)["step"]
    for name in (checkpoint.LAST, "step-000000020.pt"):
        (folder / name).write_bytes(b"")
    (folder / "last.pt.damaged").write_text("an earlier one")
    store, run = resume(copy, run_id)
    assert run.state == ev.FINISHED and run.summary["weights_sha256"] == sha, run.error
    told = {event.data["kept as"]: event.step for event in store.events(run_id) if event.kind == "damaged"}
    assert told == dict.fromkeys(("last.pt.damaged-2", "step-000000020.pt.damaged"), max(best, 10))
    assert (folder / "last.pt.damaged").read_text() == "an earlier one"


def test_with_no_whole_checkpoint_left_it_says_so_and_touches_nothing(copy: Path, made) -> None:  # type: ignore[no-untyped-def]
    _, run_id, _ = made
    points = Store(copy).points(run_id, ev.TRAIN)["step"].tolist()
    for path in (copy / run_id).glob("*.pt"):
        path.write_bytes(path.read_bytes()[:1000])
    store, run = resume(copy, run_id)
    assert run.state == ev.FAILED and "\n" not in run.error
    assert (
        run.error.startswith(f"checkpoint last.pt of run {run_id} can't be read")
        and "no intact one is left" in run.error
    )
    assert {path.stat().st_size for path in (copy / run_id).glob("*.pt*")} == {1000}
    assert store.points(run_id, ev.TRAIN)["step"].tolist() == points


def test_no_turned_bit_of_a_checkpoint_trains_on(made, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root, run_id, _ = made
    content = (root / run_id / checkpoint.LAST).read_bytes()
    whole = checkpoint.load(root / run_id / checkpoint.LAST)
    parts = ("model", "ema", "generators", "method", "stream", "split")
    chance, refused = random.Random(0), 0
    for _ in range(150):
        (tmp_path / "last.pt").write_bytes(flipped(content, chance.randrange(8 * len(content))))
        try:
            state = checkpoint.load(tmp_path / "last.pt")
        except checkpoint.CheckpointError as problem:
            assert "last.pt" in str(problem) and "\n" not in str(problem)
            refused += 1
            continue
        assert state["step"] == whole["step"] and state["config"] == whole["config"], "a bit that carries nothing"
        assert checkpoint.states_sha256(*(state[part] for part in parts)) == checkpoint.states_sha256(
            *(whole[part] for part in parts)
        )
    assert refused > 100


def test_a_damaged_keyframe_is_named_and_passed_over(copy: Path, made, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, run_id, _ = made
    folder = copy / run_id
    path = folder / keyframes.FOLDER / "000000020.npz"
    content, whole, chance = path.read_bytes(), keyframes.load(folder, 20), random.Random(0)
    refused = 0
    for broken in [
        *(damage(content) for damage in DAMAGE.values()),
        *(flipped(content, chance.randrange(8 * len(content))) for _ in range(150)),
    ]:
        path.write_bytes(broken)
        try:
            frame = keyframes.load(folder, 20)
            assert all(np.array_equal(frame[name], whole[name], equal_nan=True) for name in whole), (
                "a bit that carries nothing"
            )
        except keyframes.KeyframeError as problem:
            assert f"keyframe 000000020.npz of run {run_id} can't be read" in str(problem) and "\n" not in str(problem)
            refused += 1
    assert refused > 100
    path.write_bytes(content[:500])
    store = Store(copy)
    report.write_report(store, [run_id], tmp_path / "report.html")  # an earlier one will do
    assert "Test images at step 10," in (tmp_path / "report.html").read_text() and path.stat().st_size == 500
    assert resume(copy, run_id)[1].state == ev.FINISHED


def answers(root: Path, run_id: str) -> str:
    """Ask the store all there is to ask; return what it complained of, in one sentence."""
    try:
        store = Store(root)
        store.reconcile()
        store.runs()
        store.at_work()
        store.run(run_id)
        for series in (ev.TRAIN, ev.EVAL):
            store.points(run_id, series)
            store.points_from(run_id, series, 0, 100)
        list(store.all_points(run_id))
        store.arrays(run_id, "flex/threshold")
        store.events(run_id)
        store.update(run_id, note="still here")
        store.take(run_id, 0)
    except StoreError as problem:
        assert "\n" not in str(problem)
        return str(problem)
    return ""


def test_a_damaged_store_is_one_sentence_and_not_overwritten(
    copy: Path, made, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    _, run_id, _ = made
    file = copy / "lab.db"
    content = file.read_bytes()
    for broken, why in (
        (b"another file\n" * 1000, f"{file} is damaged (file is not a database); nothing was changed"),
        (flipped(content, 3), f"{file} is damaged"),
        (content[:3000], f"{file} is damaged"),
        (b"", f"{file} is empty although folders of runs lie beside it; restore a copy of it"),
    ):
        file.write_bytes(broken)
        assert why in answers(copy, run_id)
        assert file.read_bytes() == broken and (copy / run_id / checkpoint.LAST).exists()
        assert main(["runs", "--root", str(copy)]) == 2
        captured = capsys.readouterr()
        assert why in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    file.write_bytes(content)
    assert answers(copy, run_id) == ""


def test_whatever_byte_of_the_store_is_wrong_it_answers_or_says_so(copy: Path, made) -> None:  # type: ignore[no-untyped-def]
    _, run_id, _ = made
    file, chance, said = copy / "lab.db", random.Random(1), 0
    content = file.read_bytes()
    for _ in range(120):
        broken = bytearray(content)
        start = chance.randrange(len(broken))
        broken[start : start + 64] = chance.randbytes(len(broken[start : start + 64]))
        for extra in copy.glob("lab.db-*"):
            extra.unlink()
        file.write_bytes(bytes(broken))
        said += bool(answers(copy, run_id))
    assert said > 10


def test_an_empty_store_in_an_empty_folder_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "lab.db").write_bytes(b"")  # as left by a process that was killed before its first write
    assert Store(tmp_path).runs() == []
