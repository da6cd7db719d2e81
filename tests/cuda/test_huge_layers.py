"""The last blocks of layers and optimisers over more than 2^31 elements, checked, on arrays that are nearly all air."""

from collections.abc import Iterator

import numpy as np
import pytest

from minicnn.cuda import dropout, emulation, norm, optim, pool
from minicnn.cuda.emulation import Sparse
from minicnn.random import dropout_keep

N = 2**31 + 77
START = 2**31
VALUES = np.linspace(0.1, 0.9, 77).astype(np.float32)

H, W, C = 40_000, 1_700, 32  # one image of 2 176 000 000 numbers
ROW = W * C


@pytest.fixture(autouse=True)
def _last_block() -> Iterator[None]:
    with emulation.checking(), emulation.only_blocks(emulation.last_block):
        yield


def tail(values: np.ndarray = VALUES) -> Sparse:
    return Sparse((N,), np.float32).set(START, values)


def test_pooling() -> None:
    rows = np.random.default_rng(1).standard_normal((2, W, C)).astype(np.float32)
    x = Sparse((1, H, W, C), np.float32).set((H - 2) * ROW, rows.ravel())
    last = ((H // 2) * (W // 2) * C) - 256  # the numbers of the last block, whose row is full: 27 200 = 106 · 256 + 64
    y, place = (Sparse((1, H // 2, W // 2, C), t).set(last + 192, np.zeros(64)) for t in (np.float32, np.int32))
    sizes = {"H": H, "W": W, "C": C, "OH": H // 2, "OW": W // 2, "KH": 2, "KW": 2, "SH": 2, "SW": 2, "PH": 0, "PW": 0}
    pool.kernels("max_pool2d_forward", x=x, y=y, place=place, **sizes, DH=1, DW=1)
    expected = rows.reshape(2, W // 2, 2, C).max(axis=(0, 2)).ravel()[-64:]
    np.testing.assert_array_equal(y.windows[last + 192], expected)
    assert place.windows[last + 192].min() >= (H - 2) * W


def test_batch_norm() -> None:
    rows = H * W
    pieces = norm.LAUNCHES["batch_norm_forward"].grid({"rows": rows, "C": C})[1]
    first = rows * (pieces - 1) // pieces
    values = np.random.default_rng(2).standard_normal((rows - first) * C).astype(np.float32)
    x = Sparse((rows * C,), np.float32).set(first * C, values)
    y = Sparse((rows * C,), np.float32).set(first * C, np.zeros_like(values))
    mean, inverse = np.full(C, 0.5), np.full(C, 2.0)
    vector = np.ones(C, np.float32)
    norm.kernels(
        "batch_norm_forward", x=x, mean=mean, inverse=inverse, w=vector, b=vector, y=y, has_w=1, has_b=1, rows=rows, C=C
    )
    np.testing.assert_allclose(y.windows[first * C], (values - 0.5) * 2 + 1, atol=1e-6)


def test_dropout() -> None:
    y = tail()
    words = {"threshold": 2**31, "key0": 5, "key1": 0, "call": 2, "start": 0}
    dropout.kernels("dropout_forward", x=tail(), y=y, scale=2.0, **words, n=N)
    np.testing.assert_array_equal(y.windows[START], np.where(dropout_keep(5, 2, 0.5, START, 77), 2 * VALUES, 0))


def test_sgd() -> None:
    parameter = tail()
    optim.kernels("sgd_update", parameter=parameter, gradient=tail(), lr=0.5, weight_decay=0.0, maximize=0, n=N)
    np.testing.assert_allclose(parameter.windows[START], VALUES / 2, rtol=1e-6)
