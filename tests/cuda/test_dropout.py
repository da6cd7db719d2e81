"""Dropout's masks on `cuda:sim` are those of `reference`, bit for bit, wherever in the batch an array begins."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn.cuda import dropout, emulation
from minicnn.ops import dropout as definition
from minicnn.random import dropout_keep

ADDRESSES = [(0, 0, 0), (7, 3, 1), (2**64 - 1, 2**32 - 1, 2), (1 << 40, 5, 2**34 * 4 + 3), (12345, 6, 1000)]


@pytest.fixture(autouse=True)
def _checked() -> Iterator[None]:
    with emulation.checking():
        yield


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
@pytest.mark.parametrize("count", [1, 2, 5, 1031])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_keeps_what_the_address_says(address: Any, count: int, dtype: Any) -> None:
    x = np.linspace(1, 2, count).astype(dtype)
    y, cache = dropout.dropout_forward(x, 0.3, address)
    seed, call, start = address
    np.testing.assert_array_equal(y != 0, dropout_keep(seed, call, 0.3, start, count))
    np.testing.assert_array_equal(y, definition.dropout_forward(x, 0.3, address)[0])
    np.testing.assert_array_equal(dropout.dropout_backward(x, cache), y)


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
@pytest.mark.parametrize("layout", ["row-major", "channels-last"])
def test_dropout2d_keeps_what_the_address_says(address: Any, layout: str) -> None:
    x = np.random.default_rng(1).uniform(1, 2, (3, 43, 3, 5)).astype(np.float32)
    if layout == "channels-last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    y, cache = dropout.dropout2d_forward(x, 0.6, address)
    np.testing.assert_array_equal(y, definition.dropout2d_forward(x, 0.6, address)[0])
    np.testing.assert_array_equal(dropout.dropout2d_backward(x, cache), y)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.999, 1.0])
def test_masks_agree_on_all_devices(p: float) -> None:
    x = np.random.default_rng(2).standard_normal((3, 5, 4, 7)).astype(np.float32)
    results = []
    for device in ("reference", "cpu", "cuda:sim"):
        mc.manual_seed(11)
        t = mc.tensor(x, device=device)
        results.append([F.dropout(t, p).numpy(), F.dropout2d(t, p).numpy(), F.dropout(t.reshape(3, 140), p).numpy()])
    for one, other in (results[:2], results[::2]):
        for a, b in zip(one, other):
            np.testing.assert_array_equal(a, b)


def test_what_is_dropped_is_zero_even_of_infinity_and_nan() -> None:
    x = np.array([np.inf, np.nan, -np.inf] * 30)
    y, _ = dropout.dropout_forward(x, 0.5, (1, 2, 0))
    np.testing.assert_array_equal(y, definition.dropout_forward(x, 0.5, (1, 2, 0))[0])
    assert (y == 0).sum() > 10
