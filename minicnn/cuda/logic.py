"""Comparisons and division with remainder on CUDA: launches of `kernels/logic.cu`.

Whole numbers and bools are bookkeeping and stay NumPy's (CuPy's).
"""

from __future__ import annotations

from typing import Any

from ..ops import logic as definition
from .arrays import aligned, contiguous, empty, memory_order, restored
from .elementwise import broadcast, densest, is_float, shape_of
from .launch import Family, per_element, per_row
from .reduce import Rows, sum_to

Array = Any
Needs = tuple[bool, ...]

RELATIONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")  # `enum Relation`
KINDS = ("isnan", "isinf", "isfinite")  # `enum Kind`
LAUNCHES = {
    "compare_forward": per_element("n"),
    "classify_forward": per_element("n"),
    "quantify_forward": per_row("rows"),
    "remainder_forward": per_element("n"),
    "remainder_backward": per_element("n"),
    "floor_divide_forward": per_element("n"),
    "truncate_divide_forward": per_element("n"),
}
kernels = Family("logic", LAUNCHES)


def _binary(kernel: str, x: Any, y: Any, dtype: str | None = None, **numbers: Any) -> Array:
    x, y = broadcast(x, y)
    like = densest(x, y)
    axes = memory_order(like)
    a, b = (contiguous(v.transpose(axes)) for v in (x, y))
    z = empty(a, dtype=dtype)
    kernels(kernel, x=a, y=b, z=z, **numbers, n=like.size)
    return restored(z, like)


def compare_forward(x: Array, y: Array, ufunc: Any) -> Array:
    if not is_float(x, y):
        return definition.compare_forward(x, y, ufunc)
    return _binary("compare_forward", x, y, "bool", relation=RELATIONS.index(ufunc.__name__))


def classify_forward(x: Array, ufunc: Any) -> Array:
    if not is_float(x):
        return definition.classify_forward(x, ufunc)
    (flat,) = aligned(x)
    y = empty(flat, dtype="bool")
    kernels("classify_forward", x=flat, y=y, kind=KINDS.index(ufunc.__name__), n=x.size)
    return restored(y, x)


def quantify_forward(x: Array, ufunc: Any, axes: tuple[int, ...], keepdim: bool) -> Array:
    if not is_float(x):
        return definition.quantify_forward(x, ufunc, axes, keepdim)
    rows = Rows(x.shape, axes)
    y = empty(x, (rows.rows,), "bool")
    every = int(ufunc.__name__ == "all")
    kernels("quantify_forward", x=rows.matrix(x), y=y, every=every, rows=rows.rows, columns=rows.columns)
    return rows.reduced(y, keepdim)


def floor_divide_forward(x: Array, y: Array) -> Array:
    return _binary("floor_divide_forward", x, y) if is_float(x, y) else definition.floor_divide_forward(x, y)


def truncate_divide_forward(x: Array, y: Array) -> Array:
    return _binary("truncate_divide_forward", x, y) if is_float(x, y) else definition.truncate_divide_forward(x, y)


def remainder_forward(x: Array, y: Array) -> tuple[Array, Any]:
    if not is_float(x, y):
        return definition.remainder_forward(x, y)
    return _binary("remainder_forward", x, y), (x, y)


def remainder_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    dx = sum_to(dz, shape_of(x)) if needs[0] else None
    if not needs[1]:
        return dx, None
    wide_dz, wide_x, wide_y = broadcast(dz, x, y, dtype=dz.dtype)
    flat_dz, flat_x, flat_y = aligned(wide_dz, wide_x, wide_y)
    dy = empty(flat_dz)
    kernels("remainder_backward", dz=flat_dz, x=flat_x, y=flat_y, dy=dy, n=dz.size)
    return dx, sum_to(restored(dy, wide_dz), shape_of(y))
