"""Matrix products on CUDA: launches of `kernels/matmul.cu`. Whole numbers are bookkeeping and stay NumPy's (CuPy's)."""

from __future__ import annotations

import math
from typing import Any

from .._device import array_module
from ..layout import from_nhwc, nhwc
from ..ops import matmul as definition
from ..ops.matmul import Needs
from .arrays import contiguous, empty
from .implicit import Window, convolved, filter_gradient, packed_filters
from .launch import Arguments, Family, Launch, ceil_div
from .reduce import sum_columns, sum_to

Array = Any

TILE = 32


def _tiles(a: Arguments) -> tuple[int]:
    return (ceil_div(a["N"], TILE) * ceil_div(a["M"], TILE) * a["z"].shape[0],)


LAUNCHES = {"matmul_tiled": Launch(_tiles, (TILE, 8))}
kernels = Family("matmul", LAUNCHES)


def product(x: Array, y: Array, b: Array | None = None, *, xt: bool = False, yt: bool = False) -> Array:
    """Return z[i] = x[i] y[i] (+ b[i], a row for each y), (N, K), (K, M) → (N, M), for stacks of matrices.

    A stack that is shorter starts again. With `xt` and `yt` the matrices of a stack lie in memory transposed.
    """
    (n, k), m = x.shape[:0:-1] if xt else x.shape[1:], y.shape[1 if yt else 2]
    x = contiguous(x)
    z = empty(x, (max(len(x), len(y)) if len(x) and len(y) else 0, n, m))
    kernels(
        "matmul_tiled", x=x, y=contiguous(y), b=x if b is None else contiguous(b), z=z,
        has_b=int(b is not None), x_count=len(x), y_count=len(y), N=n, K=k, M=m, x_transposed=int(xt),
        y_transposed=int(yt),
    )  # fmt: skip
    return z


def _stack(x: Array, batch: tuple[int, ...]) -> Array:
    """Return (…, N, K) as a stack of matrices that repeats along `batch`; copies where it does not start again."""
    own = x.shape[:-2]
    while own and own[0] == 1:
        own = own[1:]
    if own != batch[len(batch) - len(own) :]:
        own = batch
        x = array_module(x).broadcast_to(x, (*batch, *x.shape[-2:])).copy()
    return x.reshape(math.prod(own), *x.shape[-2:])


def _rows_and_columns(x: Array, y: Array) -> tuple[Array, Array, tuple[int, ...]]:
    """Return both as (…, N, K) and (…, K, M), and the axes before these of the product."""
    rows, columns = x[None, :] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y
    return rows, columns, tuple(_broadcast(rows.shape[:-2], columns.shape[:-2]))


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> list[int]:
    longest = max(len(a), len(b))
    a, b = (1,) * (longest - len(a)) + a, (1,) * (longest - len(b)) + b
    return [j if i == 1 else i for i, j in zip(a, b)]


def matmul_forward(x: Array, y: Array) -> tuple[Array, Any]:  # (…, N, K), (…, K, M) → (…, N, M)
    if x.dtype.kind != "f":
        return definition.matmul_forward(x, y)
    rows, columns, batch = _rows_and_columns(x, y)
    z = product(_stack(rows, batch), _stack(columns, batch))
    inner = (() if x.ndim == 1 else z.shape[1:2]) + (() if y.ndim == 1 else z.shape[2:])
    return z.reshape((*batch, *inner)), (x, y)


def matmul_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    rows, columns, batch = _rows_and_columns(x, y)
    dz = contiguous(dz).reshape(math.prod(batch), rows.shape[-2], columns.shape[-1])
    dx = dy = None
    if needs[0]:
        dx = product(dz, _stack(columns, batch), yt=True).reshape((*batch, *rows.shape[-2:]))
        dx = sum_to(dx, rows.shape).reshape(x.shape)
    if needs[1]:
        dy = product(_stack(rows, batch), dz, xt=True).reshape(*batch, *columns.shape[-2:])
        dy = sum_to(dy, columns.shape).reshape(y.shape)
    return dx, dy


def linear_forward(x: Array, w: Array, b: Array | None) -> tuple[Array, Any]:  # (…, K), (O, K), (O,) → (…, O)
    rows = contiguous(x).reshape(1, math.prod(x.shape[:-1]), w.shape[1])
    if _in_tiles(rows):
        y = convolved(
            _image(rows), packed_filters(_filters(w), 1, turned=False), b, (1, rows.shape[1]), POINT, transposed=False
        )
    else:
        y = product(rows, w[None], b, yt=True)
    return _rows(y, x.shape[:-1]), (rows, w, x.shape, b is not None)


def linear_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    rows, w, shape, has_bias = cache
    dy = contiguous(dy).reshape(1, rows.shape[1], len(w))
    dx = dw = None
    if _in_tiles(rows):
        if needs[0]:
            dx = convolved(
                _image(dy),
                packed_filters(_filters(w), 1, turned=True),
                None,
                (1, rows.shape[1]),
                POINT,
                transposed=True,
            )
        if needs[1]:
            dw = filter_gradient(_image(rows), _image(dy), (*w.shape, 1, 1), POINT).reshape(w.shape)
    else:
        dx = product(dy, w[None]) if needs[0] else None
        dw = product(dy, rows, xt=True)[0] if needs[1] else None
    return None if dx is None else _rows(dx, shape[:-1]), dw, sum_columns(dy[0]) if has_bias and needs[2] else None


# A linear layer is a convolution of 1 × 1 pixels: each row is a pixel.

POINT = Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)


def _in_tiles(rows: Array) -> bool:
    """Say whether register tiles are worth the copy of the weights that they need: a function of the shape."""
    return bool(rows.shape[1] >= 64 and rows.shape[2] % 8 == 0)


def _image(rows: Array) -> Array:  # (1, N, K) → (1, K, 1, N), channels last
    return from_nhwc(rows[None])


def _filters(w: Array) -> Array:  # (O, K) → (O, K, 1, 1)
    return contiguous(w)[:, :, None, None]


def _rows(result: Array, shape: tuple[int, ...]) -> Array:
    """Return an image of rows, or a stack of one matrix, as (*shape, columns)."""
    rows = nhwc(result) if result.ndim == 4 else result
    return rows.reshape(*shape, rows.shape[-1])
