"""Reductions on CUDA: launches of `kernels/reduce.cu`. Whole numbers are bookkeeping and stay NumPy's (CuPy's)."""

from __future__ import annotations

import math
from typing import Any

from ..ops import reduce as definition
from .arrays import contiguous, empty
from .launch import Family, Launch, ceil_div, per_element, per_row

Array = Any
Axes = tuple[int, ...]

PIECE, MOST_PIECES = 256, 128  # rows at least of a block that sums up columns; pieces at most

LAUNCHES = {
    "sum_rows": per_row("rows"),
    "sum_columns": Launch(lambda a: (ceil_div(a["columns"], 32), a["y"].shape[0]), (32, 8)),
    "spread_rows": per_element("n"),
    "var_rows": per_row("rows"),
    "var_backward": per_element("n"),
    "extremum_rows": per_row("rows"),
    "extremum_backward": Launch(lambda a: (a["y"].size,), (128,)),
    "place_rows": per_element("n"),
}
kernels = Family("reduce", LAUNCHES)


class Rows:
    """An array as a matrix whose rows are reduced, and the way back."""

    def __init__(self, shape: tuple[int, ...], axes: Axes) -> None:
        self.kept = [i for i in range(len(shape)) if i not in axes]
        self.order = (*self.kept, *axes)
        self.shape, self.axes = shape, axes
        self.rows = math.prod(shape[i] for i in self.kept)
        self.columns = math.prod(shape[i] for i in axes)

    def matrix(self, x: Array) -> Array:
        """Return (rows, columns), contiguous; copies unless the reduced axes are the last ones already."""
        return contiguous(x.transpose(self.order)).reshape(self.rows, self.columns)

    def back(self, matrix: Array) -> Array:
        """Return a matrix (rows, columns) in the array's shape."""
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return contiguous(matrix.reshape([self.shape[i] for i in self.order]).transpose(inverse))

    def reduced(self, y: Array, keepdim: bool) -> Array:
        """Return one number per row in the shape of the result."""
        if keepdim:
            return y.reshape([1 if i in self.axes else n for i, n in enumerate(self.shape)])
        return y.reshape([self.shape[i] for i in self.kept])


def sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    """Return x summed over the axes along which an operand of this shape was broadcast."""
    if x.shape == shape:
        return x
    added = x.ndim - len(shape)
    axes = tuple(range(added)) + tuple(added + i for i, n in enumerate(shape) if n == 1 and x.shape[added + i] != 1)
    if axes == tuple(range(len(axes))):  # the first axes: a sum of columns, which needs no copy
        matrix = contiguous(x).reshape(math.prod(x.shape[: len(axes)]), math.prod(x.shape[len(axes) :]))
        return sum_columns(matrix).reshape(shape)
    rows = Rows(x.shape, axes)
    return _sum(x, rows, 1.0).reshape(shape)


