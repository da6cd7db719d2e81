"""Tensors from nothing: zeros, ones, full, eye, arange, linspace, rand, randn, and those like another tensor.

Sizes are written `zeros(2, 3)` or `zeros((2, 3))`. Where no type is given, the numbers are float32 (float64, int64
or bool where that follows from the arguments, as the docstrings say), on the device that `mc.use_device` chose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import random
from ._device import current_device, device, put, usable
from ._tensor import Tensor, wrap
from .dtypes import check_dtype, float32, scalar_dtype
from .errors import DTypeError, ShapeError
from .ops import arguments

Array = Any


def zeros(*size: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros."""
    dtype = check_dtype("zeros", float32 if dtype is None else dtype)
    return _made(np.zeros(_sizes("zeros", size), dtype), device, requires_grad)


def ones(*size: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones."""
    dtype = check_dtype("ones", float32 if dtype is None else dtype)
    return _made(np.ones(_sizes("ones", size), dtype), device, requires_grad)


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of one number, in the type that `mc.tensor(fill_value)` has."""
    dtype = check_dtype("full", scalar_dtype(fill_value) if dtype is None else dtype)
    return _made(np.full(_sizes("full", (size,)), _fill("full", fill_value, dtype), dtype), device, requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Return the matrix of n rows and m columns (n by default) with ones on its diagonal and zeros elsewhere."""
    rows = arguments.integer("eye", "n", n, 0)
    columns = rows if m is None else arguments.integer("eye", "m", m, 0)
    arguments.possible("eye", (rows, columns))
    dtype = check_dtype("eye", float32 if dtype is None else dtype)
    return _made(np.eye(rows, columns, dtype=dtype), device, requires_grad)


def arange(
    start: float, end: float | None = None, step: float = 1, *,
    dtype: Any = None, device: str | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Return start, start + step, … below `end` (above it, if `step` is negative); `arange(n)` is 0 … n − 1.

    The type is int64 if all arguments are whole numbers, else float32. With a `dtype` of whole numbers fractions
    are cut off as in PyTorch: for int64 before anything else, for the others once the numbers are counted.
    Raises ShapeError for a step of 0 or in the wrong direction.
    """
    start, end = (0, start) if end is None else (start, end)
    for argument, value in (("start", start), ("end", end), ("step", step)):
        if not math.isfinite(arguments.number("arange", argument, value)):
            raise ShapeError(f"arange: {argument} is {value}, needs a finite number")
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    whole = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
    dtype = check_dtype("arange", (np.int64 if whole else float32) if dtype is None else dtype)
    if dtype == np.int64:
        start, end, step, whole = int(start), int(end), int(step), True
    if step == 0 or (end - start) * step < 0:
        raise ShapeError(f"arange: step is {step}, which does not lead from {start} to {end}")
    count = -((start - end) // step) if whole else math.ceil((end - start) / step)
    if dtype.kind != "f":
        start, step = int(start), int(step)
    return _made((start + step * np.arange(count)).astype(dtype), device, requires_grad)


def linspace(
    start: float, end: float, steps: int, *,
    dtype: Any = None, device: str | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Return `steps` numbers at equal distances from `start` to `end`, both included.

    With a `dtype` of whole numbers fractions are cut off, of `start` and `end` first.
    """
    low, high = arguments.number("linspace", "start", start), arguments.number("linspace", "end", end)
    count = arguments.integer("linspace", "steps", steps, 0)
    arguments.possible("linspace", (count,))
    dtype = check_dtype("linspace", float32 if dtype is None else dtype)
    if dtype.kind != "f":
        low, high = int(low), int(high)
    return _made(np.linspace(low, high, count).astype(dtype), device, requires_grad)


def rand(*size: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return random numbers spread evenly over [0, 1); they follow from `mc.manual_seed` (see minicnn.random)."""
    shape = _sizes("rand", size)
    array = random.Generator.next(random.TENSOR).uniform(shape, dtype=_float_type("rand", dtype))
    return _made(array, device, requires_grad)


def randn(*size: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return standard normal random numbers; they follow from `mc.manual_seed` (see minicnn.random)."""
    shape = _sizes("randn", size)
    array = random.Generator.next(random.TENSOR).normal(shape, dtype=_float_type("randn", dtype))
    return _made(array, device, requires_grad)


def zeros_like(input: Tensor, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return zeros in the shape and, unless given, the type and on the device of a tensor."""
    like = _like("zeros_like", input, dtype, device)
    return zeros(input.shape, **like, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return ones in the shape and, unless given, the type and on the device of a tensor."""
    like = _like("ones_like", input, dtype, device)
    return ones(input.shape, **like, requires_grad=requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Return one number in the shape and, unless given, the type and on the device of a tensor."""
    like = _like("full_like", input, dtype, device)
    return full(input.shape, fill_value, **like, requires_grad=requires_grad)


def rand_like(input: Tensor, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return `rand` in the shape and, unless given, the type and on the device of a tensor."""
    like = _like("rand_like", input, dtype, device)
    return rand(input.shape, **like, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return `randn` in the shape and, unless given, the type and on the device of a tensor."""
    like = _like("randn_like", input, dtype, device)
    return randn(input.shape, **like, requires_grad=requires_grad)


def _like(name: str, input: Tensor, dtype: Any, device: str | None) -> dict[str, Any]:
    like = arguments.tensor(name, "input", input)
    return {"dtype": like.dtype if dtype is None else dtype, "device": like.device if device is None else device}


def _sizes(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the sizes of a new tensor, which came as `f(2, 3)` or `f((2, 3))`."""
    sizes = arguments.sizes(name, "size", size)
    for value in sizes:
        if value < 0:
            raise ShapeError(f"{name}: size {sizes} holds {value}, needs sizes of at least 0")
    return arguments.possible(name, sizes)


def _fill(name: str, value: Any, dtype: Any) -> Any:
    """Return the number to fill with, as a Python number; for whole numbers it is cut off at the point."""
    number = arguments.number(name, "fill_value", int(value) if isinstance(value, (bool, np.bool_)) else value)
    if dtype.kind == "f" or dtype.kind == "b":
        return number
    if not np.iinfo(dtype).min - 1 < number < np.iinfo(dtype).max + 1:  # true of nan, too
        raise DTypeError(f"{name}: {value} does not fit into {dtype}")
    return int(value)


def _float_type(name: str, dtype: Any) -> Any:
    found = check_dtype(name, float32 if dtype is None else dtype)
    if found.kind != "f" or found.itemsize < 4:
        raise DTypeError(f"{name}: dtype is {found}, needs float32 or float64")
    return found


def _made(array: Array, where: str | None, requires_grad: bool) -> Tensor:
    """Return a new array as a tensor on a device."""
    target = usable(current_device() if where is None else device(where))
    new = wrap(put(array, target), target, None, 0)
    new.requires_grad = requires_grad
    return new
