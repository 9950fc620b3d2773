"""Keyframes and kept checkpoints on disk: bounded, thinned evenly, read back whole, damaged ones named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sslcore import checkpoint, keyframes


def test_a_keyframe_comes_back_as_written(tmp_path: Path) -> None:
    arrays = {
        "weak_probs": np.random.default_rng(0).random((64, 10), np.float32),
        "mask": np.arange(64, dtype=np.uint8),
    }
    keyframes.write_probe(tmp_path, {"unlabeled_index": np.arange(64)})
    keyframes.write(tmp_path, 120, arrays)
    found = keyframes.load(tmp_path, 120)
    assert found.keys() == arrays.keys() and all((found[name] == arrays[name]).all() for name in arrays)
    assert keyframes.probe(tmp_path)["unlabeled_index"].tolist() == list(range(64))
    assert keyframes.steps(tmp_path) == [120], "the probe is not a keyframe"


def test_there_are_never_more_than_64_and_they_stay_spread(tmp_path: Path) -> None:
    for step in range(0, 3000, 10):
        keyframes.write(tmp_path, step, {"a": np.zeros(1)})
        assert len(keyframes.steps(tmp_path)) <= keyframes.MOST
    steps = keyframes.steps(tmp_path)
    assert steps[0] == 0 and steps[-1] == 2990 and len(steps) > keyframes.MOST // 2
    gaps = np.diff(steps)
    assert gaps.max() <= 3 * gaps.min() and gaps.max() <= 2 * 3000 / 64, "no part of the run is thinner than another"


def test_the_one_with_the_closest_neighbours_goes_first_and_of_equals_the_earliest() -> None:
    assert keyframes.crowded([0, 10, 30, 31, 60], 4) == [30], "its neighbours on both sides count"
    assert keyframes.crowded([0, 30, 31, 50, 60], 4) == [31]
    assert keyframes.crowded([0, 10, 20, 30, 40], 3) == [10, 30]
    assert keyframes.crowded([0, 1, 50, 99, 100], 2) == [1, 99, 50], "both ends stay"
    assert keyframes.crowded([0, 10, 20], 3) == []


def test_keyframes_after_a_step_are_dropped(tmp_path: Path) -> None:
    for step in (0, 10, 20, 30):
        keyframes.write(tmp_path, step, {"a": np.zeros(1)})
    keyframes.drop_after(tmp_path, 19)
    assert keyframes.steps(tmp_path) == [0, 10]


def test_damaged_and_missing_keyframes_are_told_apart(tmp_path: Path) -> None:
    keyframes.write(tmp_path, 5, {"a": np.zeros(1000)})
    path = tmp_path / keyframes.FOLDER / "000000005.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"keyframe 000000005\.npz"):
        keyframes.load(tmp_path, 5)
    with pytest.raises(FileNotFoundError):
        keyframes.load(tmp_path, 6)


def test_kept_checkpoints_are_at_most_eight_and_spread(tmp_path: Path) -> None:
    for step in range(1, 60):
        checkpoint.keep(tmp_path, {"step": step}, step)
        kept = sorted(int(path.stem.split("-")[1]) for path in tmp_path.glob("step-*.pt"))
        assert len(kept) <= checkpoint.KEPT and kept[0] == 1
    checkpoint.drop_after(tmp_path, 30)
    assert all(int(path.stem.split("-")[1]) <= 30 for path in tmp_path.glob("step-*.pt"))


def test_only_our_checkpoints_are_read_and_no_code_in_them(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.save(tmp_path, {"step": 3, "weights": torch.arange(4)})
    assert checkpoint.load(path)["weights"].tolist() == [0, 1, 2, 3]
    torch.save({"step": 1, "evil": Path}, path)  # a class: would need unpickling of code
    with pytest.raises(checkpoint.CheckpointError, match=r"last\.pt"):
        checkpoint.load(path)
    torch.save([1, 2], path)
    with pytest.raises(checkpoint.CheckpointError, match="not one of SSL Lab's"):
        checkpoint.load(path)


@pytest.mark.parametrize(("steps", "evals"), [(700, 14), (30, 7), (20_480, 20), (5, 5), (5, 64), (1, 64), (100, 99)])
def test_evaluations_are_spread_evenly_none_comes_twice_and_the_last_is_the_end(steps: int, evals: int) -> None:
    found = list(keyframes.planned(steps, evals))
    assert found == sorted({max(1, round(steps * k / evals)) for k in range(1, evals + 1)})
    assert found[-1] == steps and len(found) == min(steps, evals)
