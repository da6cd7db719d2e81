"""Normalisation on CUDA: launches of `kernels/norm.cu`. Means and deviations stay on the device, in float64."""

from __future__ import annotations

import math
from typing import Any

from ..layout import channels_last
from ..ops.norm import Needs, channels_back
from .arrays import contiguous, empty
from .launch import BLOCK, Arguments, Family, Launch, ceil_div, per_element
from .reduce import Rows

Array = Any

SUM_ROWS, MOST_PIECES = 128, 256  # rows of a piece whose sums are kept, unless there are too many pieces
STEP_ROWS = 64  # rows of a block that makes one number for each


def sum_pieces(rows: int) -> int:
    """Return into how many pieces a sum over rows is split: a function of the shape alone, so each run is the same."""
    return max(1, min(MOST_PIECES, ceil_div(rows, SUM_ROWS)))


def _by_columns(pieces: Any) -> Launch:
    return Launch(lambda a: (ceil_div(a["C"], 32), pieces(a)), (32, 8))


def _step_pieces(a: Arguments) -> int:
    return max(1, min(65535, ceil_div(a["rows"], STEP_ROWS)))


SUMS, STEPS = _by_columns(lambda a: sum_pieces(a["rows"])), _by_columns(_step_pieces)
CHANNELS = Launch(lambda a: (ceil_div(a["C"], BLOCK),))
GROUPS = Launch(lambda a: (a["mean"].size,), (128,))
ROWS = Launch(lambda a: (a["norm"].size,), (128,))
LAUNCHES = {
    "batch_norm_sums": SUMS,
    "batch_norm_statistics": CHANNELS,
    "move_statistic": Launch(lambda a: (ceil_div(a["C"], BLOCK),), updates=("running",)),
    "batch_norm_constants": CHANNELS,
    "batch_norm_forward": STEPS,
    "gradient_sums": SUMS,
    "gradient_totals": CHANNELS,
    "batch_norm_backward": STEPS,
    "group_norm_forward": GROUPS,
    "group_norm_backward": GROUPS,
    "local_response_norm_forward": per_element("n"),
    "local_response_norm_backward": per_element("n"),
    "normalize_forward": ROWS,
    "normalize_backward": ROWS,
}
kernels = Family("norm", LAUNCHES)


def _to_the_end(x: Array) -> Array:
    """Return (N, C, …) as a contiguous (N, …, C), copying only if it must."""
    return contiguous(x.transpose(0, *range(2, x.ndim), 1))


def _vectors(like: Array, w: Array | None, b: Array | None) -> dict[str, Any]:
    """Return weights and biases as arguments of a kernel, which reads them only where they are."""
    given = {"w": w, "b": b}
    arrays = {name: like if v is None else contiguous(v.reshape(-1)) for name, v in given.items()}
    return {**arrays, **{f"has_{name}": int(v is not None) for name, v in given.items()}}


def _scale(like: Array, w: Array | None) -> dict[str, Any]:
    return {"w": like if w is None else contiguous(w.reshape(-1)), "has_w": int(w is not None)}


# batch_norm


