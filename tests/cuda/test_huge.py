"""Grids over more than 2^31 elements: their last block runs, checked, on arrays that are nearly all air."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn.cuda import activation, elementwise, emulation, reduce, softmax
from minicnn.cuda.emulation import Sparse
from minicnn.errors import DeviceError

N = 2**31 + 77  # the last block has 77 threads with an element
START = 2**31


@pytest.fixture(autouse=True)
def _last_block() -> Iterator[None]:
    with emulation.checking(), emulation.only_blocks(emulation.last_block):
        yield


def tail(values: Any = None, dtype: Any = np.float32) -> Sparse:
    return Sparse((N,), dtype).set(START, np.zeros(77) if values is None else values)


VALUES = np.linspace(0.1, 0.9, 77).astype(np.float32)


@pytest.mark.parametrize("kernel", [k for k in activation.LAUNCHES if k.endswith("_forward") and "leaky" not in k])
def test_activations(kernel: str) -> None:
    y = tail()
    activation.kernels(kernel, x=tail(VALUES), y=y, n=N)
    expected = {"relu": VALUES, "sigmoid": 1 / (1 + np.exp(-VALUES)), "tanh": np.tanh(VALUES)}
    name = kernel.removesuffix("_forward")
    assert np.isfinite(y.windows[START]).all()
    if name in expected:
        np.testing.assert_allclose(y.windows[START], expected[name], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementwise(dtype: Any) -> None:
    z = tail(dtype=dtype)
    elementwise.kernels("mul_forward", x=tail(VALUES, dtype), y=tail(VALUES, dtype), z=z, n=N)
    np.testing.assert_allclose(z.windows[START], VALUES.astype(dtype) ** 2, rtol=1e-6)


ROWS, COLUMNS = 2**21, 1030  # the last row starts at element 2 160 065 530
LAST = (ROWS - 1) * COLUMNS
ROW = np.linspace(-1, 1, COLUMNS).astype(np.float32)


def test_rows() -> None:
    x = Sparse((ROWS * COLUMNS,), np.float32).set(LAST, ROW)
    y = Sparse((ROWS,), np.float32).set(ROWS - 1, [0])
    reduce.kernels("sum_rows", x=x, y=y, scale=1.0, rows=ROWS, columns=COLUMNS)
    np.testing.assert_allclose(y.windows[ROWS - 1], ROW.sum(dtype=np.float64), atol=1e-5)
    dx = Sparse((ROWS * COLUMNS,), np.float32).set(LAST, np.zeros(COLUMNS))
    softmax.kernels("softmax_forward", x=x, y=dx, columns=COLUMNS)
    np.testing.assert_allclose(dx.windows[LAST].sum(), 1, rtol=1e-5)


def test_an_access_outside_is_still_seen() -> None:
    with pytest.raises(DeviceError, match="out-of-bounds write of 4 bytes, 0 bytes past the end of 'y'"):
        activation.kernels("relu_forward", x=tail(VALUES), y=Sparse((N - 1,), np.float32), n=N)
