"""Export and import: a run arrives whole, bit for bit, and evaluates and goes on as it did where it was made."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sslcore import checkpoint, keyframes
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.config import METHOD_NAMES
from sslcore.incoming import SUMMARY
from sslcore.incoming_keyframes import EVALUATED, FRAME, OPTIONAL, PROBE
from sslcore.session import evaluate_run
from sslcore.store import Store
from sslcore.transfer import export_run, import_run
from tests.fill_store import fill
from tests.forge import go_on, read, saved, train, write
from tests.forge import lab as lab
from tests.forge import other as other
from tests.test_trainer import assert_same


def rows(store: Store, run_id: str) -> list[Any]:
    with store.snapshot() as db:
        return [
            [tuple(row) for row in db.execute(f"SELECT {columns} FROM {table} WHERE run = ? ORDER BY 1, 2", (run_id,))]
            for table, columns in (
                ("points", "series, seq, step, seconds, metrics"),
                ("arrays", "name, seq, step, seconds, data"),
                ("events", "time, step, kind, data"),
            )
        ]


# -- the round trip ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_run_arrives_whole_and_evaluates_the_same(lab: Any, other: Store, method: str) -> None:
    store, ids, folder = lab
    new = import_run(other, folder / f"{method}.zip")
    before, after = store.run(ids[method]), other.run(new)
    assert new == before.id, "its own id is free here"
    for column in ev.Run.__dataclass_fields__:
        if column not in ("summary", "pid", "process", "heartbeat"):
            assert getattr(after, column) == getattr(before, column), column
    assert {key: value for key, value in after.summary.items() if key != "imported"} == before.summary
    assert after.summary["imported"]["id"] == before.id and after.summary["imported"]["versions"]["python"]
    assert set(before.summary) <= set(SUMMARY), "a new key of the summary needs a line in incoming.SUMMARY"

    old_rows, new_rows = rows(store, before.id), rows(other, new)
    assert new_rows[:2] == old_rows[:2] and old_rows[0], "points and arrays bit for bit"
    assert new_rows[2][:-1] == old_rows[2] and new_rows[2][-1][2] == "imported"
    names = {path.relative_to(store.folder(before.id)) for path in store.folder(before.id).rglob("*")}
    assert names == {path.relative_to(other.folder(new)) for path in other.folder(new).rglob("*")}
    for name in names:
        if (store.folder(before.id) / name).is_file() and name.name != "meta.json":
            assert (store.folder(before.id) / name).read_bytes() == (other.folder(new) / name).read_bytes(), name
    assert keyframes.steps(other.folder(new)) == [0, 10, 20, 30] and (other.folder(new) / "best.pt").exists()

    found = evaluate_run(other, new)
    assert found["test_accuracy"] == before.summary["test_accuracy"]
    assert found["weights_sha256"] == before.summary["weights_sha256"]
    assert [path.name for path in other.root.iterdir() if path.name.startswith(".")] == [], "no temporary folder stays"


def test_every_array_of_a_keyframe_is_checked(lab: Any) -> None:
    store, ids, _ = lab
    for run_id in ids.values():
        probe, frame = keyframes.probe(store.folder(run_id)), keyframes.load(store.folder(run_id), 30)
        assert set(probe) | set(frame) == set(PROBE) | set(FRAME) | set(EVALUATED) | set(OPTIONAL), (
            "a new array of a keyframe needs a line in incoming_keyframes"
        )


def test_a_second_import_gets_an_id_of_its_own(lab: Any, other: Store) -> None:
    _, ids, folder = lab
    first = import_run(other, folder / "fixmatch.zip")
    with open(folder / "fixmatch.zip", "rb") as file:
        second = import_run(other, file)
    assert first == ids["fixmatch"] != second and {run.id for run in other.runs()} == {first, second}
    assert other.run(second).summary["imported"]["id"] == first
    other.delete(first)
    assert evaluate_run(other, second)["weights_sha256"] == other.run(second).summary["weights_sha256"]


@pytest.mark.parametrize("method", ["mixmatch", "flexmatch"])
def test_a_paused_run_goes_on_bit_for_bit_elsewhere(tmp_path: Path, other: Store, method: str) -> None:
    store = Store(tmp_path / "here")
    run_id = train(store, method, until=17)
    assert (store.run(run_id).state, store.run(run_id).step) == (ev.PAUSED, 17)
    store.post(run_id, "set", {"optim.lr": 0.02})
    export_run(store, run_id, tmp_path / "run.zip")
    new = import_run(other, tmp_path / "run.zip")
    assert other.run(new).state == ev.PAUSED
    for where, run in ((store, run_id), (other, new)):
        go_on(where, run)
        assert where.run(run).state == ev.FINISHED and where.run(run).config["optim"]["lr"] == 0.02
    here, there = (checkpoint.load(where.folder(run) / "last.pt") for where, run in ((store, run_id), (other, new)))
    assert_same({k: v for k, v in here.items() if k != "seconds"}, {k: v for k, v in there.items() if k != "seconds"})
    assert store.run(run_id).summary["weights_sha256"] == other.run(new).summary["weights_sha256"]


def test_a_fork_arrives_and_goes_on(tmp_path: Path, other: Store, lab: Any) -> None:
    from sslcore import fork

    store, ids, _ = lab
    made = fork.create(store, ids["flexmatch"], 20, {"train.steps": 40, "augment.strength": 0.5})
    go_on(store, made)
    export_run(store, made, tmp_path / "fork.zip")
    store.delete(made)
    new = import_run(other, tmp_path / "fork.zip")
    assert other.run(new).summary["fork"]["run"] == ids["flexmatch"] and other.run(new).step == 40
    assert evaluate_run(other, new)["weights_sha256"] == other.run(new).summary["weights_sha256"]


@pytest.mark.parametrize(
    ("state", "arrives"),
    [
        (ev.RUNNING, ev.INTERRUPTED),
        (ev.STOPPING, ev.INTERRUPTED),
        (ev.QUEUED, ev.STOPPED),
        (ev.FAILED, ev.FAILED),
        (ev.DIVERGED, ev.DIVERGED),
        (ev.PAUSED, ev.PAUSED),
    ],
)
def test_every_state_arrives_at_rest_also_without_a_checkpoint(
    tmp_path: Path, other: Store, state: str, arrives: str
) -> None:
    store = Store(tmp_path / "here")
    run_id = fill(store, ev.QUEUED if state == ev.QUEUED else state, frames=False)
    store.update(run_id, summary=store.run(run_id).summary | {"num_train": 1437, "loading": ["images", 1, 2]})
    export_run(store, run_id, tmp_path / "run.zip")
    new = import_run(other, tmp_path / "run.zip")
    assert other.run(new).state == arrives and other.run(new).step == store.run(run_id).step
    assert "loading" not in other.run(new).summary
    assert other.reconcile() == [] and other.waiting() == []
    assert not list(other.folder(new).glob("*.pt"))
    with pytest.raises(checkpoint.CheckpointError, match="no checkpoint yet"):
        evaluate_run(other, new)


def test_a_run_at_work_is_exported_with_its_last_checkpoint(tmp_path: Path, other: Store, lab: Any) -> None:
    store = Store(tmp_path / "here")
    run_id = train(store, "fixmatch", until=12)
    store.move(run_id, ev.RUNNING, only_from=[ev.PAUSED])
    store.log(run_id, [ev.MetricPoint(ev.TRAIN, 15, 1.0, {"train/loss": float("nan")})], step=15)
    export_run(store, run_id, tmp_path / "run.zip")
    manifest = json.loads(zipfile.ZipFile(tmp_path / "run.zip").read("manifest.json"))
    assert (manifest["state"], manifest["checkpoint_step"], manifest["run"]["step"]) == ("running", 12, 15)
    new = import_run(other, tmp_path / "run.zip")
    assert other.run(new).state == ev.INTERRUPTED
    go_on(other, new)
    assert other.run(new).state == ev.FINISHED


def test_data_that_is_not_here_is_told_in_one_sentence(tmp_path: Path, other: Store, lab: Any) -> None:
    from sslcore.data import DataError

    folder = tmp_path / "photos"
    generator = np.random.default_rng(0)
    from PIL import Image

    for part, count in (("train", 8), ("test", 4)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for k in range(count):
                pixels = generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{k}.png")
    store = Store(tmp_path / "here")
    settings = {
        "data.source": f"folder:{folder}",
        "data.labels": "4",
        "data.image_size": "16",
        "train.steps": "4",
        "train.batch": "2",
    }
    run_id = train(store, "fixmatch", until=2, **settings)
    export_run(store, run_id, tmp_path / "run.zip")
    shutil.rmtree(folder)
    new = import_run(other, tmp_path / "run.zip")
    assert other.points(new, ev.TRAIN)["step"].tolist() and other.run(new).summary["class_names"] == ["cat", "dog"]
    for use in (evaluate_run, go_on):
        with pytest.raises(DataError, match="photos") as told:
            use(other, new)
        assert "\n" not in str(told.value)


def test_weights_made_on_a_gpu_evaluate_on_a_cpu(lab: Any, other: Store, tmp_path: Path) -> None:
    """A GPU's generators have 16 bytes, and its name may stand in the settings; neither is needed to evaluate."""
    _, _, folder = lab
    members = read(folder / "supervised.zip")
    state = torch.load(io.BytesIO(members["last.pt"]), weights_only=True)
    for name in ("order", "augment", "mixup", "probe"):
        state["generators"][name] = torch.zeros(16, dtype=torch.uint8)
    state["config"]["train"]["device"] = state["probe"]["train"]["device"] = "cuda"
    for name in list(members):
        if name.endswith(".pt") and name != "last.pt":
            del members[name]
    members["last.pt"] = saved(state)
    manifest = json.loads(members["manifest.json"])
    manifest["run"]["config"]["train"]["device"] = "cuda"
    members["meta.json"] = json.dumps(json.loads(members["meta.json"]) | {"config": state["config"]}).encode()
    members["config.json"] = json.dumps(state["config"]).encode()
    new = import_run(other, write(tmp_path / "gpu.zip", members, manifest))
    assert evaluate_run(other, new)["weights_sha256"] == other.run(new).summary["weights_sha256"]
    if not torch.cuda.is_available():
        other.update(new, state=ev.STOPPED)
        with pytest.raises(cfg.ConfigError, match=r"train\.device"):
            go_on(other, new)
