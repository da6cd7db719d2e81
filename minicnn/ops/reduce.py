"""Reductions: sum, mean, var and std, max, min, amax, amin, argmax, argmin.

`dim` is one axis, several, or None for all of them; `keepdim` leaves each reduced axis with size 1. In the
formulas i runs over the reduced elements and n is their number.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..dtypes import bool_, float64, int64
from ..errors import DTypeError, ShapeError
from . import arguments
from .arithmetic import ieee
from .elementwise import maximum, minimum
from .shape import reshape

Array = Any
Axes = tuple[int, ...]
Dim = int | tuple[int, ...] | list[int] | None


class Extremum(NamedTuple):
    """What max and min along an axis return: the largest (smallest) values and where they were found."""

    values: Tensor
    indices: Tensor


def restored(reduced: Array, shape: tuple[int, ...], axes: Axes) -> Array:
    """Return a reduced array with size 1 at the reduced axes of an array of this shape, so that it broadcasts."""
    return reduced.reshape([1 if axis in axes else size for axis, size in enumerate(shape)])


# y = Σ_i x_i:  dx_i = dy


@ieee
def sum_forward(x: Array, axes: Axes, keepdim: bool) -> tuple[Array, Any]:
    # In float64, since NumPy adds along all but the last axis one after another, and float32 would drift.
    wide = float64 if x.dtype.kind == "f" else int64
    y = np.sum(x, axis=axes, keepdims=keepdim, dtype=wide)
    return y.astype(x.dtype) if x.dtype.kind == "f" else y, (x.shape, axes)


def sum_backward(dy: Array, cache: Any) -> Array:
    shape, axes = cache
    return np.broadcast_to(restored(dy, shape, axes), shape).copy()


class Sum(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: Axes, keepdim: bool) -> Array:
        y, ctx.cache = on(ctx.device, sum_forward)(x, axes, keepdim)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, sum_backward)(dy, ctx.cache)


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return y = Σ_i x_i; integers and bools are added up as int64, and nothing adds up to 0."""
    axes = _axes("sum", input, dim)
    result: Tensor = Sum.apply(input, axes, arguments.flag("sum", "keepdim", keepdim))
    return result


# y = Σ_i x_i / n:  dx_i = dy / n


@ieee
def mean_forward(x: Array, axes: Axes, keepdim: bool) -> tuple[Array, Any]:
    n = _count(x.shape, axes)
    y = np.true_divide(np.sum(x, axis=axes, keepdims=keepdim, dtype=float64), n)
    return y.astype(x.dtype), (x.shape, axes)


@ieee
def mean_backward(dy: Array, cache: Any) -> Array:
    shape, axes = cache
    return np.broadcast_to(restored(dy / _count(shape, axes), shape, axes), shape).copy()


