"""Each vector operation against NumPy."""

import numpy as np
import pytest

from minicnn.cpu.threads import kernel
from minicnn.cpu.vectors import (
    lanes,
    lanes_of,
    vcopy,
    vdrain,
    vfill,
    vgate,
    vload,
    vload_part,
    vmatch,
    vmax,
    vmin,
    vstore,
    vstore_part,
    vstream,
    vsum,
    vtranspose,
    vzero,
)

DTYPES = [np.float32, np.float64]


@kernel
def _arithmetic_kernel(first, end, x, y, out):
    L = lanes(x)
    a, b = vload(x, 0), vload(y, 0)
    results = (a + b, a - 2.0 * b, a * b, a / b, vmax(a, b), vmin(a, b), vgate(a, b), vmatch(a, b, b), vfill(x, 3))
    for i in range(9):
        vstore(out, i * L, results[i])
    out[9 * L] = vsum(a)


@kernel
def _part_kernel(first, end, x, n, out):
    vstore_part(out, 1, vload_part(x, 1, n) + 1.0, n)


@kernel
def _copy_kernel(first, end, x, n, out):
    vcopy(x, 1, out, 2, n)
    vzero(out, 60, n)


@kernel
def _stream_kernel(first, end, x, out, past):
    for piece in range(first, end):
        vstream(out, piece * lanes(x), vload(x, piece * lanes(x)), past)
    vdrain()


@kernel
def _transpose_kernel(first, end, x):
    vtranspose(x, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arithmetic(dtype):
    L, random = lanes_of(dtype), np.random.default_rng(0)
    x, y = random.standard_normal((2, L)).astype(dtype)
    out = np.empty(9 * L + 1, dtype)
    _arithmetic_kernel(1, x, y, out)
    expected = (x + y, x - 2 * y, x * y, x / y, np.maximum(x, y), np.minimum(x, y), np.where(y > 0, x, 0), x, 0 * x + 3)
    np.testing.assert_allclose(out[:-1].reshape(9, L), expected, rtol=1e-6)
    np.testing.assert_allclose(out[-1], x.sum(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_survives_a_maximum(dtype):
    L = lanes_of(dtype)
    x, y, out = np.full(L, np.nan, dtype), np.zeros(L, dtype), np.empty(9 * L + 1, dtype)
    _arithmetic_kernel(1, x, y, out)
    assert np.isnan(out[4 * L : 6 * L]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_touch_nothing_else(dtype):
    L = lanes_of(dtype)
    for n in range(L + 1):
        x, out = np.arange(L + 2, dtype=dtype), np.full(L + 2, -1, dtype)
        _part_kernel(1, x, n, out)
        expected = np.full(L + 2, -1, dtype)
        expected[1 : 1 + n] = x[1 : 1 + n] + 1
        assert np.array_equal(out, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_copy_and_zero(dtype):
    x = np.arange(1, 101, dtype=dtype)
    for n in range(58):
        out = np.full(120, -1, dtype)
        _copy_kernel(1, x, n, out)
        expected = np.full(120, -1, dtype)
        expected[2 : 2 + n], expected[60 : 60 + n] = x[1 : 1 + n], 0
        assert np.array_equal(out, expected)


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_stores_past_the_caches(dtype, past):
    size, L = 16 // np.dtype(dtype).itemsize, lanes_of(dtype)
    for offset in range(0, 64, size):  # from every multiple of 16 bytes; NumPy's arrays begin with one
        x, out = np.arange(100 * L, dtype=dtype), np.full(100 * L + 64 + size, -1, dtype)
        _stream_kernel(100, x, out[offset : offset + x.size], past)
        np.testing.assert_array_equal(out[offset : offset + x.size], x)
        assert (out[:offset] == -1).all()
        assert (out[offset + x.size :] == -1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose(dtype):
    L = lanes_of(dtype)
    x = np.arange(L * L + 5, dtype=dtype)
    expected = x.copy()
    expected[3 : 3 + L * L] = x[3 : 3 + L * L].reshape(L, L).T.ravel()
    _transpose_kernel(1, x)
    assert np.array_equal(x, expected)
