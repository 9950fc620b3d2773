"""What a stranger may send: every bad file is refused with one sentence, and nothing has changed, on the disk or in the database."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sslcore import archive, keyframes
from sslcore import events as ev
from sslcore.archive import Limits, TransferError
from sslcore.report import html_report
from sslcore.store import Store
from sslcore.tables import metrics_csv
from sslcore.transfer import export_run, import_run
from tests.forge import Members, contents, exports, read, saved, write


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, str], Path]:
    return exports(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("exports"))


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other")


def refused(store: Store, source: Any, *words: str, limits: Limits | None = None) -> None:
    """The import says one sentence with these words, and nothing has changed on the disk or in the database."""
    before = contents(store)
    with pytest.raises(TransferError) as told:
        import_run(store, source, limits)
    sentence = str(told.value)
    assert "\n" not in sentence and len(sentence) < 600, sentence
    for word in words:
        assert word in sentence, sentence
    assert contents(store) == before


@pytest.fixture
def target(lab: Any, other: Store) -> Store:
    """A root that holds a run already, so that "nothing changed" says something."""
    import_run(other, lab[2] / "supervised.zip")
    return other


@pytest.fixture
def valid(lab: Any) -> Members:
    return read(lab[2] / "flexmatch.zip")


def test_the_forger_itself_makes_a_file_that_is_taken(valid: Members, other: Store, tmp_path: Path) -> None:
    assert import_run(other, write(tmp_path / "x.zip", valid))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil.txt", ["evil.txt", "not part"]),
        ("/etc/evil", ["/etc/evil", "not part"]),
        ("keyframes/../../evil", ["evil", "not part"]),
        ("..\\evil.pt", ["evil", "not part"]),
        ("C:\\evil.pt", ["evil", "not part"]),
        ("keyframes\\000000001.npz", ["not part"]),
        ("keyframes/", ["not part"]),
        ("other.pt", ["other.pt", "not part"]),
        ("meta.js\0n", ["not part"]),
        ("last.pt ", ["not part"]),
        ("LAST.PT", ["not part"]),
        ("step-000000001.pt\n", ["not part"]),
        ("x" * 5000, ["not part"]),
    ],
)
def test_foreign_names(target: Store, valid: Members, tmp_path: Path, name: str, words: list[str]) -> None:
    refused(target, write(tmp_path / "x.zip", valid | {name: b"evil"}), *words)
    assert not (tmp_path / "evil.txt").exists() and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 1000, b"PK\x05\x06" + bytes(18), bytes(100)])
def test_no_export(target: Store, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    refused(target, tmp_path / "x.zip", "the file")
    refused(target, io.BytesIO(data), "the file")


def test_no_file(target: Store, tmp_path: Path) -> None:
    refused(target, tmp_path / "nothing.zip", "not a file")
    refused(target, tmp_path, "not a file")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated(target: Store, lab: Any, tmp_path: Path, share: float) -> None:
    data = (lab[2] / "fixmatch.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(data[: int(share * len(data))])
    refused(target, tmp_path / "x.zip", "not a complete zip")


def rezip(
    path: Path, members: Members, edit: Callable[[zipfile.ZipFile], None], compress: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", compress) as file:
        for name, data in members.items():
            file.writestr(name, data)
        edit(file)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(target: Store, valid: Members, tmp_path: Path) -> None:
    refused(
        target, rezip(tmp_path / "x.zip", valid, lambda file: file.writestr("last.pt", b"evil")), "last.pt", "twice"
    )


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_device(target: Store, valid: Members, tmp_path: Path, kind: int) -> None:
    def link(file: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("best.pt")
        info.external_attr = (kind | 0o777) << 16
        file.writestr(info, "/etc/passwd")

    valid.pop("best.pt")
    refused(target, rezip(tmp_path / "x.zip", valid, link), "best.pt", "link")


def test_a_wrong_checksum(target: Store, valid: Members, tmp_path: Path) -> None:
    manifest = json.loads(valid["manifest.json"])
    manifest["members"]["last.pt"]["sha256"] = "0" * 64
    valid["manifest.json"] = json.dumps(manifest).encode()
    refused(target, rezip(tmp_path / "x.zip", valid, lambda file: None), "last.pt", "damaged")


def test_more_or_fewer_members_than_told(target: Store, valid: Members, tmp_path: Path) -> None:
    for name in ("best.pt", "keyframes/000000010.npz"):
        rest = {key: data for key, data in valid.items() if key != name}
        refused(target, rezip(tmp_path / "x.zip", rest, lambda file: None), "table of members")
    refused(
        target,
        rezip(tmp_path / "x.zip", valid, lambda file: file.writestr("step-000000001.pt", b"")),
        "table of members",
    )


def test_bombs(target: Store, valid: Members, tmp_path: Path) -> None:
    zeros = bytes(30 << 20)
    refused(target, write(tmp_path / "x.zip", valid | {"metrics.csv": zeros}), "metrics.csv", "times its size")
    small = Limits(total=1 << 20)
    refused(
        target, write(tmp_path / "y.zip", valid | {"metrics.csv": os.urandom(1 << 20)}), "unpacks to more", limits=small
    )
    few = Limits(members=10)
    refused(target, write(tmp_path / "z.zip", valid), "members", limits=few)


def test_a_directory_that_lies_about_sizes(target: Store, valid: Members, tmp_path: Path) -> None:
    """The claim is small, what comes is large: what comes is counted."""
    path = write(tmp_path / "x.zip", valid | {"meta.json": b" " * (3 << 20)})
    data = bytearray(path.read_bytes())
    size = (3 << 20).to_bytes(4, "little")
    assert data.count(size) == 2
    refused(target, io.BytesIO(bytes(data)), "meta.json")  # above its limit as it stands
    refused(target, io.BytesIO(bytes(data.replace(size, (100).to_bytes(4, "little")))), "the file")


def test_many_thousand_members(target: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for k in range(3_000):
            file.writestr(f"step-{k:09d}.pt", b"")
    refused(target, tmp_path / "x.zip", "3,000 members")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as file:
        for k in range(40_000):
            file.writestr(f"step-{k:09d}.pt", b"")
    refused(target, tmp_path / "y.zip", "directory is too long")


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("evil-was-here",)


@pytest.mark.parametrize("how", ["pickle", "torch", "zipped pickle", "deflated", "stub"])
def test_code_in_a_checkpoint(
    target: Store, valid: Members, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.chdir(tmp_path)
    state = torch.load(io.BytesIO(valid["last.pt"]), weights_only=True)
    out = io.BytesIO()
    if how == "pickle":
        data = pickle.dumps(state | {"best": Evil()})
    elif how == "torch":
        data = saved(state | {"best": Evil()})
    elif how == "stub":
        data = saved({"step": 30})
    else:
        with zipfile.ZipFile(io.BytesIO(valid["last.pt"])) as old, zipfile.ZipFile(out, "w") as new:
            for info in old.infolist():
                code = (
                    pickle.dumps(Evil())
                    if how == "zipped pickle" and info.filename.endswith(".pkl")
                    else old.read(info)
                )
                new.writestr(info.filename, code, zipfile.ZIP_DEFLATED if how == "deflated" else zipfile.ZIP_STORED)
        data = out.getvalue()
    refused(target, write(tmp_path / "x.zip", valid | {"last.pt": data}), "last.pt")
    assert not (tmp_path / "evil-was-here").exists()


def changed(**parts: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda state: state.update(parts)


def scaled(state: dict[str, Any]) -> None:
    state["model"]["head.bias"] = state["model"]["head.bias"] * float("nan")


CHECKPOINTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "version": changed(version=7),
    "step": changed(step=29),
    "step kind": changed(step="30"),
    "extra": changed(extra=1),
    "missing": lambda s: s.pop("ema"),
    "threads": changed(threads=10**9),
    "best": changed(best=float("inf")),
    "config": lambda s: s["config"]["train"].update(seed=5),
    "config kind": changed(config=[1]),
    "weights": lambda s: s["model"].update({"head.bias": torch.zeros(11)}),
    "dtype": lambda s: s["ema"].update({"head.bias": torch.zeros(10).double()}),
    "renamed": lambda s: s["model"].update(other=s["model"].pop("head.bias")),
    "nan": scaled,
    "no tensor": lambda s: s["model"].update({"head.bias": 3}),
    "other weights": lambda s: s["model"]["head.bias"].add_(1),
    "model kind": changed(model=7),
    "sparse": lambda s: s["model"].update({"head.bias": torch.zeros(10).to_sparse()}),
    "selected": lambda s: s["method"]["selected"].fill_(11),
    "selected short": lambda s: s["method"].update(selected=torch.zeros(3, dtype=torch.int64)),
    "pool": lambda s: s["split"].update(unlabeled=torch.tensor([5000])),
    "unsorted": lambda s: s["split"].update(val=s["split"]["val"].flip(0)),
    "order": lambda s: s["stream"].update(order_u=torch.tensor([99999])),
    "order kind": lambda s: s["stream"].update(order_u=torch.zeros(3)),
    "generators": lambda s: s["generators"].update(split=torch.zeros(10**5, dtype=torch.uint8)),
    "no generator": lambda s: s["generators"].pop("order"),
    "moments": lambda s: s["optimizer"]["state"][0].update(momentum_buffer=torch.zeros(2)),
    "groups": lambda s: s["optimizer"]["param_groups"].pop(),
    "group value": lambda s: s["optimizer"]["param_groups"][0].update(lr="fast"),
    "fingerprint": changed(fingerprint="x"),
    "seconds": changed(seconds=-1.0),
}


@pytest.mark.parametrize("what", CHECKPOINTS)
def test_a_checkpoint_that_is_not_of_this_run(target: Store, valid: Members, tmp_path: Path, what: str) -> None:
    state = torch.load(io.BytesIO(valid["last.pt"]), weights_only=True)
    CHECKPOINTS[what](state)
    refused(target, write(tmp_path / "x.zip", valid | {"last.pt": saved(state)}), "last.pt")


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def test_code_in_a_keyframe(target: Store, valid: Members, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = dict(np.load(io.BytesIO(valid["keyframes/000000010.npz"])))
    for bad in (npz(**frame | {"guess": np.array([Evil()], dtype=object)}), pickle.dumps(Evil()), b"", b"PK"):
        refused(target, write(tmp_path / "x.zip", valid | {"keyframes/000000010.npz": bad}), "keyframe 000000010.npz")
    assert not (tmp_path / "evil-was-here").exists()


def test_a_keyframe_that_would_fill_the_memory(target: Store, valid: Members, tmp_path: Path, monkeypatch: Any) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("weak_probs.npy", header.getvalue())
    refused(target, write(tmp_path / "x.zip", valid | {"keyframes/000000010.npz": out.getvalue()}), "keyframe", "shape")
    monkeypatch.setattr("sslcore.incoming_keyframes.MOST_BYTES", 1 << 20)
    bomb = npz(weak_probs=np.zeros((2 << 20,), np.uint8))
    refused(target, write(tmp_path / "x.zip", valid | {"keyframes/000000010.npz": bomb}), "keyframe", "unpacks to more")


FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "lacks": lambda f: f.pop("mask"),
    "dtype": lambda f: f.update(pseudo=f["pseudo"].astype(float)),
    "classes": lambda f: f.update(pseudo=f["pseudo"] + 10),
    "negative": lambda f: f.update(pseudo=f["pseudo"] - 10),
    "shape": lambda f: f.update(weak_probs=f["weak_probs"][:, :9]),
    "nan": lambda f: f.update(threshold=f["threshold"] * np.nan),
    "large": lambda f: f.update(weak_probs=f["weak_probs"] * 100),
    "test": lambda f: f.update(test_pred=f["test_pred"][:5]),
    "half": lambda f: f.pop("confusion"),
    "square": lambda f: f.update(confusion=f["confusion"][:5]),
    "extra text": lambda f: f.update(extra=np.array(["a"])),
    "dims": lambda f: f.update(mask=f["mask"][0]),
}


@pytest.mark.parametrize("what", FRAMES)
def test_a_keyframe_that_does_not_fit(target: Store, valid: Members, tmp_path: Path, what: str) -> None:
    frame = dict(np.load(io.BytesIO(valid["keyframes/000000020.npz"])))
    FRAMES[what](frame)
    refused(
        target, write(tmp_path / "x.zip", valid | {"keyframes/000000020.npz": npz(**frame)}), "keyframe 000000020.npz"
    )


def test_the_probe_is_checked_too(target: Store, valid: Members, tmp_path: Path) -> None:
    probe = dict(np.load(io.BytesIO(valid["keyframes/probe.npz"])))
    for change in (
        {"weak_images": probe["weak_images"].astype(np.float32)},
        {"strong_images": probe["strong_images"][:, :8]},
        {"weak_images": probe["weak_images"][..., [0, 0]], "strong_images": probe["strong_images"][..., [0, 0]]},
        {"unlabeled_index": probe["unlabeled_index"] + 10**6},
        {"test_truth": probe["test_truth"] - 1},
    ):
        refused(target, write(tmp_path / "x.zip", valid | {"keyframes/probe.npz": npz(**probe | change)}), "probe.npz")
    rest = {name: data for name, data in valid.items() if name != "keyframes/probe.npz"}
    refused(target, write(tmp_path / "x.zip", rest), "probe.npz")


RECORDS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "id": (lambda r: r.update(id="../evil"), "id"),
    "id dots": (lambda r: r.update(id=".."), "id"),
    "id word": (lambda r: r.update(id="con"), "id"),
    "id long": (lambda r: r.update(id="a-" + "b" * 100), "id"),
    "id kind": (lambda r: r.update(id=7), "id"),
    "state": (lambda r: r.update(state="running"), "state"),
    "queued": (lambda r: r.update(state="queued"), "state"),
    "finished": (lambda r: r.update(step=3), "step"),
    "step": (lambda r: r.update(step=-1), "step"),
    "step kind": (lambda r: r.update(step=True), "step"),
    "huge": (lambda r: r.update(step=10**30), "step"),
    "seconds": (lambda r: r.update(seconds="1"), "seconds"),
    "name": (lambda r: r.update(name="x" * 10_000), "name"),
    "surrogate": (lambda r: r.update(name="\ud800"), "name"),
    "nul": (lambda r: r.update(note="a\0b"), "note"),
    "extra": (lambda r: r.update(pid=1), "columns"),
    "lacks": (lambda r: r.pop("labels"), "columns"),
    "method": (lambda r: r.update(method="mixmatch"), "method"),
    "seed": (lambda r: r.update(seed=3), "seed"),
    "config": (lambda r: r["config"]["optim"].update(lr=-1), "optim.lr"),
    "unknown": (lambda r: r["config"]["optim"].update(speed=1), "speed"),
    "config kind": (lambda r: r.update(config=None), "settings"),
    "summary": (lambda r: r.update(summary=[]), "summary"),
    "accuracy": (lambda r: r["summary"].update(test_accuracy=7), "test_accuracy"),
    "accuracy kind": (lambda r: r["summary"].update(test_accuracy="<b>"), "test_accuracy"),
    "classes": (lambda r: r["summary"].update(class_names=["one"]), "class"),
    "classes kind": (lambda r: r["summary"].update(class_names=[1, 2]), "class_names"),
    "hash": (lambda r: r["summary"].update(weights_sha256="0" * 64), "weights"),
    "changed": (lambda r: r.update(changed=1), "changed"),
    "until": (lambda r: r.update(until=-4), "until"),
    "fork": (lambda r: r["summary"].update(fork={"run": "../x", "step": 1, "changes": {}, "before": {}}), "fork"),
    "created": (lambda r: r.update(created=1e300), "created"),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_that_does_not_fit(target: Store, valid: Members, tmp_path: Path, what: str) -> None:
    edit, word = RECORDS[what]
    manifest = json.loads(valid["manifest.json"])
    edit(manifest["run"])
    refused(target, write(tmp_path / "x.zip", valid, manifest), word)


MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "format": lambda m: m.update(format=2),
    "extra": lambda m: m.update(extra=1),
    "host": lambda m: m.update(host=3),
    "versions": lambda m: m.update(versions={"evil": "1"}),
    "exported": lambda m: m.update(exported="now"),
    "waiting": lambda m: m.update(waiting=[{"data.labels": 3}]),
    "waiting value": lambda m: m.update(waiting=[{"optim.lr": "x"}]),
    "waiting kind": lambda m: m.update(waiting={}),
    "checkpoint_step": lambda m: m.update(checkpoint_step=3),
    "run": lambda m: m.update(run=3),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_does_not_fit(target: Store, valid: Members, tmp_path: Path, what: str) -> None:
    manifest = json.loads(valid["manifest.json"])
    MANIFESTS[what](manifest)
    refused(target, write(tmp_path / "x.zip", valid, manifest), "")


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def joined(found: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in found)


POINT = {"series": "train", "step": 30, "seconds": 1.0, "metrics": {"train/loss": 1.0}}
ARRAY = {"name": "flex/threshold", "step": 30, "seconds": 1.0, "values": [0.5] * 10}
EVENT = {"step": 1, "time": 1.0, "kind": "set", "data": {"optim.lr": 0.1}}
LINES: list[tuple[str, dict[str, Any], str]] = [
    ("points.jsonl", POINT | {"series": "other"}, "series"),
    ("points.jsonl", POINT | {"step": 31}, "step"),
    ("points.jsonl", POINT | {"step": 1}, "back"),
    ("points.jsonl", POINT | {"step": 30.5}, "step"),
    ("points.jsonl", POINT | {"seconds": None}, "seconds"),
    ("points.jsonl", POINT | {"metrics": {"train/loss": "1"}}, "train/loss"),
    ("points.jsonl", POINT | {"metrics": {"train/loss": True}}, "train/loss"),
    ("points.jsonl", POINT | {"metrics": {"=cmd()": 1.0}}, "metric"),
    ("points.jsonl", POINT | {"metrics": {"train/loss": 10**400}}, "train/loss"),
    ("points.jsonl", POINT | {"metrics": [1]}, "metrics"),
    ("points.jsonl", POINT | {"more": 1}, "points.jsonl"),
    ("arrays.jsonl", ARRAY | {"name": "other"}, "array"),
    ("arrays.jsonl", ARRAY | {"values": [0.5] * 9}, "10 numbers"),
    ("arrays.jsonl", ARRAY | {"values": ["a"] * 10}, "finite"),
    ("arrays.jsonl", ARRAY | {"values": [1e39] * 10}, "finite"),
    ("arrays.jsonl", ARRAY | {"step": -1}, "step"),
    ("events.jsonl", EVENT | {"kind": "a b"}, "kind"),
    ("events.jsonl", EVENT | {"data": {"a": [1]}}, "event"),
    ("events.jsonl", EVENT | {"data": 3}, "event"),
    ("events.jsonl", EVENT | {"time": "now"}, "time"),
    ("events.jsonl", EVENT | {"kind": "state", "data": {"state": "odd"}}, "state"),
]


@pytest.mark.parametrize(("name", "line", "word"), LINES)
def test_a_line_that_does_not_fit(
    target: Store, valid: Members, tmp_path: Path, name: str, line: dict[str, Any], word: str
) -> None:
    at_end = (
        [*lines(valid[name]), line]
        if name != "points.jsonl"
        else sorted([*lines(valid[name]), line], key=lambda p: p["series"])
    )
    refused(target, write(tmp_path / "x.zip", valid | {name: joined(at_end)}), word)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000 + b"\n",
        b"NaN\n",
        b'{"a": NaN}\n',
        b"\xff\xfe\n",
        b"{}",
        b"7" * 10_000 + b"\n",
        b" " * (5 << 20) + b"\n",
    ],
)
def test_lines_that_are_no_json(target: Store, valid: Members, tmp_path: Path, data: bytes) -> None:
    for name in ("points.jsonl", "arrays.jsonl", "events.jsonl"):
        refused(target, write(tmp_path / "x.zip", valid | {name: data}), name)
    refused(
        target,
        write(tmp_path / "x.zip", valid | {"config.json": data[: 1 << 19]}),
        "config.json" if b"{}" not in data else "",
    )


def test_null_is_no_value(valid: Members, other: Store, tmp_path: Path) -> None:
    found = [line | {"metrics": line["metrics"] | {"train/purity": None}} for line in lines(valid["points.jsonl"])]
    vectors = [line | {"values": [None, *line["values"][1:]]} for line in lines(valid["arrays.jsonl"])]
    new = import_run(
        other, write(tmp_path / "x.zip", valid | {"points.jsonl": joined(found), "arrays.jsonl": joined(vectors)})
    )
    assert "train/purity" not in other.points(new, ev.TRAIN)
    assert np.isnan(other.arrays(new, "flex/threshold")[1][:, 0]).all()


def test_signs_that_cannot_be_seen_are_left_out(valid: Members, other: Store, tmp_path: Path) -> None:
    manifest = json.loads(valid["manifest.json"])
    manifest["run"] |= {"name": "a\u202ename\n\tof two", "note": "one\ntwo\u200b\x1b[31m"}
    run = other.run(import_run(other, write(tmp_path / "x.zip", valid, manifest)))
    assert (run.name, run.note) == ("a name of two", "one\ntwo[31m")
    manifest["run"]["name"] = "\u200b"
    run = other.run(import_run(other, write(tmp_path / "y.zip", valid, manifest)))
    assert run.name == manifest["run"]["id"]


def test_parts_of_a_checkpoint_alone(target: Store, valid: Members, tmp_path: Path) -> None:
    for name in ("last.pt", "meta.json", "split.json"):
        rest = {key: data for key, data in valid.items() if key != name}
        refused(target, write(tmp_path / "x.zip", rest), "part")
    for name in ("points.jsonl", "config.json"):
        rest = {key: data for key, data in valid.items() if key != name}
        refused(target, write(tmp_path / "x.zip", rest), name)
    refused(target, write(tmp_path / "x.zip", valid | {"split.json": b"{}"}), "split.json")
    refused(target, write(tmp_path / "x.zip", valid | {"meta.json": b"{}"}), "meta.json")


def test_what_fails_at_the_last_moment_is_undone(target: Store, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", broken)
    refused(target, lab[2] / "mixmatch.zip", "No space left")


def test_what_a_killed_import_left_is_removed_later(target: Store, lab: Any) -> None:
    old, young = target.root / ".import-old", target.root / ".import-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    import_run(target, lab[2] / "mixmatch.zip")
    assert young.exists() and not old.exists()


def test_an_export_that_cannot_be_written_leaves_nothing(lab: Any, tmp_path: Path) -> None:
    store, ids, _ = lab
    with pytest.raises(TransferError, match="can't be written"):
        export_run(store, ids["mixmatch"], tmp_path / "no" / "such" / "run.zip")
    assert not list(tmp_path.iterdir())
    assert archive.MANIFEST in read(lab[2] / "mixmatch.zip")


def fuzz(store: Store, data: bytes, original: Store, run_id: str, times: int, seed: int) -> int:
    """Import `times` damaged copies of an export: each is the original or a TransferError. Returns how many were taken."""
    generator, taken = np.random.default_rng(seed), 0
    before = contents(store)
    for _ in range(times):
        bad = bytearray(data)
        kind = generator.integers(4)
        for at in generator.integers(0, len(bad), size=int(generator.integers(1, 9))):
            bad[at] = generator.integers(256)
        if kind == 1:  # the directory at the end is where a zip can lie
            for at in generator.integers(len(bad) - 2500, len(bad), size=3):
                bad[at] = generator.integers(256)
        elif kind == 2:
            at, length = int(generator.integers(len(bad))), int(generator.integers(1, 5000))
            del bad[at : at + length]
        elif kind == 3:
            at, length = int(generator.integers(len(bad))), int(generator.integers(1, 5000))
            bad[at:at] = bad[at : at + length]
        try:
            new = import_run(store, io.BytesIO(bytes(bad)))
        except TransferError:
            assert contents(store) == before
            continue
        taken += 1
        for table, columns in (("points", "series, seq, step, seconds, metrics"), ("arrays", "name, seq, step, data")):
            found = []
            for where, run in ((original, run_id), (store, new)):
                with where.snapshot() as db:
                    asked = f"SELECT {columns} FROM {table} WHERE run = ? ORDER BY 1, 2"
                    found.append([tuple(row) for row in db.execute(asked, (run,))])
            assert found[0] == found[1]
        assert original.run(run_id).config == store.run(new).config
        for path in original.folder(run_id).rglob("*.*"):
            if path.name != "meta.json":
                assert path.read_bytes() == (store.folder(new) / path.relative_to(original.folder(run_id))).read_bytes()
        store.delete(new)
        assert contents(store) == before
    return taken


def test_damaged_bytes_are_noticed(lab: Any, target: Store) -> None:
    original, ids, folder = lab
    taken = fuzz(target, (folder / "flexmatch.zip").read_bytes(), original, ids["flexmatch"], times=30, seed=0)
    assert taken < 30


@pytest.mark.slow
def test_damaged_bytes_are_noticed_for_long(lab: Any, target: Store) -> None:
    original, ids, folder = lab
    for method, run_id in ids.items():
        fuzz(target, (folder / f"{method}.zip").read_bytes(), original, run_id, times=300, seed=len(method))


def inside(data: bytes, generator: np.random.Generator) -> bytes:
    """Damage a member where no checksum notices: for a zip (.pt, .npz) one of its own members, packed again."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            infos = old.infolist()
            large = [max(info.file_size, 1) ** 0.3 for info in infos]  # a pickle as often as a tensor
            chosen = infos[int(generator.choice(len(infos), p=np.array(large) / sum(large)))]
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", chosen.compress_type) as new:
                for info in infos:
                    part = old.read(info)
                    new.writestr(info.filename, inside(part, generator) if info is chosen else part)
        return out.getvalue()
    bad = bytearray(data or b"\0")
    for at in generator.integers(0, len(bad), size=int(generator.integers(1, 4))):
        bad[at] = generator.integers(256)
    return bytes(bad)


