"""softmax, log_softmax and logsumexp on CUDA: launches of `kernels/softmax.cu`."""

from __future__ import annotations

from typing import Any

from .arrays import contiguous, empty
from .launch import Family, Launch, per_element
from .reduce import Rows

Array = Any
Axis = int | None

ROWS = Launch(lambda a: (a["y"].size // a["columns"] if a["columns"] else 0,), (128,))  # one block per row
LAUNCHES = {
    "softmax_forward": ROWS,
    "softmax_backward": ROWS,
    "log_softmax_forward": ROWS,
    "log_softmax_backward": ROWS,
    "logsumexp_forward": Launch(lambda a: (a["y"].size,), (128,)),
    "logsumexp_backward": per_element("n"),
}
kernels = Family("softmax", LAUNCHES)


def _rows(x: Array, axis: Axis) -> Rows:
    return Rows(x.shape, () if axis is None else (axis,))


def _forward(name: str, x: Array, axis: Axis) -> tuple[Array, Any]:
    rows = _rows(x, axis)
    y = empty(x, (rows.rows, rows.columns))
    kernels(name, x=rows.matrix(x), y=y, columns=rows.columns)
    return rows.back(y), (y, axis, x.shape)


def _backward(name: str, dy: Array, cache: Any) -> Array:
    y, axis, shape = cache
    rows = Rows(shape, () if axis is None else (axis,))
    dx = empty(y)
    kernels(name, dy=rows.matrix(dy), y=y, dx=dx, columns=rows.columns)
    return rows.back(dx)


def softmax_forward(x: Array, axis: Axis) -> tuple[Array, Any]:
    return _forward("softmax_forward", x, axis)


def softmax_backward(dy: Array, cache: Any) -> Array:
    return _backward("softmax_backward", dy, cache)


def log_softmax_forward(x: Array, axis: Axis) -> tuple[Array, Any]:
    return _forward("log_softmax_forward", x, axis)


def log_softmax_backward(dy: Array, cache: Any) -> Array:
    return _backward("log_softmax_backward", dy, cache)


def logsumexp_forward(x: Array, axes: tuple[int, ...], keepdim: bool) -> tuple[Array, Any]:
    rows = Rows(x.shape, axes)
    matrix, y = rows.matrix(x), empty(x, (rows.rows,))
    kernels("logsumexp_forward", x=matrix, y=y, columns=rows.columns)
    return rows.reduced(y, keepdim), (matrix, y, x.shape, axes)


def logsumexp_backward(dy: Array, cache: Any) -> Array:
    matrix, y, shape, axes = cache
    dx = empty(matrix)
    kernels(
        "logsumexp_backward", dy=contiguous(dy), x=matrix, y=y, dx=dx, columns=matrix.shape[1], n=dx.size
    )  # fmt: skip
    return Rows(shape, axes).back(dx)
