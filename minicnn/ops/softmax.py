"""softmax, log_softmax and logsumexp, along any axis.

Each subtracts the largest number m first: e^(x − m) never exceeds 1, so nothing overflows, and the factor e^m
cancels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import ShapeError
from . import arguments
from .arithmetic import ieee

Array = Any
Axis = int | None  # None for an array without axes


# y[c] = e^x[c] / Σ_k e^x[k]:  dx[c] = y[c] · (dy[c] − Σ_k dy[k] · y[k])


@ieee
def softmax_forward(x: Array, axis: Axis) -> tuple[Array, Any]:
    e = np.exp(x - _largest(x, axis))
    y = e / e.sum(axis, keepdims=True)
    return y, (y, axis)


@ieee
def softmax_backward(dy: Array, cache: Any) -> Array:
    y, axis = cache
    return y * (dy - (dy * y).sum(axis, keepdims=True))


class Softmax(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axis: Axis) -> Array:
        y, cache = on(ctx.device, softmax_forward)(x, axis)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, softmax_backward)(dy, ctx.saved)


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """Return y = e^x / Σ e^x along the axis `dim`: positive numbers that add up to 1 there.

    The result has the shape of the input; `dtype` converts the input first. Where all numbers are −inf, or one
    is +inf, the result is nan. Raises ShapeError without an axis, DTypeError for integers without `dtype`.
    """
    input, axis = _prepared("softmax", input, dim, dtype)
    result: Tensor = Softmax.apply(input, axis)
    return result


# y[c] = x[c] − log Σ_k e^x[k]:  dx[c] = dy[c] − e^y[c] · Σ_k dy[k]


@ieee
def log_softmax_forward(x: Array, axis: Axis) -> tuple[Array, Any]:
    shifted = x - _largest(x, axis)
    y = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    return y, (y, axis)


@ieee
def log_softmax_backward(dy: Array, cache: Any) -> Array:
    y, axis = cache
    return dy - np.exp(y) * dy.sum(axis, keepdims=True)


class LogSoftmax(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axis: Axis) -> Array:
        y, cache = on(ctx.device, log_softmax_forward)(x, axis)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, log_softmax_backward)(dy, ctx.saved)


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """Return y = x − ln Σ e^x along the axis `dim`: the logarithm of softmax, exact where softmax rounds to 0.

    The result has the shape of the input; `dtype` converts the input first. Where all numbers are −inf, or one
    is +inf, the result is nan. Raises ShapeError without an axis, DTypeError for integers without `dtype`.
    """
    input, axis = _prepared("log_softmax", input, dim, dtype)
    result: Tensor = LogSoftmax.apply(input, axis)
    return result


# y = log Σ_k e^x[k]:  dx[k] = dy · e^(x[k] − y), a softmax


@ieee
def logsumexp_forward(x: Array, axes: tuple[int, ...], keepdim: bool) -> tuple[Array, Any]:
    largest = _largest(x, axes)
    largest = np.where(np.isinf(largest), np.zeros((), x.dtype), largest)  # inf − inf is nan
    y = np.log(np.exp(x - largest).sum(axes, keepdims=True)) + largest
    return y if keepdim else y.squeeze(axes), (x, y)


@ieee
def logsumexp_backward(dy: Array, cache: Any) -> Array:
    x, y = cache
    return dy.reshape(y.shape) * np.exp(x - y)


class LogSumExp(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: tuple[int, ...], keepdim: bool) -> Array:
        y, cache = on(ctx.device, logsumexp_forward)(x, axes, keepdim)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, logsumexp_backward)(dy, ctx.saved)


def logsumexp(input: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """Return y = ln Σ e^x over one axis, several, or all (None): a smooth maximum. Integers become float32.

    It is −inf where all numbers are, and +inf where one is. With `keepdim` the axes stay, of size 1.
    """
    axes = arguments.axes("logsumexp", arguments.tensor("logsumexp", "input", input), dim)
    arguments.flag("logsumexp", "keepdim", keepdim)
    result: Tensor = LogSumExp.apply(arguments.as_float("logsumexp", input), axes, keepdim)
    return result


def _largest(x: Array, axis: Any) -> Array:
    return x.max(axis, keepdims=True, initial=-np.inf)  # −inf of no numbers


def _prepared(name: str, input: Tensor, dim: Any, dtype: Any) -> tuple[Tensor, Axis]:
    arguments.tensor(name, "input", input)
    if dim is None:
        raise ShapeError(f"{name}: dim is missing: name the axis of the classes, dim=1 in a batch (N, C)")
    if dtype is not None:
        input = input.to(dtype=dtype)
    arguments.floats(name, input=input)
    axis = arguments.axis(name, input, dim)
    return input, axis if input.ndim else None
