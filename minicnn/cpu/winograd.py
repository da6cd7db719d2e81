"""Winograd convolution F(4×4, 3×3) and F(2×2, 5×5): stride-1 layers with a quarter or a third of the multiplications.

`winograd_transforms.py` has the formulas. What remains are 36 matrix products (tiles × C) · (C × O), one for each
position of a transformed patch, and two orders to do them in:
`winograd_chunks.py`   many tiles: one chunk of tiles after the other meets all filters;
`winograd_panels.py`   few tiles: one panel of filters after the other meets all tiles.
The input gradient is the same with the filter turned round and C and O exchanged.

Rounding: what the products lose counts 2 to 3 times in the result. Three things keep a network in train mode, which
magnifies it, within three times of PyTorch's distance from float64 (with none of them: seven times): the points of
the polynomials, sums over `REDUCTION` channels at a time in the forward pass (a tenth of its time), and no forward
pass with fewer than 32 channels, where `direct.py` is little slower and its sums are short.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import settings, winograd_chunks, winograd_panels
from .direct import Shape
from .vectors import lanes_of
from .winograd_transforms import tiles_of

Array = Any

REDUCTION = 16  # channels of the products that a forward pass sums at a time
SMALL = 128 * 128  # filters × channels: of one image, transformed ones are kept from pass to pass (`kept_weights.py`)


def wins(s: Shape, gradient: bool = True) -> bool:
    """Return whether Winograd is the faster way (measured), where it is possible and, forward, not too coarse."""
    if s.kernel not in ((3, 3), (5, 5)) or s.groups > 1 or s.dtype != np.float32:
        return False
    if s.stride != (1, 1) or s.dilation != (1, 1) or min(s.C, s.O) < (16 if gradient else 32):
        return False
    tiles = tiles_of(s)
    if tiles >= max(s.C, s.O) // 2:
        return True
    if s.N * s.out[0] * s.out[1] * s.kernel[0] ** 2 < 2 * 36 * tiles:
        return False  # 5 × 5 pixels, say, leave so much of their four tiles unused that not half is saved
    if gradient:
        return tiles >= 8 and in_panels(s, tiles)
    if s.N == 1:
        return tiles >= 12 and (in_panels(s, tiles) or s.C * s.O <= SMALL)
    # Networks of a few small images are those that magnify rounding most.
    return tiles >= 32 and in_panels(s, tiles) and s.C * s.O > SMALL


def in_panels(s: Shape, most: int) -> bool:
    """Return whether panels are the better order (measured): at most so many tiles, and panels for all threads."""
    enough = min(s.C, s.O) >= max(64, 2 * lanes_of(s.dtype) * settings.threads())
    return enough and tiles_of(s) <= most


def forward(x: Array, w: Array, b: Array | None, s: Shape) -> Array:
    """(N, H, W, C) → (N, OH, OW, O)"""
    order = winograd_panels if in_panels(s, 128) and s.C * s.O > SMALL else winograd_chunks
    return order.convolve(x, w, b, s, False, REDUCTION)


def input_gradient(dy: Array, w: Array, s: Shape, b: Array | None = None) -> Array:
    """(N, OH, OW, O) → (N, H, W, C)"""
    order = winograd_panels if in_panels(s, 128) else winograd_chunks
    return order.convolve(dy, w, b, s, True, s.O)


def weight_gradient(x: Array, dy: Array, s: Shape) -> tuple[Array, Array]:
    """Return dw (O, C, K, K) and db (O,) from (N, H, W, C) and (N, OH, OW, O)."""
    order = winograd_panels if in_panels(s, 256) else winograd_chunks
    return order.weight_gradient(x, dy, s)
