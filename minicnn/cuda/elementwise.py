"""Elementwise operations on CUDA: launches of `kernels/elementwise.cu`.

Broadcasting, numbers beside arrays and the common memory order are bookkeeping and come first; the gradient of what
was broadcast is summed by `reduce.sum_to`. Whole numbers and bools stay NumPy's (CuPy's).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import array_module
from ..ops import elementwise as definition
from .arrays import contiguous, empty, memory_order, restored
from .launch import Family, per_element
from .reduce import sum_to

Array = Any
Needs = tuple[bool, ...]

NAMES = (
    "add_forward", "sub_forward", "mul_forward", "div_forward", "div_backward", "neg_forward", "pow_forward",
    "pow_backward_base", "pow_backward_exponent", "exp_forward", "log_forward", "sqrt_forward", "sqrt_backward",
    "abs_forward", "abs_backward", "maximum_forward", "minimum_forward", "maximum_backward", "clamp_forward",
    "clamp_backward", "where_forward", "where_backward",
)  # fmt: skip
LAUNCHES = {name: per_element("n") for name in NAMES}
kernels = Family("elementwise", LAUNCHES)


def is_float(*operands: Any) -> bool:
    """Return whether the result is one that a kernel makes: of float32 or float64."""
    return any(hasattr(x, "dtype") and x.dtype.kind == "f" for x in operands)


def broadcast(*operands: Any, dtype: Any = None) -> list[Array]:
    """Return the operands as arrays of one shape and type; those that have it already are not copied."""
    arrays = [x for x in operands if hasattr(x, "dtype")]
    dtype = dtype or np.result_type(*(x.dtype for x in arrays))
    xp = array_module(next(x for x in arrays if hasattr(x, "flags")))
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return [xp.broadcast_to(xp.asarray(x, dtype), shape) for x in operands]


def _launch(kernel: str, like: Array, inputs: dict[str, Array], outputs: tuple[str, ...], **numbers: Any) -> Any:
    """Launch a kernel on arrays of one shape, in the memory order of `like`; return its outputs."""
    axes = memory_order(like)
    flat = {name: contiguous(a.transpose(axes)) for name, a in inputs.items()}
    first = next(a for a in flat.values() if a.dtype.kind == "f")
    results = {name: empty(first) for name in outputs}
    kernels(kernel, **flat, **results, **numbers, n=like.size)
    made = tuple(restored(a, like) for a in results.values())
    return made if len(made) > 1 else made[0]


def shape_of(x: Any) -> tuple[int, ...]:
    return getattr(x, "shape", ())


def densest(*arrays: Array) -> Array:
    """Return the array whose memory order the result takes: the first that is not broadcast."""
    return next((a for a in arrays if 0 not in a.strides or a.size <= 1), arrays[0])


def _binary(kernel: str, x: Any, y: Any) -> Array:
    x, y = broadcast(x, y)
    return _launch(kernel, densest(x, y), {"x": x, "y": y}, ("z",))


def _unary(kernel: str, x: Array) -> Array:
    return _launch(kernel, x, {"x": x}, ("y",))


def add_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.add_forward(x, y)
    return _binary("add_forward", x, y), (shape_of(x), shape_of(y))


def add_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x_shape, y_shape = cache
    return sum_to(dz, x_shape) if needs[0] else None, sum_to(dz, y_shape) if needs[1] else None


def sub_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.sub_forward(x, y)
    return _binary("sub_forward", x, y), (shape_of(x), shape_of(y))


def sub_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x_shape, y_shape = cache
    dy = _unary("neg_forward", sum_to(dz, y_shape)) if needs[1] else None
    return sum_to(dz, x_shape) if needs[0] else None, dy


def mul_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.mul_forward(x, y)
    return _binary("mul_forward", x, y), (x, y)


def mul_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    dx = sum_to(_binary("mul_forward", dz, y), shape_of(x)) if needs[0] else None
    return dx, sum_to(_binary("mul_forward", dz, x), shape_of(y)) if needs[1] else None


def div_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.div_forward(x, y)
    z = _binary("div_forward", x, y)
    return z, (shape_of(x), y, z)


def div_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x_shape, y, z = cache
    dx = sum_to(_binary("div_forward", dz, y), x_shape) if needs[0] else None
    if not needs[1]:
        return dx, None
    wide_dz, wide_y, wide_z = broadcast(dz, y, z, dtype=dz.dtype)
    dy = _launch("div_backward", wide_z, {"dz": wide_dz, "y": wide_y, "z": wide_z}, ("dy",))
    return dx, sum_to(dy, shape_of(y))


def neg_forward(x: Array) -> tuple[Array, Any]:
    return (_unary("neg_forward", x), ()) if is_float(x) else definition.neg_forward(x)


def neg_backward(dy: Array, cache: Any) -> Array:
    return _unary("neg_forward", dy)


def pow_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.pow_forward(x, y)
    z = _binary("pow_forward", x, y)
    return z, (x, y, z)


def pow_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y, z = cache
    wide_dz, wide_x, wide_y, wide_z = broadcast(dz, x, y, z, dtype=dz.dtype)
    inputs = {"dz": wide_dz, "x": wide_x, "y": wide_y}
    dx = dy = None
    if needs[0]:
        dx = sum_to(_launch("pow_backward_base", wide_z, inputs, ("dx",)), shape_of(x))
    if needs[1]:
        dy = sum_to(_launch("pow_backward_exponent", wide_z, {**inputs, "z": wide_z}, ("dy",)), shape_of(y))
    return dx, dy


def exp_forward(x: Array) -> tuple[Array, Any]:
    y = _unary("exp_forward", x)
    return y, y


def exp_backward(dy: Array, cache: Any) -> Array:
    return _launch("mul_forward", cache, {"x": dy, "y": cache}, ("z",))


def log_forward(x: Array) -> tuple[Array, Any]:
    return _unary("log_forward", x), x


def log_backward(dy: Array, cache: Any) -> Array:
    return _launch("div_forward", cache, {"x": dy, "y": cache}, ("z",))


def sqrt_forward(x: Array) -> tuple[Array, Any]:
    y = _unary("sqrt_forward", x)
    return y, y


def sqrt_backward(dy: Array, cache: Any) -> Array:
    return _launch("sqrt_backward", cache, {"dy": dy, "y": cache}, ("dx",))


def abs_forward(x: Array) -> tuple[Array, Any]:
    return (_unary("abs_forward", x), x) if is_float(x) else definition.abs_forward(x)


def abs_backward(dy: Array, cache: Any) -> Array:
    return _launch("abs_backward", cache, {"dy": dy, "x": cache}, ("dx",))


def maximum_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.maximum_forward(x, y)
    return _binary("maximum_forward", x, y), (x, y)


def maximum_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    return _shared_at_ties(dz, cache, x, y, needs)


def minimum_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.minimum_forward(x, y)
    return _binary("minimum_forward", x, y), (x, y)


def minimum_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    return _shared_at_ties(dz, cache, y, x, needs)  # x loses where y < x


def _shared_at_ties(dz: Array, cache: Any, one: Any, other: Any, needs: Needs) -> tuple[Array | None, Array | None]:
    """Return the gradients: the first is 0 where one < other, the second where other < one; ties halve."""
    wide_dz, wide_one, wide_other = broadcast(dz, one, other, dtype=dz.dtype)
    dx, dy = _launch("maximum_backward", wide_dz, {"dz": wide_dz, "x": wide_one, "y": wide_other}, ("dx", "dy"))
    x, y = cache
    return sum_to(dx, shape_of(x)) if needs[0] else None, sum_to(dy, shape_of(y)) if needs[1] else None


def clamp_forward(x: Array, low: float, high: float) -> tuple[Array, Any]:
    if not is_float(x):
        return definition.clamp_forward(x, low, high)
    return _launch("clamp_forward", x, {"x": x}, ("y",), low=low, high=high), (x, low, high)


def clamp_backward(dy: Array, cache: Any) -> Array:
    x, low, high = cache
    return _launch("clamp_backward", x, {"dy": dy, "x": x}, ("dx",), low=low, high=high)


def where_forward(condition: Array, x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.where_forward(condition, x, y)
    dtype = np.result_type(*(a.dtype for a in (x, y)))
    wide = np.broadcast_shapes(condition.shape, shape_of(x), shape_of(y))
    xp = array_module(condition)
    c, a, b = (xp.broadcast_to(v, wide) for v in (condition, xp.asarray(x, dtype), xp.asarray(y, dtype)))
    z = _launch("where_forward", densest(a, b), {"condition": c, "x": a, "y": b}, ("z",))
    return z, (condition, shape_of(x), shape_of(y))


def where_backward(dz: Array, cache: Any, needs: Needs = (False, True, True)) -> tuple[Any, Any, Any]:
    condition, x_shape, y_shape = cache
    wide = array_module(dz).broadcast_to(condition, dz.shape)
    dx, dy = _launch("where_backward", dz, {"dz": dz, "condition": wide}, ("dx", "dy"))
    return None, sum_to(dx, x_shape) if needs[1] else None, sum_to(dy, y_shape) if needs[2] else None
