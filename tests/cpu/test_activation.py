"""The kernels of relu and its gradient do what the definitions do, to the bit, at every length and memory order."""

import itertools

import numpy as np
import pytest

from minicnn.cpu import activation as cpu
from minicnn.ops import activation as definition

SHAPES = ((), (1,), (0, 3), (2, 3, 5, 7), (1, 3, 1, 1), (2, 64, 33, 17), (3, 1, 4, 5), (2, 3, 4))


def in_order(x, axes):
    """Return equal values whose memory has these axes from the slowest to the fastest."""
    return x.transpose(axes).copy(order="C").transpose(np.argsort(axes))


def compare_forward(x):
    before = x.copy()
    (actual, _), (expected, _) = cpu.relu_forward(x), definition.relu_forward(x)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    same = actual.strides == expected.strides
    assert same or 1 in x.shape  # an axis of one number has no stride that matters
    assert not np.shares_memory(actual, x)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(x, before)


def compare(dy, y):
    before = dy.copy(), y.copy()
    compare_forward(dy)
    actual, expected = cpu.relu_backward(dy, y), definition.relu_backward(dy, y)
    assert actual.dtype == expected.dtype
    assert not np.shares_memory(actual, dy)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal((dy, y), before)
    return actual


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_every_length(dtype):
    rng = np.random.default_rng(0)
    for n in (*range(1, 66), 4095, 4096, 4097, 3 * 4096 + 5):
        y = np.maximum(rng.standard_normal(n).astype(dtype), 0)
        compare(rng.standard_normal(n).astype(dtype), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_memory_order(shape, dtype):
    rng = np.random.default_rng(0)
    y = np.maximum(np.asarray(rng.standard_normal(shape), dtype), 0)
    dy = np.asarray(rng.standard_normal(shape), dtype)
    orders = list(itertools.permutations(range(len(shape))))[:: 1 if len(shape) < 4 else 5]
    for a, b in itertools.product(orders, orders):
        result = compare(in_order(dy, a), in_order(y, b))
        assert result.transpose(b).flags.c_contiguous  # the order of the forward pass stays


def test_gradients_that_are_views():
    y = np.maximum(np.random.default_rng(0).standard_normal((6, 10)).astype(np.float32), 0)
    compare(np.broadcast_to(np.float32(2), (6, 10)), y)
    compare(np.arange(240, dtype=np.float32).reshape(12, 20)[::2, ::-2], y)


def test_special_values():
    y = np.array([0.0, -0.0, 1.0, np.inf, np.nan, 1e-45], np.float32)
    dy = np.array([np.nan, np.inf, np.nan, -np.inf, 3.0, 4.0], np.float32)
    np.testing.assert_array_equal(compare(dy, y), [0, 0, np.nan, -np.inf, 3, 4])