def deep_fuzz(store: Store, valid: Members, path: Path, times: int, seed: int) -> int:
    """Import forged exports with a right table of members: each is refused, or a run that can be read to its end."""
    generator, taken = np.random.default_rng(seed), 0
    before = contents(store)
    names = sorted(name for name in valid if name != "manifest.json")
    for _ in range(times):
        name = names[int(generator.integers(len(names)))]
        members = valid | {name: inside(valid[name], generator)}
        try:
            new = import_run(store, write(path, members))
        except TransferError:
            assert contents(store) == before
            continue
        taken += 1
        html_report(store, [new])
        metrics_csv(store, new)
        for step in keyframes.steps(store.folder(new)):
            keyframes.load(store.folder(new), step)
        store.delete(new)
        assert contents(store) == before
    return taken


def test_damage_below_the_checksums_is_noticed_or_harmless(valid: Members, target: Store, tmp_path: Path) -> None:
    taken = deep_fuzz(target, valid, tmp_path / "x.zip", times=30, seed=1)
    assert 0 < taken < 30


@pytest.mark.slow
def test_damage_below_the_checksums_for_long(valid: Members, target: Store, tmp_path: Path) -> None:
    assert 0 < deep_fuzz(target, valid, tmp_path / "x.zip", times=600, seed=2) < 600
