"""What the machine can do: multiply-adds per second of the tile of `cpu/microkernel.py`, out of the first cache."""

from __future__ import annotations

import time

import numpy as np

REPEATS = 40


def multiply_adds_per_second(threads: int) -> float:
    """Return the highest rate of several runs, of all threads together, in float32.

    The BLAS inside another library may reach less on the same machine; this is what a tile of ours reaches when its
    numbers lie in the first cache and nothing is packed or copied.
    """
    from ..cpu import settings
    from ..cpu.microkernel import TILE_ROWS, rows_tiles, tile
    from ..cpu.threads import kernel
    from ..cpu.vectors import lanes_of

    vectors, depth, count = 2, 64, 8
    rows = TILE_ROWS[vectors - 1]
    width = vectors * lanes_of(np.float32)

    @kernel
    def tiles(first, end, address, repeats, a, table, segments, b, c, c_table):  # type: ignore[no-untyped-def]  # a body
        for share in range(first, end):
            for _ in range(repeats):
                rows_tiles(address, a, 0, table, 0, count, segments, 0, 1, depth, b, 0, c,
                           share * count * rows * width, c_table, 0, width, b, 0, 0)  # fmt: skip

    shares = min(threads, settings.threads())
    a, b = np.ones(count * rows * depth, np.float32), np.ones(depth * width, np.float32)
    c = np.empty(shares * count * rows * width, np.float32)
    table, c_table = np.arange(count * rows) * depth, np.arange(count * rows) * width
    work = float(shares * count * rows * width * depth)
    repeats, best = 200, 0.0
    for _ in range(REPEATS):
        begin = time.perf_counter()
        tiles(shares, tile("rows", vectors, np.float32), repeats, a, table, np.zeros(1, np.int64), b, c, c_table)
        took = time.perf_counter() - begin
        best = max(best, work * repeats / took)
    return best
