"""The tutorial's settings, one by one, with the numbers that stand in its text."""

from __future__ import annotations

import pytest

from sslcore import config as cfg
from sslcore import presets
from sslcore.presets import PRESETS, TUTORIAL

SHARED = {
    "data.source": "cifar10", "data.labels": 500, "data.val": 5000, "data.include_labeled": "no", "train.batch": 64, "train.ema_decay": 0.999,
    "train.ema_warmup": False, "model.net": "wrn", "model.depth": 28, "model.widen_factor": 2, "model.bn_momentum": 0.001, "method.mu": 1,
    "augment.preset": "kekmodel",
}  # fmt: skip
OWN = {
    "tutorial-mixmatch": {
        "optim.name": "adam", "optim.lr": 0.002, "optim.schedule": "constant", "optim.weight_decay": 0.02, "train.steps": 20 * 1024,
        "method.alpha": 0.75, "method.lambda_u": 75.0, "method.temperature": 0.5, "method.views": 2, "method.ramp_steps": 20 * 1024,
    },
    "tutorial-fixmatch": {
        "optim.name": "sgd", "optim.lr": 0.002, "optim.schedule": "cosine", "optim.weight_decay": 5e-4, "optim.momentum": 0.9, "train.steps": 16384,
        "method.threshold": 0.95, "method.lambda_u": 1.0,
    },
    "tutorial-flexmatch": {
        "optim.name": "sgd", "optim.lr": 0.03, "optim.schedule": "cosine", "optim.weight_decay": 5e-4, "optim.momentum": 0.9, "train.steps": 16384,
        "method.threshold": 0.95, "method.lambda_u": 1.0, "method.fault": "none",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_settings(name: str) -> None:
    config = presets.build(name)
    assert config.method.name == name.removeprefix("tutorial-")
    have = {path: value for path, _, value in cfg.walk(config)}
    assert {path: have[path] for path in (SHARED | OWN[name])} == SHARED | OWN[name]


def test_any_method_can_be_trained_with_any_of_them_and_gets_its_own_settings() -> None:
    assert set(TUTORIAL) == set(OWN) <= set(PRESETS)
    for method in ("mixmatch", "fixmatch", "flexmatch"):
        assert len({presets.build(name, method) for name in TUTORIAL}) == 1
    assert presets.build("tutorial-fixmatch", "supervised").method.name == "supervised"


@pytest.mark.parametrize(
    ("name", "score"), [("tutorial-mixmatch", "54.1"), ("tutorial-fixmatch", "57.2"), ("tutorial-flexmatch", "59.8")]
)
def test_the_note_says_what_differs_and_what_came_out(name: str, score: str) -> None:
    note = PRESETS[name].note
    assert f"{score} %" in note and "the paper" in note and "of the papers' 2^20" in note and "\n" not in note
