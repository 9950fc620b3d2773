"""The nets: `WideResNet` of the papers and the small `LessonNet`. `build` chooses by the config."""

from __future__ import annotations

import torch
from torch import nn

from sslcore.config import ModelConfig
from sslcore.models.lesson_net import LessonNet
from sslcore.models.wide_resnet import WideResNet


def build(config: ModelConfig, channels: int, num_classes: int, generator: torch.Generator) -> nn.Module:
    """Return the net with weights drawn from `generator` (CPU), in channels_last memory."""
    model: WideResNet | LessonNet
    if config.net == "wrn":
        model = WideResNet(config.depth, config.widen_factor, num_classes, channels, config.bn_momentum)
    else:
        model = LessonNet(config.width, num_classes, channels, config.bn_momentum)
    model.init_weights(generator)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return,unused-ignore]  # torch 2.13 leaves it out