class Mean(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: Axes, keepdim: bool) -> Array:
        y, ctx.cache = on(ctx.device, mean_forward)(x, axes, keepdim)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, mean_backward)(dy, ctx.cache)


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return the mean y = Σ_i x_i / n; nan if there is nothing to average.

    Raises DTypeError for integers and bools, whose mean is none.
    """
    axes = _float_axes("mean", input, dim)
    result: Tensor = Mean.apply(input, axes, arguments.flag("mean", "keepdim", keepdim))
    return result


# y = Σ_i (x_i − m)² / (n − correction) with m = Σ_i x_i / n:  dx_i = dy · 2 (x_i − m) / (n − correction)


@ieee
def var_forward(x: Array, axes: Axes, correction: float, keepdim: bool) -> tuple[Array, Any]:
    y, deviation, freedom = _variance(x, axes, correction, keepdim)
    return y.astype(x.dtype), (deviation, axes, freedom)


@ieee
def var_backward(dy: Array, cache: Any) -> Array:
    deviation, axes, freedom = cache
    dx = restored(dy, deviation.shape, axes) * np.true_divide(2 * deviation, freedom)
    return dx.astype(dy.dtype)


def _variance(x: Array, axes: Axes, correction: float, keepdim: bool) -> tuple[Array, Array, float]:
    """Return y, x − m and n − correction (0 instead of less), in float64."""
    n = _count(x.shape, axes)
    deviation = x - np.true_divide(np.sum(x, axis=axes, keepdims=True, dtype=float64), n)
    freedom = n - correction if n > correction else 0
    return np.true_divide(np.sum(np.square(deviation), axis=axes, keepdims=keepdim), freedom), deviation, freedom


class Var(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: Axes, correction: float, keepdim: bool) -> Array:
        y, cache = on(ctx.device, var_forward)(x, axes, correction, keepdim)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, var_backward)(dy, ctx.saved)


def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: float | None = 1, keepdim: bool = False
) -> Tensor:
    """Return the variance y = Σ_i (x_i − mean)² / (n − correction).

    With `correction=1` it estimates the variance of the distribution that the n numbers were drawn from
    (Bessel), with 0 it is that of the numbers themselves, as batch normalisation uses it; `unbiased` (also in the
    place of `dim`) says True for the first and False for the second. Where n ≤ correction the quotient has no
    value and is nan or inf. Raises DTypeError for integers and bools.
    """
    dim, correction = _bessel("var", dim, unbiased, correction)
    axes = _float_axes("var", input, dim)
    result: Tensor = Var.apply(input, axes, correction, arguments.flag("var", "keepdim", keepdim))
    return result


# y = √(Σ_i (x_i − m)² / (n − correction)):  dx_i = dy · (x_i − m) / ((n − correction) y), 0 where y = 0


@ieee
def std_forward(x: Array, axes: Axes, correction: float, keepdim: bool) -> tuple[Array, Any]:
    y, deviation, freedom = _variance(x, axes, correction, keepdim)
    y = np.sqrt(y)
    return y.astype(x.dtype), (deviation, y, axes, freedom)


@ieee
def std_backward(dy: Array, cache: Any) -> Array:
    deviation, y, axes, freedom = cache
    y = restored(y, deviation.shape, axes)
    slope = np.where(y == 0, np.zeros((), y.dtype), np.true_divide(deviation, freedom * y))
    return (restored(dy, deviation.shape, axes) * slope).astype(dy.dtype)


class Std(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: Axes, correction: float, keepdim: bool) -> Array:
        y, cache = on(ctx.device, std_forward)(x, axes, correction, keepdim)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, std_backward)(dy, ctx.saved)


def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: float | None = 1, keepdim: bool = False
) -> Tensor:
    """Return the standard deviation √var; where it is 0 the gradient is 0. Arguments and errors are those of `var`."""
    dim, correction = _bessel("std", dim, unbiased, correction)
    axes = _float_axes("std", input, dim)
    result: Tensor = Std.apply(input, axes, correction, arguments.flag("std", "keepdim", keepdim))
    return result


def _bessel(name: str, dim: Any, unbiased: bool | None, correction: float | None) -> tuple[Any, float]:
    """Return `dim` and the correction, which PyTorch's older `unbiased` gives as a bool, even in the place of `dim`."""
    if isinstance(dim, bool) and unbiased is None:
        dim, unbiased = None, dim
    correction = 1.0 if correction is None else arguments.number(name, "correction", correction)
    if unbiased is None:
        return dim, correction
    if correction != 1:
        raise ShapeError(f"{name}: give unbiased or correction, not both")
    return dim, float(arguments.flag(name, "unbiased", unbiased))


# y = max_i x_i:  dx_i = dy / (number of ties) where x_i = y, else 0
#
# PyTorch has two conventions for nan: in `max(x)` nan is a number like others, tied with other nans; in
# `amax` nothing equals nan, and the gradient is nan (0 / 0 ties).


def amax_forward(x: Array, axes: Axes, keepdim: bool, equal_nan: bool) -> tuple[Array, Any]:
    y = np.max(x, axis=axes, keepdims=keepdim)
    return y, (x, y, axes, equal_nan)


