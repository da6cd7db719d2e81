"""ResNet at full size: 18 to 152 layers with weights, for ImageNet's pictures.

Names, order and shapes of the state are those of PyTorch's model collection, so its files of weights fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import nn
from .residual import BasicBlock, Bottleneck, stage


def resnet18(num_classes: int = 1000, zero_init_residual: bool = False, shortcut: str = "B") -> nn.Sequential:
    """Return ResNet-18, 11.7 million parameters; see `resnet152`."""
    return _resnet(BasicBlock, (2, 2, 2, 2), (64, 128, 256, 512), num_classes, zero_init_residual, shortcut=shortcut)


def resnet34(num_classes: int = 1000, zero_init_residual: bool = False, shortcut: str = "B") -> nn.Sequential:
    """Return ResNet-34, 21.8 million parameters; see `resnet152`."""
    return _resnet(BasicBlock, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, zero_init_residual, shortcut=shortcut)


def resnet50(
    num_classes: int = 1000, zero_init_residual: bool = False, shortcut: str = "B", stride_in: str = "3x3"
) -> nn.Sequential:
    """Return ResNet-50, 25.6 million parameters; see `resnet152`."""
    return _deep((3, 4, 6, 3), num_classes, zero_init_residual, shortcut, stride_in)


def resnet101(
    num_classes: int = 1000, zero_init_residual: bool = False, shortcut: str = "B", stride_in: str = "3x3"
) -> nn.Sequential:
    """Return ResNet-101, 44.5 million parameters; see `resnet152`."""
    return _deep((3, 4, 23, 3), num_classes, zero_init_residual, shortcut, stride_in)


def resnet152(
    num_classes: int = 1000, zero_init_residual: bool = False, shortcut: str = "B", stride_in: str = "3x3"
) -> nn.Sequential:
    """Return ResNet-152, 60.2 million parameters: (N, 3, H, W) → (N, num_classes) logits, pictures of 224 × 224.

    7×7/2 64 – BN – relu – 3×3/2 max pooling – four stages of blocks, each after the first halving height and
    width – global mean – num_classes. The stages have 3, 8, 36, 3 bottlenecks of 256, 512, 1024, 2048 channels; 18
    and 34 layers are made of basic blocks. `zero_init_residual` starts each block as its shortcut alone (the last
    BN's weight is 0). `shortcut` and `stride_in` as for the blocks; `stride_in="1x1"` is the network as published.
    Source: He, Zhang, Ren, Sun 2015, Table 1; first values He et al. 2015 (Delving Deep into Rectifiers), fan out.
    """
    return _deep((3, 8, 36, 3), num_classes, zero_init_residual, shortcut, stride_in)


def _deep(
    blocks: Sequence[int], num_classes: int, zero_init_residual: bool, shortcut: str, stride_in: str
) -> nn.Sequential:
    widths = (256, 512, 1024, 2048)
    choices = {"shortcut": shortcut, "stride_in": stride_in}
    return _resnet(Bottleneck, blocks, widths, num_classes, zero_init_residual, **choices)


def _resnet(
    block: Callable[..., nn.Module],
    blocks: Sequence[int],
    widths: Sequence[int],
    num_classes: int,
    zero_init_residual: bool,
    **choices: Any,
) -> nn.Sequential:
    parts: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(64),
        "relu": nn.ReLU(),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    channels = 64
    for number, (count, width) in enumerate(zip(blocks, widths), 1):
        parts[f"layer{number}"] = stage(block, channels, width, count, 1 if number == 1 else 2, **choices)
        channels = width
    parts |= {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(channels, num_classes)}
    model = nn.Sequential(parts)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif zero_init_residual and isinstance(module, (BasicBlock, Bottleneck)):
            nn.init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)
    return model
