"""Layers of pooling; the formulas stand with the operations in `minicnn/ops/pool.py`."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops import arguments
from .module import Module

Size = int | tuple[int, int]
OutputSize = int | None | tuple[int | None, int | None]


def _window(name: str, kernel_size: Size, stride: Size | None, padding: Size) -> tuple[Size, Size, Size]:
    """Check the window's arguments and return them as they came, for the layer's text; stride None is the kernel's."""
    kernel = arguments.pair(name, "kernel_size", kernel_size, 1)
    if stride is not None:
        arguments.pair(name, "stride", stride, 1)
    pads = arguments.pair(name, "padding", padding, 0)
    if any(2 * p > k for p, k in zip(pads, kernel)):
        raise ShapeError(f"{name}: padding is {padding}, needs at most half of kernel_size {kernel_size}")
    return kernel_size, kernel_size if stride is None else stride, padding


class MaxPool2d(Module):
    """The largest pixel under each window: (N, C, H, W) → (N, C, OH, OW). See `F.max_pool2d`."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = _window("MaxPool2d", kernel_size, stride, padding)
        arguments.pair("MaxPool2d", "dilation", dilation, 1)
        self.dilation = dilation
        self.return_indices = arguments.flag("MaxPool2d", "return_indices", return_indices)
        self.ceil_mode = arguments.flag("MaxPool2d", "ceil_mode", ceil_mode)

    def forward(self, input: Tensor) -> Any:
        """Return the largest pixels, with `return_indices` also where they are."""
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean under each window: (N, C, H, W) → (N, C, OH, OW). See `F.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = _window("AvgPool2d", kernel_size, stride, padding)
        self.ceil_mode = arguments.flag("AvgPool2d", "ceil_mode", ceil_mode)
        self.count_include_pad = arguments.flag("AvgPool2d", "count_include_pad", count_include_pad)
        self.divisor_override = divisor_override
        if divisor_override is not None:
            arguments.integer("AvgPool2d", "divisor_override", divisor_override, 1)

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _Adaptive(Module):
    """Pooling by the output's size; None keeps the image's."""

    def __init__(self, output_size: OutputSize) -> None:
        super().__init__()
        name = type(self).__name__
        sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
        for size in sizes:
            if size is not None:
                arguments.integer(name, "output_size", size, 0)
        if len(sizes) != 2:
            raise ShapeError(f"{name}: output_size is {output_size}, needs one number or two (OH, OW)")
        self.output_size = output_size

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_Adaptive):
    """The means of OH × OW windows that cover the image: (N, C, H, W) → (N, C, OH, OW).

    See `F.adaptive_avg_pool2d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the means."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveMaxPool2d(_Adaptive):
    """The largest pixels of OH × OW windows that cover the image: (N, C, H, W) → (N, C, OH, OW).

    See `F.adaptive_max_pool2d`.
    """

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = arguments.flag("AdaptiveMaxPool2d", "return_indices", return_indices)

    def forward(self, input: Tensor) -> Any:
        """Return the largest pixels, with `return_indices` also where they are."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)