@ieee
def amax_backward(dy: Array, cache: Any) -> Array:
    x, y, axes, equal_nan = cache
    y = restored(y, x.shape, axes)
    ties = (x == y) | (np.isnan(x) & np.isnan(y)) if equal_nan else x == y
    count = np.sum(ties, axis=axes, keepdims=True)
    return np.true_divide(np.where(ties, restored(dy, x.shape, axes), np.zeros((), dy.dtype)), count, dtype=dy.dtype)


def amin_forward(x: Array, axes: Axes, keepdim: bool, equal_nan: bool) -> tuple[Array, Any]:
    y = np.min(x, axis=axes, keepdims=keepdim)
    return y, (x, y, axes, equal_nan)


def amin_backward(dy: Array, cache: Any) -> Array:
    return amax_backward(dy, cache)


class Amax(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: Axes, keepdim: bool, equal_nan: bool) -> Array:
        y, cache = on(ctx.device, amax_forward)(x, axes, keepdim, equal_nan)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, amax_backward)(dy, ctx.saved)


class Amin(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: Axes, keepdim: bool, equal_nan: bool) -> Array:
        y, cache = on(ctx.device, amin_forward)(x, axes, keepdim, equal_nan)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, amin_backward)(dy, ctx.saved)


def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return the largest value y = max_i x_i, nan if one is; ties share the gradient evenly.

    Raises ShapeError where there is nothing to choose from.
    """
    axes = _nonempty_axes("amax", input, dim)
    result: Tensor = Amax.apply(input, axes, arguments.flag("amax", "keepdim", keepdim), False)
    return result


def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return the smallest value y = min_i x_i, nan if one is; ties share the gradient evenly.

    Raises ShapeError where there is nothing to choose from.
    """
    axes = _nonempty_axes("amin", input, dim)
    result: Tensor = Amin.apply(input, axes, arguments.flag("amin", "keepdim", keepdim), False)
    return result


# y = max_i x_i, k = the first i with x_i = y (or the first nan):  dx_k = dy, all others 0


def max_forward(x: Array, axis: int, keepdim: bool) -> tuple[tuple[Array, Array], Any]:
    k, _ = argmax_forward(x, axis, True)
    return _taken(x, k, axis, keepdim), (x.shape, k, axis)


def max_backward(dy: Array, cache: Any) -> Array:
    shape, k, axis = cache
    dx = np.zeros(shape, dy.dtype)
    np.put_along_axis(dx, k, dy.reshape(k.shape), axis)
    return dx


def min_forward(x: Array, axis: int, keepdim: bool) -> tuple[tuple[Array, Array], Any]:
    k, _ = argmin_forward(x, axis, True)
    return _taken(x, k, axis, keepdim), (x.shape, k, axis)


def min_backward(dy: Array, cache: Any) -> Array:
    return max_backward(dy, cache)


def _taken(x: Array, k: Array, axis: int, keepdim: bool) -> tuple[Array, Array]:
    y = np.take_along_axis(x, k, axis)
    return (y, k) if keepdim else (y.squeeze(axis), k.squeeze(axis))


class Max(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axis: int, keepdim: bool) -> tuple[Array, Array]:
        (y, k), cache = on(ctx.device, max_forward)(x, axis, keepdim)
        ctx.save(cache)
        return y, k

    @staticmethod
    def backward(ctx: Any, dy: Array, _: Any) -> Any:
        return on(ctx.device, max_backward)(dy, ctx.saved)


class Min(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axis: int, keepdim: bool) -> tuple[Array, Array]:
        (y, k), cache = on(ctx.device, min_forward)(x, axis, keepdim)
        ctx.save(cache)
        return y, k

    @staticmethod
    def backward(ctx: Any, dy: Array, _: Any) -> Any:
        return on(ctx.device, min_backward)(dy, ctx.saved)


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the largest value; with `dim` the pair (values, indices); with a tensor as `dim`, `maximum` of the two.

    Without `dim` ties share the gradient evenly; with it the first of them, whose index is returned, gets all.
    A nan counts as largest. Raises ShapeError where there is nothing to choose from.
    """
    return _extremum("max", Max, Amax, maximum, input, dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the smallest value; with `dim` the pair (values, indices); with a tensor as `dim`, `minimum` of the two.

    Without `dim` ties share the gradient evenly; with it the first of them, whose index is returned, gets all.
    A nan counts as smallest. Raises ShapeError where there is nothing to choose from.
    """
    return _extremum("min", Min, Amin, minimum, input, dim, keepdim)