def batch_norm_forward(
    x: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[tuple[Array, Array, Array], Any]:
    x = _to_the_end(x)
    rows, channels = math.prod(x.shape[:-1]), x.shape[-1]
    mean, variance, inverse = (empty(x, (channels,), "float64") for _ in range(3))
    if rows:
        pieces = sum_pieces(rows)
        partial = empty(x, (pieces, 2, channels), "float64")
        kernels("batch_norm_sums", x=x, partial=partial, rows=rows, C=channels)
        kernels(
            "batch_norm_statistics", x=x, partial=partial, mean=mean, variance=variance, inverse=inverse, eps=eps,
            pieces=pieces, rows=rows, C=channels,
        )  # fmt: skip
    y = _batch_norm(x, mean, inverse, w, b)
    return (channels_back(y), mean, variance), (x, mean, inverse, w, b is not None)


def _batch_norm(x: Array, mean: Array, inverse: Array, w: Array | None, b: Array | None) -> Array:
    y = empty(x)
    rows, channels = math.prod(x.shape[:-1]), x.shape[-1]
    kernels("batch_norm_forward", x=x, mean=mean, inverse=inverse, y=y, rows=rows, C=channels, **_vectors(x, w, b))
    return y


def batch_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    return _batch_norm_backward(dy, cache, needs, 0)


def batch_norm_eval_forward(
    x: Array, mean: Array, variance: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Any]:
    x = _to_the_end(x)
    channels = x.shape[-1]
    wide_mean, inverse = empty(x, (channels,), "float64"), empty(x, (channels,), "float64")
    kernels(
        "batch_norm_constants", running_mean=contiguous(mean), running_var=contiguous(variance), mean=wide_mean,
        inverse=inverse, eps=eps, C=channels,
    )  # fmt: skip
    y = _batch_norm(x, wide_mean, inverse, w, b)
    return channels_back(y), (x, wide_mean, inverse, w, b is not None)


def batch_norm_eval_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    return _batch_norm_backward(dy, cache, needs, 1)


def _batch_norm_backward(dy: Array, cache: Any, needs: Needs, constant: int) -> Any:
    x, mean, inverse, w, has_bias = cache
    dy = _to_the_end(dy)
    rows, channels = math.prod(x.shape[:-1]), x.shape[-1]
    dx, dw, db, total = None, None, None, mean
    if not constant or needs[1] or needs[2]:
        total, dw, db = _vector_gradients(dy, x, mean, inverse, 1, 1, 1)
    if needs[0]:
        dx = empty(x)
        kernels(
            "batch_norm_backward", dy=dy, x=x, mean=mean, inverse=inverse, total=total, dx=dx, constant=constant,
            rows=rows, C=channels, **_scale(x, w),
        )  # fmt: skip
        dx = channels_back(dx)
    return dx, dw if w is not None and needs[1] else None, db if has_bias and needs[2] else None


def _vector_gradients(
    dy: Array, x: Array, mean: Array, inverse: Array, per_channel: int, pixels: int, size: int
) -> tuple[Array, Array, Array]:
    """Return Σ dy and Σ dy · x̂ in float64, and as dw and db, over the rows of (…, C)."""
    rows, channels = math.prod(x.shape[:-1]), x.shape[-1]
    pieces = sum_pieces(rows)
    partial, total = empty(x, (pieces, 2, channels), "float64"), empty(x, (2, channels), "float64")
    dw, db = empty(x, (channels,)), empty(x, (channels,))
    kernels(
        "gradient_sums", dy=dy, x=x, mean=mean, inverse=inverse, partial=partial, per_channel=per_channel,
        pixels=pixels, size=size, rows=rows, C=channels,
    )  # fmt: skip
    kernels("gradient_totals", partial=partial, total=total, dw=dw, db=db, pieces=pieces, C=channels)
    return total, dw, db


def move_statistic(running: Array, value: Array, momentum: float, factor: float) -> None:
    dense = contiguous(running)
    kernels("move_statistic", running=dense, value=value, momentum=momentum, factor=factor, C=running.size)
    if dense is not running:
        running[...] = dense


# group_norm, and layer_norm as group_norm of one pixel and one group


def group_norm_forward(x: Array, groups: int, w: Array | None, b: Array | None, eps: float) -> tuple[Array, Any]:
    y, cache = _group_norm(_to_the_end(x), math.prod(x.shape[2:]), groups, w, b, eps)
    return channels_back(y), cache


def group_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    dx, dw, db = _group_norm_backward(_to_the_end(dy), cache, needs)
    return None if dx is None else channels_back(dx), dw, db


def _group_norm(
    x: Array, pixels: int, groups: int, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, tuple[Any, ...]]:
    """Normalise images (…, C) of so many pixels."""
    channels = x.shape[-1]
    images = math.prod(x.shape[:-1]) // pixels if pixels else 0
    size = channels // groups
    mean, inverse = empty(x, (images * groups,), "float64"), empty(x, (images * groups,), "float64")
    y = empty(x)
    if x.size:
        kernels(
            "group_norm_forward", x=x, y=y, mean=mean, inverse=inverse, eps=eps, pixels=pixels, size=size, C=channels,
            **_vectors(x, w, b),
        )  # fmt: skip
    return y, (x, mean, inverse, w, b is not None, pixels, size)


def _group_norm_backward(dy: Array, cache: Any, needs: Needs) -> tuple[Array | None, Array | None, Array | None]:
    x, mean, inverse, w, has_bias, pixels, size = cache
    dx = dw = db = None
    if needs[0]:
        dx = empty(x)
        if x.size:
            kernels(
                "group_norm_backward", dy=dy, x=x, mean=mean, inverse=inverse, dx=dx, pixels=pixels, size=size,
                C=x.shape[-1], **_scale(x, w),
            )  # fmt: skip
    if (w is not None and needs[1]) or (has_bias and needs[2]):
        _, dw, db = _vector_gradients(dy, x, mean, inverse, 0, max(1, pixels), max(1, size))
    return dx, dw if w is not None and needs[1] else None, db if has_bias and needs[2] else None


def layer_norm_forward(
    x: Array, normalized: tuple[int, ...], w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Any]:
    rows = contiguous(x).reshape(-1 if x.size else math.prod(x.shape[: -len(normalized)]), math.prod(normalized))
    y, cache = _group_norm(rows, 1, 1, w, b, eps)
    return _images_channels_last(y.reshape(x.shape)), (x.shape, normalized, *cache)


def layer_norm_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    shape, normalized, *rest = cache
    dx, dw, db = _group_norm_backward(contiguous(dy).reshape(rest[0].shape), rest, needs)
    return (
        None if dx is None else _images_channels_last(dx.reshape(shape)),
        *(None if g is None else g.reshape(normalized) for g in (dw, db)),
    )


def _images_channels_last(x: Array) -> Array:
    return channels_last(x) if x.ndim == 4 else x


# local_response_norm


def local_response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> tuple[Array, Any]:
    x = _to_the_end(x)
    s, y = empty(x), empty(x)
    kernels(
        "local_response_norm_forward", x=x, s=s, y=y, size=size, share=alpha / size, beta=beta, k=k, C=x.shape[-1],
        n=x.size,
    )  # fmt: skip
    return channels_back(y), (x, s, y, size, alpha, beta)


def local_response_norm_backward(dy: Array, cache: Any) -> Array:
    x, s, y, size, alpha, beta = cache
    dx = empty(x)
    kernels(
        "local_response_norm_backward", dy=_to_the_end(dy), x=x, s=s, y=y, dx=dx, size=size, share=alpha / size,
        beta=beta, C=x.shape[-1], n=x.size,
    )  # fmt: skip
    return channels_back(dx)


# normalize


def normalize_forward(x: Array, p: float, axes: tuple[int, ...], eps: float) -> tuple[Array, Any]:
    rows = Rows(x.shape, axes)
    matrix, norm = rows.matrix(x), empty(x, (rows.rows,))
    y = empty(matrix)
    kernels("normalize_forward", x=matrix, norm=norm, y=y, **_power(p), eps=eps, columns=rows.columns)
    return _images_channels_last(rows.back(y)), (matrix, norm, x.shape, p, axes, eps)


def normalize_backward(dy: Array, cache: Any) -> Array:
    matrix, norm, shape, p, axes, eps = cache
    rows = Rows(shape, axes)
    dx = empty(matrix)
    kernels(
        "normalize_backward", dy=rows.matrix(dy), x=matrix, norm=norm, dx=dx, **_power(p), eps=eps, columns=rows.columns
    )
    return _images_channels_last(rows.back(dx))


def _power(p: float) -> dict[str, Any]:
    """Return which kind of norm it is (`enum Norm`), and its power."""
    kind = (1 if p > 0 else 2) if math.isinf(p) else 3 if p == 0 else 0
    return {"kind": kind, "p": p if kind == 0 else 1.0}
