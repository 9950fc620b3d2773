"""The GPU bench: its sections run small on a CPU, one that fails costs no other, and what it finds is kept for sweeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sslcore import bench, bench_gpu, bench_gpu_told
from sslcore.__main__ import main

CPU = torch.device("cpu")
SMALL = {"data.labels": 20, "model.depth": 10, "model.widen_factor": 1, "train.batch": 2}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    patch = pytest.MonkeyPatch()
    patch.setattr(bench_gpu, "AT_ONCE", (1, 2))
    patch.setattr(bench_gpu, "EQUAL_STEPS", 2)
    torch.set_num_threads(1)
    try:
        names = tuple(name for name in bench_gpu.SECTIONS if name != "compiled")
        return bench_gpu.run(CPU, bench.noise("lesson", 200, 50), SMALL, seconds=0.01, only=names)
    finally:
        patch.undo()


def test_what_fails_is_told_and_the_rest_is_measured(found: dict[str, Any]) -> None:
    assert list(found["errors"]) == ["variants"], "a CPU has no fp16"
    assert "train.precision must be auto, fp32 or bf16 on cpu" in found["errors"]["variants"]
    assert [row["method"] for row in found["methods"]] == ["supervised", "mixmatch", "fixmatch", "flexmatch"]
    assert all(row["equal"] and row["largest_relative_difference"] == 0 for row in found["equality"])
    assert len(found["at_once"]) == 8 and all(row["steps_per_s"] > 0 for row in found["at_once"])
    json.dumps(found)


def test_the_work_of_a_step_is_counted(found: dict[str, Any]) -> None:
    supervised, fixmatch = found["methods"][0], found["methods"][2]
    assert (supervised["images_per_step"], fixmatch["images_per_step"]) == (2, 30)
    # Forward and backward of every image; the stem needs no gradient of its input, so a little less than three forwards.
    assert fixmatch["flops"] / supervised["flops"] == pytest.approx(15, rel=0.01)
    assert fixmatch["bytes"] > supervised["bytes"] > 0
    assert fixmatch["share_of_bf16_peak"] > 0


def test_the_table_says_all_of_it(found: dict[str, Any]) -> None:
    text = bench_gpu_told.table(found)
    for part in (
        "flexmatch fp32 eager",
        "the captured step equals the plain one",
        "2 x mixmatch",
        "variants: not measured: ConfigError",
    ):
        assert part in text


def test_a_section_that_may_not_end_in_time_is_left_out() -> None:
    images = bench.noise("wrn", 50, 10)
    late = bench_gpu.run(CPU, images, SMALL, seconds=0.01, only=("ceilings", "compiled"), budget=100.0)
    assert "ceilings" in late and list(late["errors"]) == ["compiled"]
    assert late["errors"]["compiled"].startswith("left out: ") and late["errors"]["compiled"].endswith(
        "of 100 seconds were left"
    )


def test_more_runs_at_once_must_gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ("mixmatch", 1, 100.0),
        ("mixmatch", 2, 180.0),
        ("mixmatch", 4, 185.0),
        ("fixmatch", 1, 50.0),
        ("fixmatch", 2, 51.0),
    ]
    best = bench_gpu_told.best_at_once({"at_once": [{"method": m, "runs": k, "steps_per_s": s} for m, k, s in rows]})
    assert best == {"mixmatch": 2, "fixmatch": 1}
    monkeypatch.setenv("SSLLAB_DATA", str(tmp_path / "cache"))
    assert bench_gpu_told.known_best("a card") == {}
    bench_gpu_told.saved(best, "a card")
    assert bench_gpu_told.known_best("a card") == best and bench_gpu_told.known_best("another") == {}
    (tmp_path / "cache" / bench_gpu_told.SAVED).write_text('{"a card": {"mixmatch": "many"}}')
    assert bench_gpu_told.known_best("a card") == {}


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "--gpu", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.strip().endswith("--gpu needs a CUDA device, and torch finds none on this machine")
