"""Every setting has help and a range; what is wrong is named in one sentence."""

from __future__ import annotations

import json

import pytest

from sslcore import config as cfg
from sslcore import keys, presets
from sslcore.config import ConfigError, RunConfig


@pytest.mark.parametrize("method", cfg.METHOD_NAMES)
def test_every_setting_has_help_and_numbers_have_a_range(method: str) -> None:
    for path, spec, _ in cfg.walk(cfg.with_method(RunConfig(), method)):
        assert spec.metadata["help"], path
        if cfg.field_type(spec)[0] in (int, float):
            assert spec.metadata["low"] is not None and spec.metadata["high"] is not None, path


@pytest.mark.parametrize("preset", presets.PRESETS)
@pytest.mark.parametrize("method", cfg.METHOD_NAMES)
def test_a_config_survives_json(preset: str, method: str) -> None:
    config = presets.build(preset, method)
    assert config.method.name == method
    again = cfg.from_dict(json.loads(json.dumps(cfg.to_dict(config))))
    assert again == config and keys.content_key(cfg.to_dict(again)) == keys.content_key(cfg.to_dict(config))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method.threshold": "1.5"}, ["method.threshold", "from 0.0 to 1.0", "1.5"]),
        ({"method.thresold": "0.5"}, ["method.thresold", "method.threshold"]),
        ({"train.steps": "many"}, ["train.steps", "whole number", "many"]),
        ({"train.steps": "0"}, ["train.steps", "from 1", "0"]),
        ({"optim.lr": "nan"}, ["optim.lr", "above 0", "nan"]),
        ({"optim.lr": "0"}, ["optim.lr", "above 0.0", "0"]),
        ({"data.flip": "maybe"}, ["data.flip", "auto, on, off", "maybe"]),
        ({"data.source": "imagenet"}, ["data.source", "digits", "imagenet"]),
        ({"data.source": "folder:"}, ["data.source", "folder:PATH"]),
        ({"model.depth": "27"}, ["model.depth", "6 n + 4", "27"]),
        ({"method.name": "fixmach"}, ["method", "fixmatch", "fixmach"]),
        ({"nonsense": "1"}, ["nonsense", "data", "optim"]),
        ({"train.ema_warmup": "perhaps"}, ["train.ema_warmup", "true or false", "perhaps"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(changes: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        cfg.replace(RunConfig(), changes)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    "raw",
    [
        [], "x", None, {"data": []}, {"surprise": {}}, {"data": {"labels": "40"}}, {"data": {"labels": True}}, {"data": {"labels": 1e400}},
        {"method": {"name": "x"}}, {"method": {"name": ["fixmatch"]}}, {"method": {"name": "supervised", "threshold": 0.5}},
        {"optim": {"lr": float("inf")}}, {"data": {7: 1}}, {"augment": {"num_ops": 2.5}},
    ],
)  # fmt: skip
def test_from_dict_is_strict(raw: object) -> None:
    with pytest.raises(ConfigError):
        cfg.from_dict(raw)


def test_typed_text_is_parsed_into_the_fields_type() -> None:
    config = cfg.replace(
        RunConfig(),
        {"augment.num_ops": "", "augment.op_prob": "0.5", "train.ema_warmup": "yes", "train.steps": "1_000"},
    )
    assert (config.augment.num_ops, config.augment.op_prob, config.train.ema_warmup, config.train.steps) == (
        None,
        0.5,
        True,
        1000,
    )


def test_method_name_swaps_the_section_whatever_the_order() -> None:
    config = cfg.replace(RunConfig(), {"method.alpha": "0.5", "method.name": "mixmatch"})
    assert isinstance(config.method, cfg.MixMatchConfig) and config.method.alpha == 0.5


def test_paper_constants_are_the_defaults() -> None:
    fix, mix, flex = cfg.FixMatchConfig(), cfg.MixMatchConfig(), cfg.FlexMatchConfig()
    assert (fix.mu, fix.threshold, fix.lambda_u) == (7, 0.95, 1.0)
    assert (flex.mu, flex.threshold, flex.mapping, flex.threshold_warmup) == (7, 0.95, "convex", True)
    assert (mix.views, mix.temperature, mix.alpha, mix.lambda_u, mix.ramp_steps) == (2, 0.5, 0.75, 75.0, 16_384)
    run = RunConfig()
    assert (run.optim.lr, run.optim.momentum, run.optim.weight_decay) == (0.03, 0.9, 5e-4)
    assert (run.train.steps, run.train.batch, run.train.ema_decay) == (2**20, 64, 0.999)
    paper = presets.build("cifar10-paper", "mixmatch")
    assert (paper.optim.name, paper.optim.lr, paper.optim.schedule) == ("adam", 0.002, "constant")


@pytest.mark.parametrize(
    ("method", "expected"), [("fixmatch", True), ("flexmatch", True), ("mixmatch", False), ("supervised", False)]
)
def test_include_labeled_is_as_in_the_papers(method: str, expected: bool) -> None:
    config = cfg.with_method(RunConfig(), method)
    assert cfg.include_labeled(config) is expected
    assert cfg.include_labeled(cfg.replace(config, {"data.include_labeled": "yes"})) is True
