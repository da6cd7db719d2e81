"""Memory layout: tensors are logically (N, C, H, W); images lie in memory as (N, H, W, C).

Convolution, pooling and normalisation return channels-last memory and want it. The layout is kept
in the strides alone, so every other operation sees an ordinary NCHW array.
"""

from __future__ import annotations

from typing import Any

Array = Any  # a NumPy or CuPy array

copies = 0
"""How many times `channels_last` had to copy; the tests hold a training step to one or two."""


def channels_last(x: Array) -> Array:
    """Return an (N, C, H, W) array whose memory is (N, H, W, C), copying only if it must.

    An array with one channel or one pixel is both at once and is returned as it is.
    """
    global copies
    if x.transpose(0, 2, 3, 1).flags.c_contiguous:
        return x
    copies += 1
    return from_nhwc(x.transpose(0, 2, 3, 1).copy())


def nhwc(x: Array) -> Array:
    """Return the C-contiguous (N, H, W, C) view of an (N, C, H, W) array, copying only if it must."""
    return channels_last(x).transpose(0, 2, 3, 1)


def from_nhwc(x: Array) -> Array:
    """Return the (N, C, H, W) view of an (N, H, W, C) array."""
    return x.transpose(0, 3, 1, 2)
