"""Dropout on CUDA: launches of `kernels/dropout.cu`. No mask is kept: the gradient makes the same one again.

Places are counted in logical order, so images in channels-last memory are copied to that order and back for dropout
of single elements, and need no copy for dropout of channels.
"""

from __future__ import annotations

import math
from typing import Any

from ..layout import channels_last, from_nhwc, nhwc
from ..ops.dropout import Address
from .arrays import contiguous, empty
from .launch import BLOCK, Family, Launch, ceil_div, per_element

Array = Any

LAUNCHES = {
    "dropout_forward": Launch(lambda a: (ceil_div(ceil_div(a["start"] % 4 + a["n"], 4), BLOCK),)),
    "dropout2d_mask": per_element("n"),
    "dropout2d_forward": Launch(lambda a: (a["x"].shape[0] * a["H"], ceil_div(a["W"] * a["C"], BLOCK))),
}
kernels = Family("dropout", LAUNCHES)


def dropout_forward(x: Array, p: float, address: Address) -> tuple[Array, Any]:
    return _dropout(x, p, address), (p, address)


def dropout_backward(dy: Array, cache: Any) -> Array:
    return _dropout(dy, *cache)


def dropout2d_forward(x: Array, p: float, address: Address) -> tuple[Array, Any]:
    return _dropout2d(x, p, address), (p, address)


def dropout2d_backward(dy: Array, cache: Any) -> Array:
    return _dropout2d(dy, *cache)


def _dropout(x: Array, p: float, address: Address) -> Array:
    in_order = contiguous(x)
    y = empty(in_order)
    kernels("dropout_forward", x=in_order, y=y, scale=_scale(p), **_words(p, address), n=x.size)
    return y if in_order is x or x.ndim != 4 else channels_last(y)


def _dropout2d(x: Array, p: float, address: Address) -> Array:
    n, c, h, w = x.shape
    keep = empty(x, (n, c), "bool")
    kernels("dropout2d_mask", keep=keep, **_words(p, address), n=keep.size)
    images = nhwc(x)
    y = empty(images)
    if math.prod(x.shape):
        kernels("dropout2d_forward", x=images, keep=keep, y=y, scale=_scale(p), H=h, W=w, C=c)
    return from_nhwc(y)


def _scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0.0


def _words(p: float, address: Address) -> dict[str, int]:
    """Return where the random words are, and from which on a number is kept; see `minicnn.random.dropout_keep`."""
    seed, call, start = address
    return {
        "threshold": round(p * 2**32), "key0": seed & 0xFFFFFFFF, "key1": seed >> 32, "call": call, "start": start,
    }  # fmt: skip
