"""Comparisons, bit logic, any and all, and division with remainder.

What gives bools or whole numbers has no gradient and is never recorded. Operands broadcast, and types meet, as
in the elementwise operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import DTypeError, ShapeError
from . import arguments
from .arithmetic import ieee, unbroadcast

Array = Any
Needs = tuple[bool, ...]
Dim = int | tuple[int, ...] | list[int] | None


@ieee
def compare_forward(x: Array, y: Array, ufunc: Any) -> Array:
    return ufunc(x, y)


class Compare(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array, ufunc: Any) -> Array:
        return on(ctx.device, compare_forward)(x, y, ufunc)


def _compare(name: str, ufunc: Any, input: Any, other: Any) -> Tensor:
    x, y = arguments.operands(name, input, other)
    result: Tensor = Compare.apply(x, y, ufunc)
    return result


def eq(input: Any, other: Any) -> Tensor:
    """Return where x = y, as bools; nan equals nothing."""
    return _compare("eq", np.equal, input, other)


def ne(input: Any, other: Any) -> Tensor:
    """Return where x ≠ y, as bools; nan differs from everything."""
    return _compare("ne", np.not_equal, input, other)


def lt(input: Any, other: Any) -> Tensor:
    """Return where x < y, as bools."""
    return _compare("lt", np.less, input, other)


def le(input: Any, other: Any) -> Tensor:
    """Return where x ≤ y, as bools."""
    return _compare("le", np.less_equal, input, other)


def gt(input: Any, other: Any) -> Tensor:
    """Return where x > y, as bools."""
    return _compare("gt", np.greater, input, other)


def ge(input: Any, other: Any) -> Tensor:
    """Return where x ≥ y, as bools."""
    return _compare("ge", np.greater_equal, input, other)


def classify_forward(x: Array, ufunc: Any) -> Array:
    return ufunc(x)


class Classify(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, ufunc: Any) -> Array:
        return on(ctx.device, classify_forward)(x, ufunc)


def isnan(input: Tensor) -> Tensor:
    """Return where x is nan, as bools."""
    result: Tensor = Classify.apply(arguments.tensor("isnan", "input", input), np.isnan)
    return result


def isinf(input: Tensor) -> Tensor:
    """Return where x is inf or −inf, as bools."""
    result: Tensor = Classify.apply(arguments.tensor("isinf", "input", input), np.isinf)
    return result


def isfinite(input: Tensor) -> Tensor:
    """Return where x is neither inf nor nan, as bools."""
    result: Tensor = Classify.apply(arguments.tensor("isfinite", "input", input), np.isfinite)
    return result


# Bit by bit for whole numbers, true and false for bools


class Bitwise(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array, ufunc: Any) -> Array:
        return ufunc(x, y)


def _bitwise(name: str, ufunc: Any, input: Any, other: Any) -> Tensor:
    x, y = arguments.operands(name, input, other)
    for value in (x, y):
        if isinstance(value, float) or (isinstance(value, Tensor) and value.dtype.kind == "f"):
            raise DTypeError(f"{name}: needs whole numbers or bools, got floats; compare them first, e.g. x > 0")
    result: Tensor = Bitwise.apply(x, y, ufunc)
    return result


def bitwise_and(input: Any, other: Any) -> Tensor:
    """Return x and y: of bools, where both are true; of whole numbers, bit by bit."""
    return _bitwise("bitwise_and", np.bitwise_and, input, other)


def bitwise_or(input: Any, other: Any) -> Tensor:
    """Return x or y: of bools, where at least one is true; of whole numbers, bit by bit."""
    return _bitwise("bitwise_or", np.bitwise_or, input, other)


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """Return either x or y: of bools, where exactly one is true; of whole numbers, bit by bit."""
    return _bitwise("bitwise_xor", np.bitwise_xor, input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """Return not x: of bools, where they are false; of whole numbers, bit by bit (−x − 1)."""
    if arguments.tensor("bitwise_not", "input", input).dtype.kind == "f":
        raise DTypeError(f"bitwise_not: input is {input.dtype}, needs whole numbers or bools")
    result: Tensor = Classify.apply(input, np.invert)
    return result


# any, all


def quantify_forward(x: Array, ufunc: Any, axes: tuple[int, ...], keepdim: bool) -> Array:
    result = ufunc(x != 0, axis=axes, keepdims=keepdim)
    return result.astype(np.uint8) if x.dtype == np.uint8 else result  # PyTorch's bools before it had any


class Quantify(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, ufunc: Any, axes: tuple[int, ...], keepdim: bool) -> Array:
        return on(ctx.device, quantify_forward)(x, ufunc, axes, keepdim)


def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return whether any element along `dim` is true (not 0), as bools (uint8 of uint8); of no elements, none is."""
    axes = arguments.axes("any", arguments.tensor("any", "input", input), dim)
    result: Tensor = Quantify.apply(input, np.any, axes, arguments.flag("any", "keepdim", keepdim))
    return result


