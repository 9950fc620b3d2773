"""The loop: it learns, it is reproducible, its state is whole, its curves don't move under a refactor."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from sslcore import config as cfg
from sslcore import data, presets
from sslcore.config import METHOD_NAMES, ConfigError, RunConfig
from sslcore.evaluate import evaluate
from sslcore.meter import Meter
from sslcore.methods.base import Pseudo, StepOutput
from sslcore.trainer import Trainer, choose_device

CPU = torch.device("cpu")


def make(method: str, **settings: str) -> Trainer:
    config = presets.build("smoke", method, settings)
    torch.set_num_threads(1)
    return Trainer(config, data.load(config.data), CPU)


def losses(trainer: Trainer, steps: int) -> list[float]:
    return [trainer.train_step()[0].loss.item() for _ in range(steps)]


def flat(state: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf of a checkpoint by its path."""
    if isinstance(state, dict):
        return {k: v for key, value in state.items() for k, v in flat(value, f"{prefix}/{key}").items()}
    if isinstance(state, list):
        return {k: v for key, value in enumerate(state) for k, v in flat(value, f"{prefix}/{key}").items()}
    return {prefix: state}


def assert_same(a: dict[str, Any], b: dict[str, Any], but: tuple[str, ...] = ()) -> None:
    left, right = flat(a), flat(b)
    assert left.keys() == right.keys()
    for name, value in left.items():
        if name not in but:
            same = torch.equal(value, right[name]) if isinstance(value, torch.Tensor) else value == right[name]
            assert same, f"{name}: {value} is not {right[name]}"


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_same_seed_same_numbers_whatever_the_global_generator(method: str) -> None:
    torch.manual_seed(1)
    a = make(method)
    first = losses(a, 4)
    torch.manual_seed(2)
    b = make(method)
    assert losses(b, 4) == first
    assert losses(make(method, **{"train.seed": "1"}), 4) != first
    assert_same(a.state_dict(), b.state_dict())


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_state_loaded_into_a_fresh_trainer_goes_on_bit_for_bit(method: str) -> None:
    straight, first = make(method), make(method)
    losses(straight, 17)
    losses(first, 7)
    second = make(method)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    losses(second, 10)
    assert_same(straight.state_dict(), second.state_dict())


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_one_step_moves_every_weight(method: str) -> None:
    trainer = make(method)
    before = copy.deepcopy(trainer.model.state_dict())
    losses(trainer, 1)
    still = [name for name, value in trainer.model.named_parameters() if torch.equal(value, before[name])]
    assert still == []


# 12 losses of each method on the smoke preset, one thread. A refactor must not move them; a change on purpose replaces
# them, and says so in its commit.
GOLDEN: dict[str, list[float]] = {
    "supervised": [
        2.35227,
        2.37001,
        2.50427,
        1.99526,
        2.08676,
        2.13551,
        2.01984,
        2.05435,
        1.78317,
        1.86426,
        1.55063,
        1.64741,
    ],
    "mixmatch": [
        2.38644,
        2.36886,
        2.4462,
        2.24762,
        2.24974,
        2.24735,
        2.03327,
        2.393,
        2.11816,
        2.35999,
        2.27848,
        2.16461,
    ],
    "fixmatch": [
        2.38392,
        2.32357,
        2.18078,
        2.36732,
        2.19406,
        1.77658,
        1.89642,
        1.94158,
        1.57079,
        1.64976,
        1.56716,
        1.40621,
    ],
    "flexmatch": [
        4.20192,
        4.33116,
        4.02141,
        4.01609,
        3.72765,
        3.28524,
        3.17077,
        3.10279,
        2.81249,
        3.46379,
        3.24713,
        2.53046,
    ],
}


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_golden_curve(method: str) -> None:
    assert losses(make(method), 12) == pytest.approx(GOLDEN[method], rel=2e-3)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_short_run_learns(method: str) -> None:
    gentle = {"method.ramp_steps": "1000"} if method == "mixmatch" else {}  # lambda_u = 75 this early drowns the labels
    trainer = make(method, **{"train.steps": "120", "data.labels": "100"} | gentle)
    losses(trainer, 120)
    images = trainer.images
    found = evaluate(trainer.ema.model, images.test_images, images.test_labels, trainer.stream.mean, trainer.stream.std)
    assert found.accuracy > 0.6, "chance is 0.1"


