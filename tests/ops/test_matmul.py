"""Facts of the matrix products that the shared cases do not show."""

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn.ops.matmul import linear_backward, linear_forward


def test_linear_by_hand(device):
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    w = mc.tensor([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]], requires_grad=True)
    b = mc.tensor([10.0, 20.0], requires_grad=True)
    y = F.linear(x, w, b)
    assert y.tolist() == [[8.0, 24.0], [8.0, 33.0]]
    y.backward(mc.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert x.grad.tolist() == [[5.0, 2.0, -1.0], [11.0, 4.0, -3.0]]  # dY W
    assert w.grad.tolist() == [[13.0, 17.0, 21.0], [18.0, 24.0, 30.0]]  # dYᵀ X
    assert b.grad.tolist() == [4.0, 6.0]


def test_linear_computes_only_the_gradients_that_are_wanted():
    x, w, b = np.ones((2, 3)), np.ones((4, 3)), np.ones(4)
    y, cache = linear_forward(x, w, b)
    assert [g is None for g in linear_backward(y, cache, (False, True, False))] == [True, False, True]
    assert [g is None for g in linear_backward(y, cache, (True, False, True))] == [False, True, False]


def test_linear_does_not_copy_a_batch_of_rows():
    x, w = np.ones((2, 3)), np.ones((4, 3))
    _, (rows, weight, *_) = linear_forward(x, w, None)
    assert np.shares_memory(rows, x)
    assert weight is w


def test_matmul_of_vectors_is_their_product(device):
    x, y = mc.tensor([1.0, 2.0, 3.0], requires_grad=True), mc.tensor([4.0, 5.0, 6.0], requires_grad=True)
    z = x @ y
    assert (z.shape, z.item()) == ((), 32.0)
    z.backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("equation", ["ii->i", "ii", "iii->", "iij,j->ij", "iij->j"])
def test_diagonals_need_square_operands(equation, device):
    rng = np.random.default_rng(0)
    sizes = {"i": 3, "j": 4}
    arrays = [rng.standard_normal([sizes[k] for k in term]) for term in equation.split("->")[0].split(",")]
    xs = [mc.tensor(a, requires_grad=True) for a in arrays]
    zs = [torch.tensor(a, requires_grad=True) for a in arrays]
    result, expected = F.einsum(equation, *xs), torch.einsum(equation, *zs)
    np.testing.assert_allclose(result.numpy(), expected.detach().numpy(), rtol=1e-12)
    cotangent = rng.standard_normal(result.shape)
    result.backward(mc.tensor(cotangent))
    expected.backward(torch.tensor(cotangent))
    for x, z in zip(xs, zs):
        np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-12)


def test_einsum_by_hand(device):
    x, y = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), mc.tensor([1.0, 10.0])
    assert F.einsum("nk,n->k", x, y).tolist() == [41.0, 52.0, 63.0]
    assert F.einsum("ba", x).tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]  # axes in alphabetical order
    assert F.einsum("nk->", x).item() == 21