def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Return whether all elements along `dim` are true (not 0), as bools (uint8 of uint8); of no elements, all are."""
    axes = arguments.axes("all", arguments.tensor("all", "input", input), dim)
    result: Tensor = Quantify.apply(input, np.all, axes, arguments.flag("all", "keepdim", keepdim))
    return result


# z = ⌊x / y⌋:  no gradient, being flat between its steps


@ieee
def floor_divide_forward(x: Array, y: Array) -> Array:
    return np.floor_divide(x, y)


class FloorDivide(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        return on(ctx.device, floor_divide_forward)(x, y)

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return None, None


def floor_divide(input: Any, other: Any) -> Tensor:
    """Return the whole part of the quotient, z = ⌊x / y⌋; the gradient is 0.

    Raises ShapeError for whole numbers divided by 0, DTypeError for bools.
    """
    x, y = _divisible("floor_divide", input, other)
    result: Tensor = FloorDivide.apply(x, y)
    return result


# z = x / y without its fraction, ⌊x / y⌋ where that is positive, else ⌈x / y⌉:  no gradient


@ieee
def truncate_divide_forward(x: Array, y: Array) -> Array:
    if np.result_type(x, y).kind == "f":
        return np.trunc(np.true_divide(x, y))
    return np.floor_divide(x, y) + ((np.remainder(x, y) != 0) & (np.less(x, 0) != np.less(y, 0)))


class TruncateDivide(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        return on(ctx.device, truncate_divide_forward)(x, y)

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return None, None


def truncate_divide(input: Any, other: Any) -> Tensor:
    """Return the quotient rounded towards 0, as `div` does with rounding_mode="trunc"."""
    x, y = _divisible("div", input, other)
    result: Tensor = TruncateDivide.apply(x, y)
    return result


# z = x − y ⌊x / y⌋:  dx = dz, dy = −dz ⌊x / y⌋


@ieee
def remainder_forward(x: Array, y: Array) -> tuple[Array, Any]:
    return np.remainder(x, y), (x, y)


@ieee
def remainder_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    return (
        unbroadcast(dz, np.shape(x)) if needs[0] else None,
        unbroadcast(-dz * np.floor_divide(x, y), np.shape(y)) if needs[1] else None,
    )


class Remainder(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, remainder_forward)(x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, remainder_backward)(dz, ctx.saved, ctx.needs_input_grad)


def remainder(input: Any, other: Any) -> Tensor:
    """Return what is left of a division, z = x − y ⌊x / y⌋, with the sign of y.

    Raises ShapeError for whole numbers divided by 0, DTypeError for bools.
    """
    x, y = _divisible("remainder", input, other)
    result: Tensor = Remainder.apply(x, y)
    return result


def _divisible(name: str, input: Any, other: Any) -> tuple[Any, Any]:
    x, y = arguments.operands(name, input, other)
    dtype = x.dtype if isinstance(x, Tensor) else y.dtype
    if dtype.kind == "b":
        raise DTypeError(f"{name}: bools cannot be divided; convert them with .int()")
    empty = 0 in (x.shape if isinstance(x, Tensor) else ()) + (y.shape if isinstance(y, Tensor) else ())
    if dtype.kind != "f" and not empty and np.equal(y.data if isinstance(y, Tensor) else y, 0).any():
        raise ShapeError(f"{name}: whole numbers cannot be divided by 0; floats give inf or nan")
    return x, y
