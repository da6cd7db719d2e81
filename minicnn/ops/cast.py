"""Changing a tensor's type, device or memory without changing its values: `to` and `clone`."""

from __future__ import annotations

from typing import Any

from .._device import Device, put, usable
from .._device import device as named_device
from .._tensor import Tensor
from ..autograd import Function
from ..dtypes import check_dtype
from . import arguments

Array = Any


class Cast(Function):
    """The same numbers in another type; the gradient comes back in the former one."""

    @staticmethod
    def forward(ctx: Any, x: Array, dtype: Any) -> Array:
        ctx.dtype = x.dtype
        return x.astype(dtype)

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return dy.astype(ctx.dtype)


class Clone(Function):
    """The same numbers in new memory."""

    @staticmethod
    def forward(ctx: Any, x: Array, contiguous: bool) -> Array:
        return x.copy(order="C" if contiguous else "K")

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return dy


class Transfer(Function):
    """The same numbers on another device; the gradient travels back."""

    @staticmethod
    def forward(ctx: Any, x: Array, target: Device) -> Array:
        return put(x, target).copy()

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return put(dy, ctx.device)


def to(input: Tensor, dtype: Any = None, device: str | None = None) -> Tensor:
    """Return the tensor in another type or on another device; itself if nothing changes."""
    result = arguments.tensor("to", "input", input)
    if dtype is not None and check_dtype("to", dtype) != input.dtype:
        result = Cast.apply(result, check_dtype("to", dtype))
    if device is not None and named_device(device) != input.device:
        target = usable(named_device(device))
        moved: Tensor = Transfer.apply(result, target)
        moved.device = target
        return moved
    return result


def clone(input: Tensor, contiguous: bool = False) -> Tensor:
    """Return a copy with its own memory, in row-major order if `contiguous`; the gradient flows through."""
    result: Tensor = Clone.apply(arguments.tensor("clone", "input", input), contiguous)
    return result
