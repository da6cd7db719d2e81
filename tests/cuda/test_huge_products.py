"""Products and convolutions whose arrays have more than 2^31 elements: the last block, checked, on sparse arrays."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn.cuda import emulation, im2col, implicit, matmul
from minicnn.cuda.emulation import Sparse

N, H, W, C = 2300, 31, 31, 1024  # 2 263 347 200 elements
PIXELS = N * H * W
ONE = {name + axis: 1 for name in "KSD" for axis in "HW"} | {"PH": 0, "PW": 0, "G": 1}
SIZES = {"N": N, "H": H, "W": W, "OH": H, "OW": W}


@pytest.fixture(autouse=True)
def _last_block() -> Iterator[None]:
    with emulation.checking(), emulation.only_blocks(emulation.last_block):
        yield


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("tile", implicit.TILES, ids=str)
def test_convolution(tile: implicit.Tile) -> None:
    rows, o = PIXELS % tile.rows or tile.rows, tile.columns  # what the last block makes
    first = PIXELS - rows
    x, w = numbers(rows, C), numbers(C, o)
    image = Sparse((N, H, W, C), np.float32).set(first * C, x)
    y = Sparse((N, H, W, o), np.float32).set(first * o, np.zeros((rows, o)))
    implicit.kernels(
        f"conv_{tile}", x=image, w=w[None, None, None], b=w, y=y, has_b=0, transposed=0, C=C, O=o, **SIZES, **ONE
    )
    np.testing.assert_allclose(y.windows[first * o].reshape(rows, o), x @ w, atol=1e-3)


@pytest.mark.parametrize("tile", implicit.TILES, ids=str)
def test_gradient_of_filters(tile: implicit.Tile) -> None:
    pieces = PIXELS // 100
    rows = PIXELS - PIXELS * (pieces - 1) // pieces
    first, o = PIXELS - rows, tile.columns
    x, dy = numbers(rows, C), numbers(rows, o)
    partial = Sparse((pieces, 1, C, o), np.float32).set((pieces * C - tile.rows) * o, np.zeros((tile.rows, o)))
    implicit.kernels(
        f"conv_weight_{tile}", x=Sparse((N, H, W, C), np.float32).set(first * C, x),
        dy=Sparse((N, H, W, o), np.float32).set(first * o, dy), partial=partial, pieces=pieces, C=C, O=o,
        **SIZES, **ONE,
    )  # fmt: skip
    (found,) = partial.windows.values()
    np.testing.assert_allclose(found.reshape(tile.rows, o), x[:, -tile.rows :].T @ dy, atol=1e-4)


def test_im2col() -> None:
    shape = (PIXELS * 1024 // (32 * 32), 1, 32, 32)
    n = shape[0] * 1024
    x = numbers(256)
    image, columns = (Sparse(shape, np.float32).set(n - 256, v) for v in (x, np.zeros(256)))
    sizes = {name: size for name, size in ONE.items() if name != "G"}
    im2col.kernels("im2col", x=image, columns=columns, H=32, W=32, OH=32, OW=32, n=n, **sizes)
    np.testing.assert_array_equal(columns.windows[n - 256], x)
    columns, back = (Sparse(shape, np.float32).set(n - 256, v) for v in (x, np.zeros(256)))
    im2col.kernels("col2im", columns=columns, x=back, H=32, W=32, OH=32, OW=32, n=n, **sizes)
    np.testing.assert_array_equal(back.windows[n - 256], x)


def test_matrix_product() -> None:
    rows, k, m = 2**21 + 5, 1030, 32
    x, y = numbers(5, k), numbers(k, m)
    z = Sparse((1, rows, m), np.float32).set(2**21 * m, np.zeros((5, m)))
    matmul.kernels(
        "matmul_tiled", x=Sparse((1, rows, k), np.float32).set(2**21 * k, x), y=y, b=y, z=z, has_b=0, x_count=1,
        y_count=1, N=rows, K=k, M=m, x_transposed=0, y_transposed=0,
    )  # fmt: skip
    np.testing.assert_allclose(z.windows[2**21 * m].reshape(5, m), x @ y, atol=1e-3)
