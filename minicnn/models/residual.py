"""Residual blocks, y = F(x) + shortcut(x), so that F learns what is to be changed in x; and the CIFAR networks of them.

The three designs differ in F and in what follows the sum; W is a convolution, BN batch normalisation:

    BasicBlock          relu(BN W3×3 relu BN W3×3 x + shortcut(x))
    Bottleneck          relu(BN W1×1 relu BN W3×3 relu BN W1×1 x + shortcut(x)), the inner layers a quarter as wide
    PreActivationBlock  W3×3 relu BN W3×3 relu BN x + shortcut(x)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import functional as F
from .. import nn
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops import arguments

SHORTCUTS = ("A", "B", "C", "none")
Activation = Callable[[], nn.Module]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut around them.

    conv – BN – act – conv – BN – (+ shortcut) – act; the stride is in the first convolution. The shortcut is the
    identity where the shape stays. Where it changes, "A" takes every stride-th pixel and pads the channels
    with zeros (no parameters), "B" is a 1×1 convolution with BN; "C" has that everywhere; "none" has none.
    Source: He, Zhang, Ren, Sun 2015, Figure 2 and section 3.3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        shortcut: str = "B",
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.act2 = activation()
        self.downsample = _shortcut(shortcut, in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        result: Tensor = self.act2(_sum(y, x, self.downsample))
        return result


class Bottleneck(nn.Module):
    """A 1×1 convolution to a quarter of the channels, a 3×3 one, and a 1×1 one back; for networks of 50 layers on.

    `stride_in` says which convolution has the stride: the first "1x1", as published, where three of four pixels
    are never looked at, or the "3x3", as PyTorch's networks have it. Shortcuts as for `BasicBlock`.
    Source: He, Zhang, Ren, Sun 2015, Figure 5 and section 4.1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        shortcut: str = "B",
        activation: Activation = nn.ReLU,
        stride_in: str = "3x3",
    ) -> None:
        super().__init__()
        arguments.choice("Bottleneck", "stride_in", stride_in, ("1x1", "3x3"))
        if out_channels % 4:
            raise ShapeError(f"Bottleneck: out_channels is {out_channels}, needs a multiple of 4")
        width = out_channels // 4
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = activation()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.act3 = activation()
        self.downsample = _shortcut(shortcut, in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.act2(self.bn2(self.conv2(y)))
        result: Tensor = self.act3(_sum(self.bn3(self.conv3(y)), x, self.downsample))
        return result


class PreActivationBlock(nn.Module):
    """BN – act – conv – BN – act – conv – (+ shortcut): nothing stands between one block's sum and the next one's.

    Shortcuts as for `BasicBlock`, but a projection is the 1×1 convolution alone, and takes act(BN(x)). So does the
    shortcut of a network's first block (`first`); every other one takes x itself.
    Source: He, Zhang, Ren, Sun 2016 (Identity Mappings in Deep Residual Networks), Figure 1b and appendix.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        shortcut: str = "B",
        activation: Activation = nn.ReLU,
        first: bool = False,
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.act1 = activation()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.act2 = activation()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.downsample = _shortcut(shortcut, in_channels, out_channels, stride, norm=False)
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        activated = self.act1(self.bn1(x))
        y = self.conv2(self.act2(self.bn2(self.conv1(activated))))
        shared = self.first or isinstance(self.downsample, nn.Conv2d)
        return _sum(y, activated if shared else x, self.downsample)


class ZeroPadding(nn.Module):
    """Shortcut A: every stride-th pixel, and channels of zeros behind those there are."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


def _shortcut(kind: str, in_channels: int, out_channels: int, stride: int, norm: bool = True) -> nn.Module | None:
    arguments.choice("residual block", "shortcut", kind, SHORTCUTS)
    changes = stride != 1 or in_channels != out_channels
    if kind == "none":
        return None
    if kind == "C" or (kind == "B" and changes):
        projection = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        return nn.Sequential(projection, nn.BatchNorm2d(out_channels)) if norm else projection
    if out_channels < in_channels:
        raise ShapeError(f"residual block: shortcut 'A' adds channels, it cannot make {out_channels} of {in_channels}")
    return ZeroPadding(in_channels, out_channels, stride) if changes else nn.Identity()


def _sum(y: Tensor, x: Tensor, shortcut: nn.Module | None) -> Tensor:
    return y if shortcut is None else y + shortcut(x)


def stage(
    block: Callable[..., nn.Module], in_channels: int, out_channels: int, blocks: int, stride: int, **choices: Any
) -> nn.Sequential:
    """Return blocks in a row, of which the first changes the channels and has the stride."""
    later = (block(out_channels, out_channels, **choices) for _ in range(blocks - 1))
    return nn.Sequential(block(in_channels, out_channels, stride, **choices), *later)


DESIGNS: dict[str, tuple[Callable[..., nn.Module], int]] = {  # a block, and its layers with weights
    "basic": (BasicBlock, 2),
    "bottleneck": (Bottleneck, 3),
    "preactivation": (PreActivationBlock, 2),
}


def resnet_cifar(
    depth: int = 20, num_classes: int = 10, in_channels: int = 3, design: str = "basic", shortcut: str = "A"
) -> nn.Sequential:
    """Return the ResNet for pictures of 32 × 32: 3×3 16 – stages of 16, 32, 64 channels – global mean – num_classes.

    `depth` is 6n + 2, n blocks in each stage: 20, 32, 44, 56, 110 as published (0.27, 0.46, 0.66, 0.85, 1.7
    million parameters). `design` is "basic", "preactivation", or "bottleneck": then `depth` is 9n + 2 and the
    stages have 64, 128 and 256 channels. Every convolution starts with deviation √(2 / fan_in).
    Source: He, Zhang, Ren, Sun 2015, section 4.2; the other designs 2016.
    """
    block, layers = DESIGNS[arguments.choice("resnet_cifar", "design", design, tuple(DESIGNS))]
    arguments.choice("resnet_cifar", "shortcut", shortcut, SHORTCUTS)
    blocks, rest = divmod(arguments.integer("resnet_cifar", "depth", depth) - 2, 3 * layers)
    if blocks < 1 or rest:
        raise ShapeError(f"resnet_cifar: depth is {depth}, {design} blocks need {3 * layers}n + 2, such as "
                         f"{3 * layers + 2}, {6 * layers + 2}, {9 * layers + 2}")  # fmt: skip
    widths = (64, 128, 256) if block is Bottleneck else (16, 32, 64)
    parts: dict[str, nn.Module] = {"conv1": nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)}
    if block is not PreActivationBlock:
        parts |= {"bn1": nn.BatchNorm2d(16), "act1": nn.ReLU()}
    channels = 16
    for number, width in enumerate(widths, 1):
        row = stage(block, channels, width, blocks, 1 if number == 1 else 2, shortcut=shortcut)
        if block is PreActivationBlock and number == 1:
            row[0].first = True
        parts[f"layer{number}"] = row
        channels = width
    if block is PreActivationBlock:
        parts |= {"bn1": nn.BatchNorm2d(channels), "act1": nn.ReLU()}
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(channels, num_classes)}
    model = nn.Sequential(parts)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model
