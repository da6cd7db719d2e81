"""Checks of arguments: one function per kind of argument, called by the public operations only.

Each takes the operation's name first, returns the argument in its one normal form, and raises an error of
`minicnn.errors` that names the operation, the argument, what came and what is needed. So every device
refuses the same inputs in the same words, before anything runs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..dtypes import DType, promote, scalar_dtype
from ..errors import DTypeError, ShapeError

Pair = tuple[int, int]


def tensor(name: str, argument: str, value: Any) -> Tensor:
    """Return the value if it is a Tensor."""
    if not isinstance(value, Tensor):
        raise DTypeError(f"{name}: {argument} must be a Tensor, got {type(value).__name__}; see mc.tensor(data)")
    return value


def floats(name: str, **tensors: Tensor | None) -> None:
    """Check that the tensors (None is skipped) have one float type."""
    first = ""
    for argument, value in tensors.items():
        if value is None:
            continue
        dtype = tensor(name, argument, value).dtype
        if dtype.kind != "f" or dtype.itemsize < 4:
            raise DTypeError(f"{name}: {argument} is {dtype}, needs float32 or float64; convert it with .float()")
        if not first:
            first, expected = argument, dtype
        elif dtype != expected:
            raise DTypeError(f"{name}: {argument} is {dtype}, {first} is {expected}; convert one with .to(dtype)")


def images(name: str, input: Tensor, argument: str = "input") -> tuple[int, int, int, int]:
    """Return the shape of a batch of images (N, C, H, W)."""
    shape = tensor(name, argument, input).shape
    if len(shape) == 3:
        raise ShapeError(
            f"{name}: {argument} has shape {shape}, needs a batch (N, C, H, W); "
            "give a single image its batch axis with x.unsqueeze(0)"
        )
    if len(shape) != 4:
        raise ShapeError(f"{name}: {argument} has shape {shape}, needs four axes (N, C, H, W)")
    return shape


def integer(name: str, argument: str, value: Any, minimum: int | None = None) -> int:
    """Return a whole number of at least `minimum`."""
    if type(value) is int and (minimum is None or value >= minimum):  # the usual case: a tenth of the time
        return value
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise DTypeError(f"{name}: {argument} must be a whole number, got {value!r}") from None
    if minimum is not None and number < minimum:
        raise ShapeError(f"{name}: {argument} is {number}, needs at least {minimum}")
    return number


LARGEST = 2**31 - 1
"""The largest size, stride or padding: no picture is as wide, and sums of them stay far below 2^63."""


def pair(name: str, argument: str, value: Any, minimum: int) -> Pair:
    """Return one whole number, or two for height and width, as two."""
    if type(value) is tuple and len(value) == 2:  # a layer's own pair, checked when it was made: a fifth of the time
        high, wide = value
        if type(high) is type(wide) is int and minimum <= high <= LARGEST and minimum <= wide <= LARGEST:
            return value
    if isinstance(value, (tuple, list)):
        if len(value) not in (1, 2):
            raise ShapeError(f"{name}: {argument} has {len(value)} numbers {tuple(value)}, needs one or two (H, W)")
    else:
        value = (value,)
    numbers = [integer(name, argument, v, minimum) for v in value]
    if max(numbers) > LARGEST:
        raise ShapeError(f"{name}: {argument} is {max(numbers)}, needs at most {LARGEST}")
    return (numbers[0], numbers[-1])


def number(
    name: str, argument: str, value: Any, low: float = -math.inf, high: float = math.inf, open_low: bool = False
) -> float:
    """Return a real number in [low, high], or (low, high] with `open_low`; without bounds also nan."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise DTypeError(f"{name}: {argument} must be a number, got {value!r}")
    if isinstance(value, int) and abs(value) >= 2**1023:
        raise ShapeError(f"{name}: {argument} is a whole number of {value.bit_length()} bits, too large for a float")
    inside = low < value if open_low else low <= value
    if not (inside and value <= high) and (low, high) != (-math.inf, math.inf):
        bounds = f"{'(' if open_low else '['}{low}, {high}]"
        raise ShapeError(f"{name}: {argument} is {value}, needs a number in {bounds}")
    return float(value)


def possible(name: str, shape: tuple[int, ...], largest: int = 2**60, what: str = "a result") -> tuple[int, ...]:
    """Return the shape of a result if it has at most so many elements; 2^60 of 8 bytes are all that an address counts.

    Images have at most `LARGEST` pixels: what is walked over pixel by pixel must not go on for ever.
    """
    if max(shape, default=0) > largest or math.prod(shape) > largest:
        raise ShapeError(f"{name}: {what} of shape {shape} has more than {largest} elements")
    return shape


