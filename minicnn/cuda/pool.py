"""Pooling on CUDA: launches of `kernels/pool.cu` on images in channels-last memory.

The winners of max pooling are kept as their places h·W + w, four bytes each, where the definition keeps their taps.
"""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..layout import from_nhwc, nhwc
from .arrays import empty
from .launch import BLOCK, Family, Launch, ceil_div

Array = Any
Pair = tuple[int, int]

OUT = Launch(lambda a: (a["y"].shape[0], a["OH"], ceil_div(a["OW"] * a["C"], BLOCK)))
IN = Launch(lambda a: (a["dx"].shape[0], a["H"], ceil_div(a["W"] * a["C"], BLOCK)))
LAUNCHES = {
    "max_pool2d_forward": OUT,
    "max_pool2d_backward": IN,
    "avg_pool2d_forward": OUT,
    "avg_pool2d_backward": IN,
    "adaptive_avg_pool2d_forward": Launch(
        lambda a: (a["y"].shape[0] * a["OH"] * a["OW"], ceil_div(a["C"], 32)), (32, 8)
    ),
    "adaptive_avg_pool2d_backward": IN,
    "adaptive_max_pool2d_forward": OUT,
    "adaptive_max_pool2d_backward": IN,
}
kernels = Family("pool", LAUNCHES)


def _pairs(**pairs: Pair) -> dict[str, int]:
    """Return K=(3, 2) as KH=3, KW=2."""
    return {name + axis: size for name, pair in pairs.items() for axis, size in zip("HW", pair)}


def max_pool2d_forward(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    if h * w >= 1 << 31:
        raise ShapeError(f"max_pool2d: planes of {h} × {w} pixels, CUDA takes at most 2^31 - 1 pixels")
    y, place = empty(x, (n, *output, c)), empty(x, (n, *output, c), "int32")
    kernels(
        "max_pool2d_forward", x=nhwc(x), y=y, place=place, H=h, W=w, C=c, OH=output[0], OW=output[1],
        **_pairs(K=kernel, S=stride, P=padding, D=dilation),
    )  # fmt: skip
    return from_nhwc(y), (place, (h, w), kernel, stride, padding, dilation)


def max_pool2d_backward(dy: Array, cache: Any) -> Array:
    place, (h, w), kernel, stride, padding, dilation = cache
    n, oh, ow, c = place.shape
    dx = empty(dy, (n, h, w, c))
    span = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    kernels(
        "max_pool2d_backward", dy=nhwc(dy), place=place, dx=dx, H=h, W=w, C=c, OH=oh, OW=ow,
        **_pairs(span=span, S=stride, P=padding),
    )  # fmt: skip
    return from_nhwc(dx)


def max_pool2d_indices(cache: Any) -> Array:
    return from_nhwc(cache[0].astype("int64"))


def avg_pool2d_forward(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    output: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    y = empty(x, (n, *output, c))
    numbers = {
        "H": h, "W": w, "C": c, "OH": output[0], "OW": output[1], **_pairs(K=kernel, S=stride, P=padding),
        "padded": int(count_include_pad), "divisor": divisor_override or 0,
    }  # fmt: skip
    kernels("avg_pool2d_forward", x=nhwc(x), y=y, **numbers)
    return from_nhwc(y), (n, numbers)


def avg_pool2d_backward(dy: Array, cache: Any) -> Array:
    n, numbers = cache
    dx = empty(dy, (n, numbers["H"], numbers["W"], numbers["C"]))
    kernels("avg_pool2d_backward", dy=nhwc(dy), dx=dx, **numbers)
    return from_nhwc(dx)


def adaptive_avg_pool2d_forward(x: Array, output: Pair) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    y = empty(x, (n, *output, c))
    kernels("adaptive_avg_pool2d_forward", x=nhwc(x), y=y, H=h, W=w, C=c, OH=output[0], OW=output[1])
    return from_nhwc(y), (n, c, h, w)


def adaptive_avg_pool2d_backward(dy: Array, cache: Any) -> Array:
    n, c, h, w = cache
    dx = empty(dy, (n, h, w, c))
    kernels("adaptive_avg_pool2d_backward", dy=nhwc(dy), dx=dx, H=h, W=w, C=c, OH=dy.shape[2], OW=dy.shape[3])
    return from_nhwc(dx)


def adaptive_max_pool2d_forward(x: Array, output: Pair) -> tuple[Array, Any]:
    n, c, h, w = x.shape
    y, place = empty(x, (n, *output, c)), empty(x, (n, *output, c), "int64")
    kernels("adaptive_max_pool2d_forward", x=nhwc(x), y=y, place=place, H=h, W=w, C=c, OH=output[0], OW=output[1])
    return from_nhwc(y), (place, (h, w))


def adaptive_max_pool2d_backward(dy: Array, cache: Any) -> Array:
    place, (h, w) = cache
    n, oh, ow, c = place.shape
    dx = empty(dy, (n, h, w, c))
    kernels("adaptive_max_pool2d_backward", dy=nhwc(dy), place=place, dx=dx, H=h, W=w, C=c, OH=oh, OW=ow)
    return from_nhwc(dx)
