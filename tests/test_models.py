"""The nets: sizes, gradients everywhere, weights from the given generator alone."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sslcore import models, presets
from sslcore.config import ConfigError, ModelConfig
from sslcore.models.lesson_net import space_to_depth
from sslcore.models.norm import BatchNorm, frozen_statistics, mean_of_pixels
from sslcore.models.wide_resnet import WideResNet


def make(config: ModelConfig, seed: int = 0, channels: int = 3) -> nn.Module:
    return models.build(config, channels, 10, torch.Generator().manual_seed(seed))


def test_wide_resnet_28_2_has_the_papers_size() -> None:
    assert sum(p.numel() for p in make(ModelConfig()).parameters()) == 1_467_610


@pytest.mark.parametrize(
    "config", [ModelConfig(), ModelConfig(depth=10, widen_factor=1), ModelConfig(net="lesson", width=8)]
)
def test_every_parameter_gets_a_gradient(config: ModelConfig) -> None:
    model = make(config)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    F.cross_entropy(model(images), torch.arange(4)).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_every_convolution_of_a_block_sees_activated_input() -> None:
    """The TensorFlow form: the first convolution of stages 2 and 3 too."""
    model = WideResNet(10, 1, 10)
    model.init_weights(torch.Generator().manual_seed(0))
    seen: dict[int, torch.Tensor] = {}
    for k, block in enumerate(model.blocks):
        block.conv1.register_forward_pre_hook(lambda _, inputs, k=k: seen.__setitem__(k, inputs[0]))
        block.register_forward_pre_hook(
            lambda _, inputs, k=k: seen.__setitem__(100 + k, sum(i for i in inputs if i is not None))
        )
    model(torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)))
    for k in range(3):
        normal = F.batch_norm(seen[100 + k], None, None, training=True, eps=1e-3)
        torch.testing.assert_close(seen[k], F.leaky_relu(normal, 0.1))


def test_shortcuts_are_activated_in_stage_one_only() -> None:
    model = WideResNet(10, 2, 10)
    assert [block.activate_before_residual for block in model.blocks] == [True, False, False]


@pytest.mark.parametrize("net", ["wrn", "lesson"])
def test_weights_come_from_the_generator_alone(net: str) -> None:
    config = ModelConfig(net=net, depth=10)
    torch.manual_seed(1)
    a = make(config, seed=3).state_dict()
    torch.manual_seed(2)
    b, c = make(config, seed=3).state_dict(), make(config, seed=4).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_initial_deviation_is_that_of_the_tensorflow_code() -> None:
    conv = make(ModelConfig()).blocks[11].conv2
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def test_batchnorm_equals_torchs_and_can_leave_its_statistics_alone() -> None:
    images = torch.randn(8, 5, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1
    ours, theirs = BatchNorm(5, momentum=0.3), nn.BatchNorm2d(5, eps=1e-3, momentum=0.3)
    torch.testing.assert_close(ours(images), theirs(images))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    before = copy.deepcopy(ours.state_dict())
    with frozen_statistics(ours):
        torch.testing.assert_close(ours(images * 2), theirs(images * 2), msg="training-mode statistics of the batch")
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())
    ours.eval(), theirs.eval()
    theirs.load_state_dict(before, strict=False)
    torch.testing.assert_close(ours(images), theirs(images))


def test_the_blocks_of_the_lesson_net_are_torchs() -> None:
    for channels in (1, 3):
        x = torch.rand(2, 16, 24, channels).permute(0, 3, 1, 2)
        found = space_to_depth(x)
        assert torch.equal(found, F.pixel_unshuffle(x, 2)) and found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [2, 8])
def test_the_mean_of_pixels_sends_back_a_gradient_that_lies_as_its_input(size: int) -> None:
    x = torch.rand(5, 12, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
    wanted = torch.rand(5, 12)
    torch.testing.assert_close(mean_of_pixels(x), x.mean(dim=(2, 3)))
    (ours,) = torch.autograd.grad(mean_of_pixels(x), x, wanted)
    (torchs,) = torch.autograd.grad(x.mean(dim=(2, 3)), x, wanted)
    assert torch.equal(ours, torchs) and ours.is_contiguous(memory_format=torch.channels_last)
    half = mean_of_pixels(x.detach().to(torch.bfloat16))
    assert half.dtype == torch.float32


@pytest.mark.parametrize("config", [ModelConfig("lesson", width=8), ModelConfig("wrn", depth=10, widen_factor=1)])
def test_any_size_of_a_folder_s_images_can_be_trained_on(config: ModelConfig) -> None:
    model = make(config).train()
    for size in (8, 9, 13, 31, 33):
        logits = model(torch.rand(2, 3, size, size))
        logits.sum().backward()
        assert logits.shape == (2, 10)
    model(torch.rand(1, 3, 16, 16))  # one image is enough from here on
    if config.net == "lesson":
        with pytest.raises(ConfigError, match=r"train\.batch must be 2 or more with model.net lesson"):
            presets.build("smoke", settings={"data.source": "folder:/x", "data.image_size": 15, "train.batch": 1})
