"""The kernel of addition does what the definition does, to the bit, at every length and memory order."""

import itertools

import numpy as np
import pytest

from minicnn.cpu import elementwise as cpu
from minicnn.ops import elementwise as definition


def compare(x, y):
    before = np.copy(x), np.copy(y)
    (actual, shapes), (expected, wanted) = cpu.add_forward(x, y), definition.add_forward(x, y)
    assert shapes == wanted
    assert actual.dtype == expected.dtype
    assert actual.strides == expected.strides
    assert not any(np.shares_memory(actual, a) for a in (x, y))
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_every_length(dtype):
    rng = np.random.default_rng(0)
    for n in (1, cpu.LARGE - 1, *range(cpu.LARGE, cpu.LARGE + 18), 3 * cpu.LARGE + 5):
        compare(*(100 * rng.standard_normal((2, n))).astype(dtype))


def test_every_memory_order():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 4, 24, 20, 40)).astype(np.float32)
    for a, b in itertools.product(itertools.permutations(range(4)), repeat=2):
        x, y = (v.transpose(axes).copy().transpose(np.argsort(axes)) for v, axes in zip(values, (a, b)))
        compare(x, y)


def test_views_and_broadcasts():
    x = np.arange(4 * cpu.LARGE, dtype=np.float32).reshape(8, -1)
    compare(x[::2], x[1::2])
    compare(x, x[0])
    compare(x[:, ::-1], x[:, ::-1])
    compare(x, np.broadcast_to(x[0], x.shape))
    compare(x, np.float64(2) * x)
    compare(x, 2)
    big = np.broadcast_to(x[0, :8], (cpu.LARGE, 8))
    compare(big, big)


def test_infinity_and_nan():
    x = np.zeros(cpu.LARGE, np.float32)
    x[:4] = np.inf, -np.inf, np.nan, 3e38
    y = np.zeros(cpu.LARGE, np.float32)
    y[:4] = 1, np.inf, 2, 3e38
    actual, _ = cpu.add_forward(x, y)
    np.testing.assert_array_equal(actual[:5], [np.inf, np.nan, np.nan, np.inf, 0])
