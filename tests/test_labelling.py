"""Predictions, pseudo-labels and what to label next: equal to what `evaluate` says, complete, and safe as files."""

from __future__ import annotations

import csv
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sslcore import checkpoint, data, labelling
from sslcore.__main__ import main
from sslcore.config import DataConfig
from sslcore.labelling import Labeller, farthest_first
from sslcore.store import Store

SETTINGS = ("--preset", "smoke", "--set", "train.threads=1", "--json")


class Made:
    """A root with a run on the digits and one on a folder of mixed files, made through the command line."""

    def __init__(self, folder: Path) -> None:
        self.root, self.pictures = folder / "runs", folder / "pets"
        chance = np.random.default_rng(0)
        for name, level in (("=cmd", 40), ("dog", 200)):
            for part, count in (("train", 9), ("test", 4)):
                (self.pictures / part / name).mkdir(parents=True)
                for k in range(count):
                    pixels = np.clip(chance.normal(level, 60, (20, 24, 3)), 0, 255).astype(np.uint8)
                    kind = ("png", "jpg", "gif", "bmp", "webp", "tif")[k % 6]
                    Image.fromarray(pixels).save(self.pictures / part / name / f"{k}.{kind}")
        (self.pictures / "train" / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
        (self.pictures / "test" / "dog" / "notes.txt").write_text("dogs")

    def call(self, capsys: Any, *words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([*words, "--root", str(self.root)])
        except SystemExit as exit:
            status = int(exit.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    def train(self, capsys: Any, *words: str) -> dict[str, Any]:
        status, out, err = self.call(capsys, "train", *SETTINGS, *words)
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("labelling"))


@pytest.fixture(autouse=True)
def own_cache(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLLAB_DATA", str(made.root.parent / "data"))
    monkeypatch.setattr(data, "_recent", OrderedDict())


@pytest.fixture
def digits(made: Made, capsys: Any) -> str:
    """A run on the digits, trained once."""
    known = [run.id for run in Store(made.root).runs() if run.data == "digits"]
    return (
        known[0]
        if known
        else str(made.train(capsys, "--method", "fixmatch", "--set", "method.threshold=0.6")["run_id"])
    )


@pytest.fixture
def pets(made: Made, capsys: Any) -> str:
    known = [run.id for run in Store(made.root).runs() if run.data.startswith("folder:")]
    words = ("--method", "mixmatch", "--labels", "4", "--steps", "10", "--data", f"folder:{made.pictures}")
    return known[0] if known else str(made.train(capsys, *words, "--set", "data.image_size=16")["run_id"])


def accuracy(found: dict[str, Any], truth: list[str]) -> float:
    guesses = [each["class"] for each in found["predictions"]]
    return float(np.mean([guess == true for guess, true in zip(guesses, truth, strict=True)]))


def test_predicted_digits_are_as_right_as_evaluate_says(made: Made, digits: str, capsys: Any, tmp_path: Path) -> None:
    images = data.load(DataConfig())
    files = []
    for k, pixels in enumerate(images.test_images.numpy()):
        files.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(pixels[..., 0]).save(files[-1])
    status, out, err = made.call(capsys, "predict", digits, *files, "--json", "--threshold", "0.5")
    assert status == 0, err
    found = json.loads(out)
    told = json.loads(made.call(capsys, "evaluate", digits, "--json")[1])
    assert accuracy(found, [str(y) for y in images.test_labels.tolist()]) == pytest.approx(
        told["test_accuracy"], abs=1e-6
    )
    for each, path in zip(found["predictions"], files, strict=True):
        assert each["path"] == path and sum(each["probs"].values()) == pytest.approx(1, abs=1e-5)
        assert each["confidence"] == max(each["probs"].values()) == each["probs"][each["class"]]
        assert each["sure"] == (each["confidence"] >= 0.5)


def test_a_folder_of_mixed_formats_is_predicted_by_its_files(made: Made, pets: str, capsys: Any) -> None:
    """The files themselves, decoded again, give evaluate's accuracy; the broken one was left out there and is one sentence here."""
    files = sorted(path for path in (made.pictures / "test").rglob("*.*") if path.suffix != ".txt")
    status, out, _ = made.call(capsys, "predict", pets, *map(str, files), "--json")
    told = json.loads(made.call(capsys, "evaluate", pets, "--json")[1])
    found = json.loads(out)
    assert status == 0 and found["threshold"] == 0.95, "MixMatch has no threshold of its own"
    assert accuracy(found, [path.parent.name for path in files]) == pytest.approx(told["test_accuracy"], abs=1e-6)


def test_what_is_no_picture_is_one_sentence_each_and_the_others_are_answered(
    made: Made, pets: str, capsys: Any
) -> None:
    names = ("train/dog/broken.png", "", "nobody.png", "test/dog/notes.txt")
    bad = [made.pictures / name for name in names]
    good = made.pictures / "test" / "dog" / "0.png"
    status, out, err = made.call(capsys, "predict", pets, *map(str, [good, *bad]), "--json")
    assert status == 2 and len(err.strip().splitlines()) == 4
    for path, words, line in zip(bad, ("read as an image", "is a folder", "no file", "read as an image"), err.splitlines(), strict=True):  # fmt: skip
        assert str(path) in line and words in line
    found = json.loads(out)["predictions"]
    assert "class" in found[0] and [each["path"] for each in found[1:]] == list(map(str, bad))
    status, out, err = made.call(capsys, "predict", pets, str(good), "--threshold", "1")
    assert status == 0 and f"{good}: not sure; " in out and "dog" in out


@pytest.mark.parametrize("threshold", ["x", "-0.1", "1.1", "nan"])
def test_a_threshold_that_can_not_be(made: Made, digits: str, capsys: Any, threshold: str) -> None:
    for words in (("predict", digits, "x.png"), ("pseudo-labels", digits, "--out", "x.csv")):
        status, out, err = made.call(capsys, *words, f"--threshold={threshold}")
        assert status == 2 and out == "" and f"--threshold must be a number from 0 to 1, got '{threshold}'" in err


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_pseudo_labels_of_the_whole_pool(made: Made, digits: str, capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    status, said, err = made.call(capsys, "pseudo-labels", digits, "--out", str(out), "--json")
    assert status == 0, err
    rows, path = read_csv(out), Store(made.root).folder(digits) / checkpoint.LAST
    pool = checkpoint.load(path)["split"]["unlabeled"].tolist()
    assert [row["path"] for row in rows] == [f"digits/train/{position}" for position in pool]
    assert list(rows[0]) == ["path", "class", "confidence", "kept"]
    labeller = Labeller(path)
    probs = labeller.predictor.probs(labeller.images.train_images[pool])
    assert [row["class"] for row in rows] == [str(guess) for guess in probs.argmax(dim=1).tolist()]
    np.testing.assert_allclose([float(row["confidence"]) for row in rows], probs.max(dim=1).values, atol=1e-5)
    kept = sum(int(row["kept"]) for row in rows)
    told = json.loads(said)
    assert told["threshold"] == 0.6, "the run's own"
    assert (
        told["kept"] == kept == sum(float(row["confidence"]) >= 0.6 for row in rows)
        and told["images"] == len(pool) == 1437
    )


def test_a_class_that_is_a_formula_is_no_formula_in_the_file(
    made: Made, pets: str, capsys: Any, tmp_path: Path
) -> None:
    out = tmp_path / "labels.csv"
    assert made.call(capsys, "pseudo-labels", pets, "--out", str(out))[0] == 0
    rows = read_csv(out)
    names = {path.relative_to(made.pictures).as_posix() for path in (made.pictures / "train").rglob("*.*")}
    assert {row["path"] for row in rows} < names and len(rows) == 14  # 18 less 4 labelled: MixMatch leaves these out
    assert {row["class"] for row in rows} <= {"'=cmd", "dog"}


def test_what_to_label_next_is_the_least_certain_and_unlabelled(
    made: Made, digits: str, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Store(made.root).folder(digits) / checkpoint.LAST
    labeller = Labeller(path)
    labeled = set(labeller.labeled.tolist())
    everything = labeller.pseudo_labels()
    ranked = sorted((c, i) for c, i in zip(everything.confidence, everything.index, strict=True) if i not in labeled)
    plain = labeller.to_label(10, diverse=False)
    np.testing.assert_allclose(plain.confidence, [c for c, _ in ranked[:10]], rtol=1e-5)
    diverse = labeller.to_label(10)
    shortlist = {i for c, i in ranked[:80] if c < 0.95}
    assert len(set(diverse.index.tolist())) == 10 and set(diverse.index.tolist()) <= shortlist
    monkeypatch.setattr(labelling, "usual_threshold", lambda config: float(ranked[15][0]))  # 15 below it
    assert set(labeller.to_label(10).index.tolist()) <= {i for _, i in ranked[:15]}, "never one that it is sure of"
    assert set(labeller.to_label(16).index.tolist()) == {i for _, i in ranked[:16]}, "where there are not enough others"
    monkeypatch.undo()
    assert diverse.index[0] == plain.index[0] and set(diverse.index.tolist()) != set(plain.index.tolist())
    out = tmp_path / "next.csv"
    status, said, _ = made.call(capsys, "to-label", digits, "--count", "10", "--out", str(out), "--json")
    assert status == 0 and json.loads(said)["images"] == 10
    assert [row["path"] for row in read_csv(out)] == list(diverse.paths)
    assert len(labeller.to_label(100_000).paths) == 1437 - len(labeled)


def test_farthest_first_against_loops() -> None:
    points = torch.randn(40, 3, generator=torch.Generator().manual_seed(2))
    chosen = [0]
    while len(chosen) < 12:
        distance = [min(float((p - points[c]).norm()) for c in chosen) for p in points]
        chosen.append(max(range(40), key=lambda k: (k not in chosen, distance[k])))
    assert farthest_first(points, 12) == chosen
    assert sorted(farthest_first(torch.zeros(5, 2), 9)) == [0, 1, 2, 3, 4]
    assert farthest_first(points[:0], 3) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["predict", "nobody", "x.png"], ["nobody"]),
        (["predict"], ["RUN"]),
        (["to-label", "{run}", "--count", "0", "--out", "x.csv"], ["--count", "from 1"]),
        (["to-label", "{run}", "--count", "2.5", "--out", "x.csv"], ["--count", "whole number"]),
        (["to-label", "{run}", "--out", "/nowhere/at/all/x.csv"], ["--out", "/nowhere/at/all/x.csv"]),
        (["pseudo-labels", "{run}", "--out", "/nowhere/at/all/x.csv"], ["--out", "can't be written"]),
    ],
)
def test_bad_usage(made: Made, digits: str, capsys: Any, words: list[str], told: list[str]) -> None:
    status, out, err = made.call(capsys, *(word.format(run=digits) for word in words))
    assert status == 2 and out == "" and len(err.strip().splitlines()) <= 2 and all(word in err for word in told), err


def test_a_run_without_a_checkpoint_says_so(made: Made, capsys: Any) -> None:
    from sslcore import presets

    store = Store(made.root)
    run_id = store.create(presets.build("smoke"), preset="smoke", name="")
    status, _, err = made.call(capsys, "pseudo-labels", run_id, "--out", "x.csv")
    assert status == 2 and "no checkpoint yet" in err and run_id in err