def probability(name: str, value: Any, argument: str = "p") -> float:
    """Return a probability in [0, 1]."""
    return number(name, argument, value, 0, 1)


def flag(name: str, argument: str, value: Any) -> bool:
    """Return True or False; numbers are refused, since they mean that arguments have shifted."""
    if not isinstance(value, (bool, np.bool_)):
        raise DTypeError(f"{name}: {argument} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, argument: str, value: Any, options: Sequence[str]) -> str:
    """Return one of several words."""
    if value not in options:
        raise ShapeError(f"{name}: {argument} is {value!r}, needs one of {', '.join(map(repr, options))}")
    return str(value)


def axis(name: str, input: Tensor, dim: Any, argument: str = "dim", extra: int = 0) -> int:
    """Return an axis as a number from 0; negative ones count from the end.

    `extra` axes more are allowed where one is being added. A tensor without axes has axis 0, as in PyTorch.
    """
    position = integer(name, argument, dim)
    count = max(input.ndim + extra, 1)
    if not -count <= position < count:
        raise ShapeError(
            f"{name}: {argument} is {position}, a tensor of shape {input.shape} needs {-count} … {count - 1}"
        )
    return position % count


def axes(name: str, input: Tensor, dim: Any, argument: str = "dim") -> tuple[int, ...]:
    """Return one axis, several, or all (None) as a tuple in ascending order; a repeated one is refused."""
    if dim is None:
        return tuple(range(input.ndim))
    if not isinstance(dim, (tuple, list)):
        dim = (dim,)
    found = [axis(name, input, d, argument) for d in dim]
    if len(set(found)) < len(found):
        raise ShapeError(f"{name}: {argument} {tuple(dim)} names an axis twice")
    return tuple(sorted(found)) if input.ndim else ()


def sizes(name: str, argument: str, values: tuple[Any, ...]) -> tuple[int, ...]:
    """Return whole numbers that came as `f(2, 3)` or as `f((2, 3))`."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = tuple(values[0])
    return tuple(integer(name, argument, v) for v in values)


def broadcast(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that these shapes broadcast to."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(map(str, shapes))
        raise ShapeError(f"{name}: shapes {listed} cannot be broadcast to one") from None


def operands(name: str, x: Any, y: Any, float_result: bool = False) -> tuple[Any, Any]:
    """Return two operands in the type in which they meet; Python numbers stay numbers.

    With `float_result`, two integers meet in float32 (division). Raises ShapeError when the shapes cannot be
    broadcast and DTypeError for what is neither a tensor nor a number.
    """
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        a, b = x.data, y.data
        if a.dtype is b.dtype and a.shape == b.shape and (a.dtype.kind == "f" or not float_result):
            return x, y
        broadcast(name, a.shape, b.shape)
        dtype = promote(a.dtype, a.ndim, b.dtype, b.ndim)
    elif isinstance(x, Tensor):
        if not isinstance(y, (int, float, np.generic)):
            return operands(name, x, _constant(name, "other", y, x), float_result)
        dtype = promote(x.dtype, x.ndim, scalar_dtype(y), None)
    elif isinstance(y, Tensor):
        if not isinstance(x, (int, float, np.generic)):
            return operands(name, _constant(name, "input", x, y), y, float_result)
        dtype = promote(scalar_dtype(x), None, y.dtype, y.ndim)
    else:
        raise DTypeError(f"{name}: needs a Tensor, got {type(x).__name__} and {type(y).__name__}")
    if float_result and dtype.kind != "f":
        dtype = np.dtype(np.float32)
    return _in_type(name, x, dtype), _in_type(name, y, dtype)


def _constant(name: str, argument: str, value: Any, like: Tensor) -> Tensor:
    if isinstance(value, np.ndarray):
        return Tensor(value, device=like.device)
    raise DTypeError(f"{name}: {argument} must be a Tensor or a number, got {type(value).__name__}")


def _in_type(name: str, value: Any, dtype: DType) -> Any:
    if isinstance(value, Tensor):
        return value if value.dtype == dtype else value.to(dtype)
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        raise DTypeError(f"{name}: {value} does not fit into {dtype}; convert the tensor with .long() or .float()")
    if dtype.kind == "f" and isinstance(value, int) and abs(value) >= 2**1023:
        raise DTypeError(f"{name}: a whole number of {value.bit_length()} bits does not fit into {dtype}")
    return dtype.type(value) if isinstance(value, np.generic) else value


def as_float(name: str, input: Any) -> Tensor:
    """Return the tensor itself, or as float32 if it holds integers or bools (exp, sqrt, mean …)."""
    checked = tensor(name, "input", input)
    return checked if checked.dtype.kind == "f" else checked.float()