def test_flexmatch_thresholds_rise_from_zero_and_mask_starts_at_one() -> None:
    trainer = make("flexmatch", **{"train.steps": "60", "method.threshold": "0.4"})
    method = trainer.method
    assert method.thresholds(method.counts()).max() == 0  # type: ignore[operator,union-attr]
    first, _ = trainer.train_step()
    assert first.metrics["train/mask_rate"] == 1
    losses(trainer, 59)
    assert method.thresholds(method.counts()).max() > 0.02  # type: ignore[operator,union-attr]


def test_the_meter_counts_right_guesses_among_those_that_are_kept_and_known() -> None:
    meter = Meter(4, CPU)
    #             right, wrong, not kept, wrong, unknown, unknown and foreign, foreign and not kept
    targets = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    truth = torch.tensor([0, 2, 2, 0, -1, -1, -1])
    mask = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    foreign = torch.tensor([False] * 5 + [True] * 2)
    for loss in (1.0, 2.0):
        metrics = {"train/loss": torch.tensor(loss)}
        meter.add(StepOutput(torch.zeros(()), metrics, Pseudo(targets, mask)), truth, foreign)
    assert dict(zip(meter.names, meter.sums.tolist(), strict=True)) == {
        "train/loss": 3.0, "kept/right": 2.0, "kept/known": 6.0, "kept/foreign": 2.0, "seen/foreign": 4.0
    }  # fmt: skip
    assert meter.kept_classes.tolist() == [4, 4, 0, 2]
    meter.clear(arrays=False)
    assert not meter.sums.any() and meter.kept_classes.any()
    meter.clear(arrays=True)
    assert not meter.kept_classes.any()


def test_live_changes_act_at_the_next_step_and_dead_ones_are_refused() -> None:
    trainer = make("fixmatch", **{"method.threshold": "0.0"})
    assert trainer.train_step()[0].metrics["train/mask_rate"] == 1
    trainer.change({"method.threshold": 1.0, "optim.lr": 0.5})
    assert trainer.train_step()[0].metrics["train/mask_rate"] == 0
    assert trainer.optimizer.param_groups[0]["lr"] > 0.4


def test_unlabelled_pool_and_validation_are_what_the_config_says() -> None:
    trainer = make("mixmatch", **{"data.val": "50"})
    split = trainer.split
    assert (len(split.labeled), len(split.val)) == (20, 50)
    assert not set(split.labeled.tolist()) & set(split.unlabeled.tolist()), (
        "MixMatch: the labelled ones are not in the pool"
    )
    flex = make("flexmatch").split
    assert set(flex.labeled.tolist()) <= set(flex.unlabeled.tolist())


def test_settings_that_leave_nothing_unlabelled_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.labels"):
        make("mixmatch", **{"data.labels": "1437"})
    with pytest.raises(ConfigError, match=r"data\.labels"):
        make("supervised", **{"data.labels": "5000"})


def test_a_checkpoint_of_other_images_is_refused() -> None:
    trainer = make("supervised")
    state = trainer.state_dict() | {"fingerprint": "another"}
    with pytest.raises(ConfigError, match="no longer holds the images"):
        trainer.load_state_dict(state)


def test_an_absent_device_is_refused_by_name() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"train\.device must be a device of this machine \(cpu"):
            choose_device("cuda")
    assert choose_device("cpu") == CPU


def test_papers_step_runs_with_the_papers_net() -> None:
    """WRN-28-2 with 64 + 448 + 448 images is minutes on a CPU; the same code with a smaller batch."""
    config = cfg.replace(
        presets.build("cifar10-paper", "flexmatch"), {"train.batch": 2, "data.labels": 10, "data.source": "digits"}
    )
    trainer = Trainer(config, data.load(config.data), CPU)
    assert trainer.images_per_step == 2 + 2 * 14
    assert all(loss > 0 for loss in losses(trainer, 2))
    assert isinstance(trainer.config, RunConfig)
