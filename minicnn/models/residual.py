"""The residual block: y = act(F(x) + shortcut(x)), so that F learns what is to be changed in x."""

from __future__ import annotations

from collections.abc import Callable

from .. import functional as F
from .. import nn
from .._tensor import Tensor

SHORTCUTS = ("A", "B", "C", "none")


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
        activation: Callable[[], nn.Module] = nn.ReLU,
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
        if self.downsample is not None:
            y = y + self.downsample(x)
        result: Tensor = self.act2(y)
        return result


class ZeroPadding(nn.Module):
    """Shortcut A: every stride-th pixel, and channels of zeros behind those there are."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


def _shortcut(kind: str, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    changes = stride != 1 or in_channels != out_channels
    if kind == "none":
        return None
    if kind == "C" or (kind == "B" and changes):
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    return ZeroPadding(in_channels, out_channels, stride) if changes else nn.Identity()
