"""Conv2d and ConvTranspose2d; the formulas stand with the operations in `minicnn/ops/conv.py`."""

from __future__ import annotations

import math
from typing import Any

from .. import functional as F
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops import arguments
from . import init
from .module import Module
from .parameter import new_parameter

Pair = tuple[int, int]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What both convolutions have: the arguments, a weight and a bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair,
        padding: int | Pair | str,
        dilation: int | Pair,
        groups: int,
        bias: bool,
        padding_mode: str,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.in_channels = arguments.integer(name, "in_channels", in_channels, 1)
        self.out_channels = arguments.integer(name, "out_channels", out_channels, 1)
        self.kernel_size = arguments.pair(name, "kernel_size", kernel_size, 1)
        self.stride = arguments.pair(name, "stride", stride, 1)
        self.padding = padding if isinstance(padding, str) else arguments.pair(name, "padding", padding, 0)
        self.dilation = arguments.pair(name, "dilation", dilation, 1)
        self.groups = arguments.integer(name, "groups", groups, 1)
        self.padding_mode = arguments.choice(name, "padding_mode", padding_mode, PADDING_MODES)
        arguments.flag(name, "bias", bias)
        for argument, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(f"{name}: {argument} is {channels}, it must divide into groups={self.groups}")

    def _add_parameters(self, shape: tuple[int, ...], bias: bool, device: str | None, dtype: Any) -> None:
        name = type(self).__name__
        self.weight = new_parameter(name, shape, device, dtype)
        self.register_parameter("bias", new_parameter(name, (self.out_channels,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new first values: weight and bias evenly spread over ±1/√fan_in."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fans("reset_parameters", self.weight)[0])
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """Return the arguments that say more than the defaults."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if getattr(self, "output_padding", (0, 0)) != (0, 0):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv2d(_Convolution):
    """The convolution of images with O filters: (N, C, H, W) → (N, O, OH, OW). See `F.conv2d`.

    weight (O, C/groups, KH, KW) and bias (O,) start evenly spread over ±1/√(C/groups·KH·KW). `padding_mode`
    says what stands around the image: "zeros", or its own pixels ("reflect", "replicate", "circular").
    Raises ShapeError for channels that do not divide into the groups and for sizes that are not positive.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        if isinstance(self.padding, str):
            arguments.choice("Conv2d", "padding", self.padding, ("same", "valid"))
            if self.padding == "same" and self.stride != (1, 1):
                raise ShapeError(f'Conv2d: padding="same" needs stride 1, got {self.stride}')
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self._add_parameters(shape, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution."""
        padding: int | Pair | str = self.padding
        if self.padding_mode != "zeros":
            arguments.images("Conv2d", input)
            input, padding = F.pad(input, self._sides(), mode=self.padding_mode), 0
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _sides(self) -> tuple[int, int, int, int]:
        """Return the padding as `F.pad` wants it: left, right, top, bottom."""
        if self.padding == "valid":
            return (0, 0, 0, 0)
        if self.padding == "same":  # the odd pixel at the bottom and right
            high, wide = (d * (k - 1) for d, k in zip(self.dilation, self.kernel_size))
            return (wide // 2, wide - wide // 2, high // 2, high - high // 2)
        assert not isinstance(self.padding, str)
        ph, pw = self.padding
        return (pw, pw, ph, ph)


class ConvTranspose2d(_Convolution):
    """The transposed convolution, which enlarges: (N, C, H, W) → (N, O, OH, OW). See `F.conv_transpose2d`.

    weight (C, O/groups, KH, KW) and bias (O,) start evenly spread over ±1/√(O/groups·KH·KW). Only zeros can
    stand around the image.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ShapeError(f"ConvTranspose2d: padding_mode is {padding_mode!r}, only 'zeros' is possible")
        padding = arguments.pair("ConvTranspose2d", "padding", padding, 0)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        self.output_padding = arguments.pair("ConvTranspose2d", "output_padding", output_padding, 0)
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        self._add_parameters(shape, bias, device, dtype)

    def forward(self, input: Tensor, output_size: Pair | None = None) -> Tensor:
        """Return the transposed convolution; `output_size` (OH, OW) replaces `output_padding`."""
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        assert not isinstance(self.padding, str)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, input: Tensor, output_size: Pair) -> Pair:
        """Return the output padding that gives this size: one stride's worth of sizes leads to the same input."""
        name = "ConvTranspose2d"
        wanted = arguments.pair(name, "output_size", output_size, 1)
        size = arguments.images(name, input)[2:]
        assert not isinstance(self.padding, str)
        smallest = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(size, self.stride, self.padding, self.dilation, self.kernel_size)
        ]
        largest = [low + s - 1 for low, s in zip(smallest, self.stride)]
        if not all(low <= n <= high for low, n, high in zip(smallest, wanted, largest)):
            raise ShapeError(
                f"{name}: output_size is {wanted}, an input of {size} can give {tuple(smallest)} … {tuple(largest)}"
            )
        return wanted[0] - smallest[0], wanted[1] - smallest[1]
