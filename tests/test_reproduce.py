"""The command that reproduces a run: parsed again it gives an equal config, for every preset and method."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from sslcore import config as cfg
from sslcore import presets
from sslcore.config import METHOD_NAMES
from sslcore.options import parser, train_config
from sslcore.presets import PRESETS, caveat, reproduce
from sslcore.store import Store


def parsed(line: str) -> cfg.RunConfig:
    words = shlex.split(line)
    assert words[:4] == ["python", "-m", "sslcore", "train"]
    return train_config(parser().parse_args(words[3:]))


def changes(method: str) -> dict[str, Any]:
    """One setting of each type, among them what a shell would take apart."""
    common = {
        "data.source": "folder:/tmp/it's a $HOME; rm *", "data.labels": 77, "train.seed": 5, "train.steps": 12, "train.device": "cpu",
        "optim.lr": 0.1 + 0.2, "train.ema_warmup": False, "augment.num_ops": 3, "augment.fill": None, "augment.op_prob": None, "optim.momentum": 1e-7,
    }  # fmt: skip
    return common | ({"method.lambda_u": 12.5} if method != "supervised" else {})


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_line_gives_an_equal_config(tmp_path: Path, preset: str, method: str) -> None:
    store = Store(tmp_path)
    for settings in ({}, changes(method)):
        config = presets.build(preset, method, settings)
        for named in (preset, "", "a preset of another version"):
            run = store.run(store.create(config, preset=named))
            assert parsed(reproduce(run)) == config
            assert ("--set" in reproduce(run)) == bool(settings) or named != preset, "only what differs"


def test_a_plain_run_has_a_plain_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = store.run(store.create(presets.build("smoke", "fixmatch", {"optim.lr": 0.05}), preset="smoke"))
    assert reproduce(run) == (
        "python -m sslcore train --preset smoke --method fixmatch --labels 20 --seed 0 --set optim.lr=0.05"
    )


def test_what_a_command_cannot_repeat_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = store.create(presets.build("smoke"), preset="smoke")
    assert "bit for bit" in caveat(store.run(run_id))
    store.update(run_id, summary={"device": "cuda"})
    assert "nearly" in caveat(store.run(run_id))
    store.update(run_id, changed=True)
    assert "changed during" in caveat(store.run(run_id))
    store.update(run_id, summary={"fork": {"run": "fixmatch-20-s0-abcdef", "step": 1200, "changes": {}}})
    assert "fork of fixmatch-20-s0-abcdef at step 1,200" in caveat(store.run(run_id))
