"""What may stand in an export: a member that doesn't fit the run is refused with one sentence, and nothing has changed."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sslcore import events as ev
from sslcore.store import Store
from sslcore.transfer import import_run
from tests.forge import Members, refused, saved, write
from tests.forge import lab as lab
from tests.forge import other as other
from tests.forge import target as target
from tests.forge import valid as valid


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
