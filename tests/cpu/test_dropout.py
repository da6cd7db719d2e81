"""The dropout kernel does what the definition does, to the bit, at every length, part of a batch and memory order."""

import itertools

import numpy as np
import pytest

from minicnn.cpu import dropout as cpu
from minicnn.ops import dropout as definition

LENGTHS = (*range(66), 1023, 1024, 1025, 2048, 5000)


def compare(x, p, address):
    actual, cache = cpu.dropout_forward(x, p, address)
    expected, definition_cache = definition.dropout_forward(x, p, address)
    assert actual.dtype == x.dtype
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(cpu.dropout_backward(x, cache), definition.dropout_backward(x, definition_cache))
    return actual


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_length_and_start(dtype):
    rng = np.random.default_rng(0)
    for n, start in itertools.product(LENGTHS, (0, 1, 2, 3, 1022)):
        compare(rng.standard_normal(n).astype(dtype), 0.4, (5, 1, start))


@pytest.mark.parametrize("address", [(0, 0, 0), (2**64 - 1, 2**32 - 1, 2**35 + 3), (2**40, 3, 2**34 - 5)])
@pytest.mark.parametrize("p", [1e-9, 0.5, 0.999, 1.0])
def test_every_address_and_p(address, p):
    compare(np.random.default_rng(0).standard_normal(3000).astype(np.float32), p, address)


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 5, 7), (1, 3, 1, 1), (3, 1, 4, 5), (2, 3, 4)], ids=str)
def test_every_memory_order(shape):
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), np.float32)
    for axes in itertools.permutations(range(len(shape))):
        compare(x.transpose(axes).copy(order="C").transpose(np.argsort(axes)), 0.4, (5, 1, 2))
    if len(shape) == 4:
        nhwc = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        assert compare(nhwc, 0.4, (5, 1, 2)).transpose(0, 2, 3, 1).flags.c_contiguous


def test_special_values():
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3e38] * 50, np.float32)
    compare(x, 0.5, (0, 0, 0))
    np.testing.assert_array_equal(compare(x, 1.0, (0, 0, 0)), 0)
