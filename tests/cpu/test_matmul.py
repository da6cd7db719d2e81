"""The kernels of matrix products against PyTorch in float64: every size, memory order and thread count."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from minicnn.cpu import matmul as cpu
from minicnn.cpu import settings
from minicnn.ops import matmul as definition

TOLERANCE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-14}
DTYPES = [np.float32, np.float64]


def normal(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def assert_near(actual: np.ndarray, expected: torch.Tensor, terms: int) -> None:
    """The error of a sum grows with its number of terms, at worst; here with its root."""
    assert actual.shape == tuple(expected.shape)
    bound = TOLERANCE[actual.dtype] * max(1, terms) ** 0.5
    assert np.abs(actual - expected.numpy()).max(initial=0) <= bound * max(1, expected.abs().max().item())


def torch_gradients(function: Any, dy: np.ndarray, *arrays: np.ndarray | None) -> list[Any]:
    inputs = [None if a is None else torch.tensor(a.copy(), dtype=torch.float64, requires_grad=True) for a in arrays]
    y = function(*inputs)
    y.backward(torch.tensor(dy.copy(), dtype=torch.float64))
    return [y.detach(), *(None if t is None else t.grad for t in inputs)]


def check_linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, dy: np.ndarray | None = None) -> None:
    y, cache = cpu.linear_forward(x, w, b)
    dy = normal(y.shape, x.dtype, 3) if dy is None else dy
    found = (y, *cpu.linear_backward(dy, cache))
    for a, e in zip(found, torch_gradients(torch.nn.functional.linear, dy, x, w, b), strict=True):
        assert (a is None) == (e is None)
        if e is not None:
            assert a.dtype == x.dtype
            assert_near(a, e, max(*w.shape, len(cache[0])))
    assert found[2].flags.c_contiguous
    assert found[2].flags.owndata


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_small_size_of_linear(dtype: Any) -> None:
    sizes = (1, 2, 3, 5, 8, 9, 16, 17, 33, 65)
    for n, k, o in itertools.product(sizes, (1, 3, 16, 40), sizes):
        b = normal((o,), dtype) if (n + k + o) % 2 else None
        check_linear(normal((n, k), dtype), normal((o, k), dtype), b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n", "k", "o"),
    [
        (32, 1536, 512),
        (32, 9856, 256),
        (16, 2305, 1000),
        (1, 2305, 1000),
        (3, 513, 130),
        (64, 700, 300),
        (700, 130, 67),
    ],
)
def test_large_sizes_of_linear(n: int, k: int, o: int, dtype: Any) -> None:
    check_linear(normal((n, k), dtype), normal((o, k), dtype), normal((o,), dtype))


@pytest.mark.parametrize("n", [2, 20])
def test_every_memory_order(n: int) -> None:
    x, w, b = normal((17, n), np.float32), normal((17, 21), np.float32), normal((42,), np.float32)
    dy = np.broadcast_to(normal((21,), np.float32), (n, 21))
    for array in (x, w, dy):
        array.flags.writeable = False
    check_linear(x.T, w.T, b[::2], dy)
    check_linear(x.T[:, ::-2], w.T[:, ::2], b[::-2], dy)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (2, 3, 4)])
def test_axes_before_the_last(shape: tuple[int, ...]) -> None:
    check_linear(normal((*shape, 19), np.float32), normal((7, 19), np.float32), normal((7,), np.float32))


@pytest.mark.parametrize(("n", "k", "o"), [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
@pytest.mark.parametrize("bias", [True, False])
def test_nothing_to_multiply(n: int, k: int, o: int, bias: bool) -> None:
    x, w, b = normal((n, k), np.float32), normal((o, k), np.float32), normal((o,), np.float32) if bias else None
    y, cache = cpu.linear_forward(x, w, b)
    dx, dw, db = cpu.linear_backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(y, np.broadcast_to(b if bias else np.float32(0), (n, o)))
    np.testing.assert_array_equal(dw, np.zeros((o, k)) if n == 0 or k == 0 else np.zeros_like(w))
    assert dx.shape == x.shape
    assert (db is not None) == bias


@pytest.mark.parametrize("n", [2, 20])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_spoils_what_it_meets_alone(n: int, value: float) -> None:
    for place in ("x", "w", "b", "dy"):
        arrays = {"x": normal((n, 35), np.float32), "w": normal((37, 35), np.float32)}
        arrays |= {"b": normal((37,), np.float32), "dy": normal((n, 37), np.float32)}
        arrays[place][(-1,) * arrays[place].ndim] = value
        *inputs, dy = arrays.values()
        y, cache = cpu.linear_forward(*inputs)
        found = (y, *cpu.linear_backward(dy, cache))
        expected = torch_gradients(torch.nn.functional.linear, dy, *inputs)
        for a, e in zip(found, expected):
            np.testing.assert_allclose(a, e.numpy(), rtol=1e-4, atol=1e-4)


def test_gradients_nobody_wants_are_not_computed() -> None:
    x, w = normal((20, 30), np.float32), normal((10, 30), np.float32)
    _, cache = cpu.linear_forward(x, w, w[:, 0])
    _, product_cache = cpu.matmul_forward(x, w.T)
    dy = normal((20, 10), np.float32)
    for needs in itertools.product((True, False), repeat=3):
        assert [g is not None for g in cpu.linear_backward(dy, cache, needs)] == list(needs)
        assert [g is not None for g in cpu.matmul_backward(dy, product_cache, needs[:2])] == list(needs[:2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x_shape", "y_shape"),
    [
        ((1, 1), (1, 1)), ((3, 5), (5, 2)), ((4, 33), (33, 65)), ((65, 130), (130, 49)), ((200, 7), (7, 300)),
        ((5,), (5,)), ((5,), (5, 3)), ((3, 5), (5,)), ((2, 3, 5), (5, 4)), ((2, 1, 3, 5), (4, 5, 6)),
    ],
)  # fmt: skip
def test_matmul(x_shape: tuple[int, ...], y_shape: tuple[int, ...], dtype: Any) -> None:
    x, y = normal(x_shape, dtype), normal(y_shape, dtype)
    for order in (np.ascontiguousarray, np.asfortranarray):
        z, cache = cpu.matmul_forward(order(x), order(y))
        dz = np.asarray(normal(np.shape(z), dtype, 5))
        found = (np.asarray(z), *cpu.matmul_backward(order(dz) if dz.ndim else dz, cache))
        for a, e in zip(found, torch_gradients(torch.matmul, dz, x, y), strict=True):
            assert_near(a, e, max(*x_shape, *y_shape))


def test_matmul_of_other_types_is_numpys() -> None:
    x = np.arange(12).reshape(3, 4)
    z, _ = cpu.matmul_forward(x, x.T)
    np.testing.assert_array_equal(z, definition.matmul_forward(x, x.T)[0])
    assert z.dtype == np.int64


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_threads_change_no_bit(threads: int, thread_count: Any) -> None:
    cases = [(normal((n, k), np.float32), normal((o, k), np.float32)) for n, k, o in
             [(3, 130, 70), (32, 1000, 130), (16, 300, 40), (200, 70, 33)]]  # fmt: skip

    def results() -> list[np.ndarray]:
        found = []
        for x, w in cases:
            y, cache = cpu.linear_forward(x, w, w[:, 0])
            found += [y, *cpu.linear_backward(y, cache)]
        return found

    before = results()
    thread_count(threads)
    for a, b, c in zip(before, results(), results(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(b, c)


def test_threads_share_the_work() -> None:
    for n_threads, (M, Q, P) in itertools.product((2, 3), [(4096, 16, 9216), (32, 512, 512), (4096, 32, 20)]):
        sizes = cpu.plan(M, Q, P, Q, np.dtype(np.float32), False, n_threads).sizes
        assert sizes.shares == n_threads or settings.vector() == "scalar"
