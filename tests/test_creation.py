"""Tensors from nothing, against PyTorch in values, shapes and types, and the distributions of the random ones."""

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.errors import DTypeError, ShapeError

CALLS = [
    *((name, size, {}) for name in ("zeros", "ones") for size in ((2, 3), ((2, 3),), ([2, 3],), (5,), ((),), (0, 3))),
    *((name, (2, 3), {"dtype": dtype}) for name in ("zeros", "ones")
      for dtype in ("float64", "int64", "int32", "int16", "int8", "uint8", "bool")),
    ("full", ((2, 3), 1.5), {}), ("full", ((2, 3), 7), {}), ("full", ((2,), True), {}), ("full", ((), 3), {}),
    ("full", ([2, 3], float("nan")), {}), ("full", ((2, 3), 1.5), {"dtype": "int64"}), ("full", ((2,), 1), {"dtype":
     "float64"}), ("full", ((2,), -float("inf")), {}), ("full", ((0, 2), 1), {}),
    ("eye", (3,), {}), ("eye", (2, 5), {}), ("eye", (4, 1), {"dtype": "int64"}), ("eye", (0,), {}), ("eye", (2, 0), {}),
    ("arange", (5,), {}), ("arange", (2, 7), {}), ("arange", (1, 10, 3), {}), ("arange", (7, -4, -2), {}),
    ("arange", (0,), {}), ("arange", (3, 3), {}), ("arange", (2.5,), {}), ("arange", (0, 1, 0.1), {}),
    ("arange", (1.0, -1, -0.25), {}), ("arange", (5,), {"dtype": "float64"}), ("arange", (0.5, 5), {"dtype": "int64"}),
    ("arange", (1, 2, 0.3), {"dtype": "float64"}), ("arange", (5,), {"dtype": "uint8"}),
    ("arange", (10**12, 10**12 + 3), {}),
    ("linspace", (0, 1, 5), {}), ("linspace", (3, -2, 4), {}), ("linspace", (1, 2, 1), {}), ("linspace", (1, 2, 0), {}),
    ("linspace", (0, 1, 11), {"dtype": "float64"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=str)
def test_values_shapes_and_types_are_pytorchs(name, args, kwargs):
    result = getattr(mc, name)(*args, **kwargs)
    expected = getattr(torch, name)(*args, **{k: getattr(torch, v) for k, v in kwargs.items()}).numpy()
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.numpy(), expected, rtol=2e-7 if result.dtype == mc.float32 else 1e-12)
    assert not result.requires_grad


def test_device_and_switch():
    for make in (mc.zeros, mc.ones, mc.rand, mc.randn):
        x = make(2, 3, device="reference", requires_grad=True)
        assert (x.device, x.requires_grad, x.is_leaf) == ("reference", True, True)
    for x in (
        mc.full((2,), 1.0, device="reference", requires_grad=True),
        mc.eye(2, device="reference", requires_grad=True),
        mc.arange(2.0, device="reference", requires_grad=True),
        mc.linspace(0, 1, 3, device="reference", requires_grad=True),
    ):
        assert (x.device, x.requires_grad) == ("reference", True)
    with mc.use_device("reference"):
        assert mc.zeros(1).device == mc.rand(1).device == mc.arange(3).device == "reference"


LIKE = {"zeros_like": (), "ones_like": (), "full_like": (7,), "rand_like": (), "randn_like": ()}


@pytest.mark.parametrize("name", LIKE)
def test_like_another_tensor(name):
    make, args = getattr(mc, name), LIKE[name]
    like = mc.zeros(2, 3, dtype=mc.float64, device="reference")
    x = make(like, *args)
    assert (x.shape, x.dtype, x.device, x.requires_grad) == ((2, 3), mc.float64, "reference", False)
    x = make(like, *args, dtype=mc.float32, device="cpu", requires_grad=True)
    assert (x.shape, x.dtype, x.device, x.requires_grad) == ((2, 3), mc.float32, "cpu", True)


def test_values_like_another_tensor():
    like = mc.tensor([[1, 2, 3]])
    assert mc.zeros_like(like).tolist() == [[0, 0, 0]]
    assert mc.ones_like(like).tolist() == [[1, 1, 1]]
    assert mc.full_like(like, 2.9).tolist() == torch.full_like(torch.tensor([[1, 2, 3]]), 2.9).tolist() == [[2, 2, 2]]
    assert mc.ones_like(like).dtype == mc.int64


def test_random_numbers_follow_from_the_seed():
    for make in (mc.rand, mc.randn):
        mc.manual_seed(3)
        first, second = make(2, 3), make((2, 3))
        assert first.tolist() != second.tolist()
        mc.manual_seed(3)
        assert make(2, 3).tolist() == first.tolist()
        mc.manual_seed(4)
        assert make(2, 3).tolist() != first.tolist()
        assert make(2, 3, dtype=mc.float64).dtype == mc.float64


def test_distributions():
    count = 200_000
    u, n = mc.rand(count).numpy(), mc.randn(count).numpy()
    assert u.min() >= 0
    assert u.max() < 1
    # Five standard errors of the mean and of the standard deviation of so many numbers
    assert abs(u.mean() - 0.5) < 5 * 0.2887 / count**0.5
    assert abs(n.mean()) < 5 / count**0.5
    assert abs(n.std() - 1) < 5 / (2 * count) ** 0.5
    assert abs((np.abs(n) < 1).mean() - 0.6827) < 5 * 0.4655 / count**0.5


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: mc.zeros(2, -1), ShapeError, "zeros: size (2, -1) holds -1, needs sizes of at least 0"),
        (lambda: mc.ones(2.5), DTypeError, "ones: size must be a whole number, got 2.5"),
        (lambda: mc.rand((2, "3")), DTypeError, "rand: size must be a whole number, got '3'"),
        (lambda: mc.rand(2, dtype=mc.int64), DTypeError, "rand: dtype is int64, needs float32 or float64"),
        (lambda: mc.zeros(2, dtype="float99"), DTypeError, "zeros: dtype 'float99' is unknown"),
        (lambda: mc.zeros(2, dtype=mc.int64, requires_grad=True), DTypeError, "only float tensors have gradients"),
        (lambda: mc.full((2,), "a"), DTypeError, "full: fill_value must be a number, got 'a'"),
        (lambda: mc.full((2,), float("nan"), dtype=mc.int64), DTypeError, "full: nan does not fit into int64"),
        (lambda: mc.full((2,), 300, dtype=mc.uint8), DTypeError, "full: 300 does not fit into uint8"),
        (lambda: mc.eye(-1), ShapeError, "eye: n is -1, needs at least 0"),
        (lambda: mc.arange(5, 1), ShapeError, "arange: step is 1, which does not lead from 5 to 1"),
        (lambda: mc.arange(0, 5, 0), ShapeError, "arange: step is 0, which does not lead from 0 to 5"),
        (lambda: mc.arange(float("inf")), ShapeError, "arange: end is inf, needs a finite number"),
        (lambda: mc.arange("5"), DTypeError, "arange: end must be a number, got '5'"),
        (lambda: mc.linspace(0, 1, -1), ShapeError, "linspace: steps is -1, needs at least 0"),
        (lambda: mc.zeros_like([1.0]), DTypeError, "zeros_like: input must be a Tensor, got list"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)