def _extremum(
    name: str, along: type[Function], total: type[Function], of_two: Any, input: Tensor, dim: Any, keepdim: bool
) -> Any:
    arguments.flag(name, "keepdim", keepdim)
    if isinstance(dim, Tensor):
        return of_two(input, dim)
    if dim is None:
        if keepdim:
            raise ShapeError(f"{name}: keepdim needs dim; F.a{name}(x, keepdim=True) keeps all axes")
        return total.apply(input, _nonempty_axes(name, input, None), False, True)
    (axis,) = _nonempty_axes(name, input, arguments.integer(name, "dim", dim)) or (0,)
    values, indices = along.apply(input if input.ndim else reshape(input, (1,)), axis, keepdim and input.ndim > 0)
    return Extremum(values, indices)


# k = the first i with x_i = max x (or the first nan); no gradient


def argmax_forward(x: Array, axis: int | None, keepdim: bool) -> tuple[Array, Any]:
    return np.argmax(x, axis=axis, keepdims=keepdim), ()


def argmin_forward(x: Array, axis: int | None, keepdim: bool) -> tuple[Array, Any]:
    return np.argmin(x, axis=axis, keepdims=keepdim), ()


class Argmax(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axis: int | None, keepdim: bool) -> Array:
        return on(ctx.device, argmax_forward)(x, axis, keepdim)[0]


class Argmin(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axis: int | None, keepdim: bool) -> Array:
        return on(ctx.device, argmin_forward)(x, axis, keepdim)[0]


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the largest value as int64, the first among ties; a nan counts as largest.

    Without `dim` it counts through all elements in row-major order. Raises ShapeError where there is nothing to
    choose from.
    """
    axis = _nonempty_axis("argmax", input, dim)
    result: Tensor = Argmax.apply(input, axis, arguments.flag("argmax", "keepdim", keepdim))
    return result


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the smallest value as int64, the first among ties; a nan counts as smallest.

    Without `dim` it counts through all elements in row-major order. Raises ShapeError where there is nothing to
    choose from.
    """
    axis = _nonempty_axis("argmin", input, dim)
    result: Tensor = Argmin.apply(input, axis, arguments.flag("argmin", "keepdim", keepdim))
    return result


# Checks


def _axes(name: str, input: Tensor, dim: Dim) -> Axes:
    """Return the axes to reduce; () means all of them, as in PyTorch."""
    arguments.tensor(name, "input", input)
    return arguments.axes(name, input, None if isinstance(dim, (tuple, list)) and not dim else dim)


def _nonempty_axes(name: str, input: Tensor, dim: Dim) -> Axes:
    """Return the axes to reduce, and refuse those without elements."""
    axes = _axes(name, input, dim)
    if any(input.shape[axis] == 0 for axis in axes):
        raise ShapeError(f"{name}: a tensor of shape {input.shape} has no elements along axes {axes} to choose from")
    return axes


def _nonempty_axis(name: str, input: Tensor, dim: int | None) -> int | None:
    """Return the axis to search, None for all; refuse one without elements, and bools, of which none is largest."""
    if arguments.tensor(name, "input", input).dtype == bool_:
        raise DTypeError(f"{name}: input is bool, needs numbers; convert it with .int()")
    if dim is not None:
        dim = arguments.axis(name, input, dim)
    _nonempty_axes(name, input, dim)
    return dim


def _float_axes(name: str, input: Tensor, dim: Dim) -> Axes:
    """Return the axes to reduce, and refuse numbers that are no floats."""
    axes = _axes(name, input, dim)
    if input.dtype.kind != "f":
        raise DTypeError(f"{name}: input is {input.dtype}, needs floats; convert it with .float()")
    return axes


def _count(shape: tuple[int, ...], axes: Axes) -> int:
    """Return the number n of reduced elements."""
    return math.prod(shape[axis] for axis in axes)
