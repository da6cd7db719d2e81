"""Dropout on the CPU: the twins of `minicnn/ops/dropout.py`, with the random numbers made where they are used.

No mask exists in memory: 1024 random words are made at a time, of which only the comparisons with the threshold
stay, in the cache, and the gradient makes the same ones again. dropout2d, which needs one number per channel,
stays NumPy's.

What limits it: Philox in vector registers; 0.6 ns per float32 number and thread, where word by word it takes 8.
Words are numbered in logical order, so channels-last images are copied to that order and back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout import channels_last
from ..ops.dropout import Address
from ..random import DROPOUT, KEY_STEPS, MULTIPLIERS, ROUNDS
from .settings import threads
from .threads import flat, kernel, part, scratch
from .vectors import lanes, vgate, vload, vload_part, vstore, vstore_part

Array = Any

M0, M1 = (np.uint64(m) for m in MULTIPLIERS)
W0, W1 = (np.uint64(w) for w in KEY_STEPS)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
STREAM = np.uint64(DROPOUT)
ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)
BATCH = 256  # Philox blocks of four words


@part
def make_gates(gates, at, block, key0, key1, call, threshold):  # type: ignore[no-untyped-def]  # a body
    """gates[at : at + 4·BATCH] = 1 where the word is at least the threshold, else 0; see `random.philox_4x32`."""
    limit = np.uint64(threshold)
    for j in range(BATCH):
        b = np.uint64(block + j)
        c0, c1, c2, c3 = b & LOW, b >> HALF, np.uint64(call), STREAM
        k0, k1 = np.uint64(key0), np.uint64(key1)
        for _ in range(ROUNDS):
            p0, p1 = M0 * c0, M1 * c2
            c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
            k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
        i = np.uint64(at) + np.uint64(4 * j)  # unsigned: LLVM makes no vectors of an index that may be negative
        gates[i], gates[i + ONE], gates[i + TWO], gates[i + THREE] = c0 >= limit, c1 >= limit, c2 >= limit, c3 >= limit


@kernel
def dropout_kernel(first, end, shares, x, y, scale, gates, key0, key1, call, start, threshold):  # type: ignore[no-untyped-def]  # a body
    """y[i] = scale · x[i] where word start + i is at least the threshold, else 0; pieces are shares of the blocks."""
    step, skipped = lanes(x), start // 4
    blocks = (start + len(x) + 3) // 4 - skipped
    for share in range(first, end):
        at = share * 4 * BATCH
        last = (share + 1) * blocks // shares
        for block in range(share * blocks // shares, last, BATCH):
            make_gates(gates, at, skipped + block, key0, key1, call, threshold)
            i0 = 4 * (skipped + block) - start  # below 0 where an earlier part of the batch has the first words
            low, high = max(i0, 0), min(i0 + 4 * min(BATCH, last - block), len(x))
            whole = high - (high - low) % step
            for i in range(low, whole, step):
                vstore(y, i, vgate(vload(x, i) * scale, vload(gates, at + i - i0)))
            if whole < high:
                m = high - whole
                kept = vgate(vload_part(x, whole, m) * scale, vload_part(gates, at + whole - i0, m))
                vstore_part(y, whole, kept, m)


def dropout_forward(x: Array, p: float, address: Address) -> tuple[Array, Any]:
    return _kept(x, p, address), (p, address)


def dropout_backward(dy: Array, cache: Any) -> Array:
    return _kept(dy, *cache)


def _kept(x: Array, p: float, address: Address) -> Array:
    seed, call, start = address
    in_order = np.asarray(x, order="C")
    y = np.empty_like(in_order)
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0)
    threshold = round(p * 2**32)  # as in `minicnn.random.dropout_keep`
    shares = min(threads(), x.size)
    with scratch(4 * BATCH * shares, x.dtype) as gates:
        dropout_kernel(
            shares, shares, flat(in_order), flat(y), scale, gates, seed & 0xFFFFFFFF, seed >> 32, call, start, threshold
        )
    return y if in_order is x or x.ndim != 4 else channels_last(y)