def sum_columns(matrix: Array) -> Array:
    """Return the sums of the columns of a contiguous matrix."""
    rows, columns = matrix.shape
    pieces = max(1, min(MOST_PIECES, rows // PIECE))
    y = empty(matrix, (pieces, columns))
    kernels("sum_columns", x=matrix, y=y, rows=rows, columns=columns)
    return y[0] if pieces == 1 else sum_columns(y)


def _sum(x: Array, rows: Rows, scale: float) -> Array:
    y = empty(x, (rows.rows,))
    kernels("sum_rows", x=rows.matrix(x), y=y, scale=scale, rows=rows.rows, columns=rows.columns)
    return y


def _spread(dy: Array, shape: tuple[int, ...], axes: Axes, scale: float) -> Array:
    rows = Rows(shape, axes)
    dx = empty(dy, (rows.rows, rows.columns))
    kernels("spread_rows", dy=contiguous(dy), dx=dx, scale=scale, columns=rows.columns, n=dx.size)
    return rows.back(dx)


def sum_forward(x: Array, axes: Axes, keepdim: bool) -> tuple[Array, Any]:
    if x.dtype.kind != "f":
        return definition.sum_forward(x, axes, keepdim)
    rows = Rows(x.shape, axes)
    return rows.reduced(_sum(x, rows, 1.0), keepdim), (x.shape, axes)


def sum_backward(dy: Array, cache: Any) -> Array:
    shape, axes = cache
    return _spread(dy, shape, axes, 1.0)


def mean_forward(x: Array, axes: Axes, keepdim: bool) -> tuple[Array, Any]:
    rows = Rows(x.shape, axes)
    scale = 1 / rows.columns if rows.columns else math.nan
    return rows.reduced(_sum(x, rows, scale), keepdim), (x.shape, axes)


def mean_backward(dy: Array, cache: Any) -> Array:
    shape, axes = cache
    columns = Rows(shape, axes).columns
    return _spread(dy, shape, axes, 1 / columns if columns else math.nan)


def var_forward(x: Array, axes: Axes, correction: float, keepdim: bool) -> tuple[Array, Any]:
    return _var_forward(x, axes, correction, keepdim, 0)


def var_backward(dy: Array, cache: Any) -> Array:
    return _var_backward(dy, cache, 0)


def std_forward(x: Array, axes: Axes, correction: float, keepdim: bool) -> tuple[Array, Any]:
    return _var_forward(x, axes, correction, keepdim, 1)


def std_backward(dy: Array, cache: Any) -> Array:
    return _var_backward(dy, cache, 1)


def _var_forward(x: Array, axes: Axes, correction: float, keepdim: bool, root: int) -> tuple[Array, Any]:
    rows = Rows(x.shape, axes)
    freedom = max(rows.columns - correction, 0)
    matrix, y, mean = rows.matrix(x), empty(x, (rows.rows,)), empty(x, (rows.rows,))
    kernels(
        "var_rows", x=matrix, y=y, mean=mean, freedom=freedom, root=root, rows=rows.rows, columns=rows.columns
    )  # fmt: skip
    return rows.reduced(y, keepdim), (matrix, mean, y, x.shape, axes, freedom)


def _var_backward(dy: Array, cache: Any, root: int) -> Array:
    matrix, mean, y, shape, axes, freedom = cache
    dx = empty(matrix)
    kernels(
        "var_backward", dy=contiguous(dy), x=matrix, mean=mean, y=y, dx=dx, freedom=freedom, root=root,
        columns=matrix.shape[1], n=dx.size,
    )  # fmt: skip
    return Rows(shape, axes).back(dx)


# amax, amin: ties share the gradient


def amax_forward(x: Array, axes: Axes, keepdim: bool, equal_nan: bool) -> tuple[Array, Any]:
    return _extremum(x, axes, keepdim, equal_nan, 1, definition.amax_forward)


def amin_forward(x: Array, axes: Axes, keepdim: bool, equal_nan: bool) -> tuple[Array, Any]:
    return _extremum(x, axes, keepdim, equal_nan, -1, definition.amin_forward)


def _extremum(x: Array, axes: Axes, keepdim: bool, equal_nan: bool, sign: int, plain: Any) -> tuple[Array, Any]:
    if x.dtype.kind != "f":
        result: tuple[Array, Any] = plain(x, axes, keepdim, equal_nan)
        return result
    rows = Rows(x.shape, axes)
    matrix = rows.matrix(x)
    y, _ = _search(matrix, sign)
    return rows.reduced(y, keepdim), (matrix, y, x.shape, axes, equal_nan)


def _search(matrix: Array, sign: int) -> tuple[Array, Array]:
    """Return the largest (smallest) number of each row and its column."""
    rows, columns = matrix.shape
    y, k = empty(matrix, (rows,)), empty(matrix, (rows,), "int64")
    kernels("extremum_rows", x=matrix, y=y, k=k, sign=sign, rows=rows, columns=columns)
    return y, k


def amax_backward(dy: Array, cache: Any) -> Array:
    matrix, y, shape, axes, equal_nan = cache
    dx = empty(matrix)
    kernels(
        "extremum_backward", dy=contiguous(dy), x=matrix, y=y, dx=dx, equal_nan=int(equal_nan), columns=matrix.shape[1]
    )
    return Rows(shape, axes).back(dx)


def amin_backward(dy: Array, cache: Any) -> Array:
    return amax_backward(dy, cache)


# max, min along an axis: the first of equal ones


def max_forward(x: Array, axis: int, keepdim: bool) -> tuple[tuple[Array, Array], Any]:
    return _first(x, axis, keepdim, 1, definition.max_forward)


def min_forward(x: Array, axis: int, keepdim: bool) -> tuple[tuple[Array, Array], Any]:
    return _first(x, axis, keepdim, -1, definition.min_forward)


def _first(x: Array, axis: int, keepdim: bool, sign: int, plain: Any) -> tuple[tuple[Array, Array], Any]:
    if x.dtype.kind != "f":
        result: tuple[tuple[Array, Array], Any] = plain(x, axis, keepdim)
        return result
    rows = Rows(x.shape, (axis,))
    y, k = _search(rows.matrix(x), sign)
    return (rows.reduced(y, keepdim), rows.reduced(k, keepdim)), (x.shape, k, axis)


def max_backward(dy: Array, cache: Any) -> Array:
    shape, k, axis = cache
    rows = Rows(shape, (axis,))
    dx = empty(dy, (rows.rows, rows.columns))
    kernels("place_rows", dy=contiguous(dy), k=contiguous(k), dx=dx, columns=rows.columns, n=dx.size)
    return rows.back(dx)


def min_backward(dy: Array, cache: Any) -> Array:
    return max_backward(dy, cache)


def argmax_forward(x: Array, axis: int | None, keepdim: bool) -> tuple[Array, Any]:
    return _place(x, axis, keepdim, 1, definition.argmax_forward)


def argmin_forward(x: Array, axis: int | None, keepdim: bool) -> tuple[Array, Any]:
    return _place(x, axis, keepdim, -1, definition.argmin_forward)


def _place(x: Array, axis: int | None, keepdim: bool, sign: int, plain: Any) -> tuple[Array, Any]:
    if x.dtype.kind != "f":
        result: tuple[Array, Any] = plain(x, axis, keepdim)
        return result
    rows = Rows(x.shape, tuple(range(x.ndim)) if axis is None or x.ndim == 0 else (axis,))
    _, k = _search(rows.matrix(x), sign)
    return rows.reduced(k, keepdim), ()
