"""Facts of the reductions that the shared cases do not show."""

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F

NAN, INF = float("nan"), float("inf")


def gradient(function, data):
    x = mc.tensor(data, requires_grad=True)
    result = function(x)
    (result[0] if isinstance(result, tuple) else result).sum().backward()
    return x.grad.tolist()


def test_by_hand(device):
    x = mc.tensor([[1.0, 2.0, 6.0], [4.0, 0.0, 5.0]])
    assert F.sum(x).item() == 18
    assert F.sum(x, 0).tolist() == [5, 2, 11]
    assert F.mean(x, 1, keepdim=True).tolist() == [[3], [3]]
    assert F.var(x, 1).tolist() == [7, 7]  # (4 + 1 + 9) / 2, (1 + 9 + 4) / 2
    assert F.var(x, 1, correction=0).tolist() == pytest.approx([14 / 3, 14 / 3])
    assert F.std(x, 1).tolist() == pytest.approx([7**0.5] * 2)
    assert F.amax(x, (0, 1)).item() == 6
    assert F.amin(x, 0).tolist() == [1, 0, 5]
    assert F.argmax(x).item() == 2
    assert F.argmax(x, 0).tolist() == [1, 0, 0]
    assert F.argmin(x, 1, keepdim=True).tolist() == [[0], [1]]


def test_ties_share_the_gradient_in_total_and_the_first_takes_it_along_an_axis(device):
    data = [[3.0, 3.0, 1.0, 3.0], [2.0, 0.0, 2.0, 1.0]]
    assert gradient(lambda x: F.amax(x, 1), data) == pytest.approx(np.array([[1, 1, 0, 1], [1.5, 0, 1.5, 0]]) / 3)
    assert gradient(F.max, data) == pytest.approx(np.array([[1, 1, 0, 1], [0, 0, 0, 0]]) / 3)
    assert gradient(lambda x: F.max(x, 1), data) == [[1, 0, 0, 0], [1, 0, 0, 0]]
    assert gradient(F.min, data) == [[0, 0, 0, 0], [0, 1, 0, 0]]
    assert F.max(mc.tensor(data), 1).indices.tolist() == [0, 0]


def test_nan_is_largest_and_smallest(device):
    x = mc.tensor([1.0, NAN, 5.0, NAN])
    for function in (F.max, F.min, F.amax, F.amin):
        assert np.isnan(function(x).item())
    assert F.argmax(x).item() == F.argmin(x).item() == F.max(x, 0).indices.item() == 1
    assert gradient(F.max, x.tolist()) == [0, 0.5, 0, 0.5]
    assert np.isnan(gradient(F.amax, x.tolist())).all()


def test_max_and_min_give_named_pairs_and_take_a_second_tensor(device):
    x = mc.tensor([[1.0, 7.0, 3.0]])
    result = x.max(1)
    assert (result.values.tolist(), result.indices.tolist()) == ([7.0], [1])
    assert result.indices.dtype == mc.int64
    values, indices = x.min(dim=1, keepdim=True)
    assert (values.tolist(), indices.tolist()) == ([[1.0]], [[0]])
    assert F.max(x, mc.tensor([2.0, 2.0, 9.0])).tolist() == [[2.0, 7.0, 9.0]]


def test_types(device):
    for dtype in (mc.bool, mc.uint8, mc.int8, mc.int32, mc.int64):
        x = mc.ones(300, dtype=dtype)
        assert F.sum(x).dtype == mc.int64
        assert F.sum(x).item() == 300
        assert F.amax(x).dtype == dtype
    assert F.sum(mc.ones(2)).dtype == mc.float32
    assert F.argmax(mc.ones(2)).dtype == mc.int64


def test_sums_of_many_float32_numbers_do_not_drift(device):
    x = np.full((200_000, 3), 0.1, np.float32)
    exact = x[:, 0].astype(np.float64)
    y = mc.tensor(x)
    assert F.sum(y, 0).numpy() == pytest.approx(np.full(3, exact.sum()), rel=1e-7)
    assert F.mean(y, 0).numpy() == pytest.approx(np.full(3, exact.mean()), rel=1e-7)


def test_variance_of_numbers_far_from_zero(device):
    x = (10_000 + np.random.default_rng(0).standard_normal((50, 3))).astype(np.float32)
    expected = x.astype(np.float64).var(axis=0, ddof=1)
    np.testing.assert_allclose(F.var(mc.tensor(x), 0).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(F.std(mc.tensor(x), 0).numpy(), np.sqrt(expected), rtol=1e-6)


def test_variance_of_too_few_numbers_has_no_value(device):
    x = mc.tensor([1.0, 3.0])
    assert F.var(x, correction=2).item() == F.var(x, correction=3).item() == INF
    assert np.isnan(F.var(mc.tensor([1.0])).item())
    assert np.isnan(F.var(mc.zeros(0)).item())


def test_std_of_equal_numbers_has_gradient_zero(device):
    assert gradient(F.std, [2.0, 2.0, 2.0]) == [0, 0, 0]


def test_reductions_of_nothing(device):
    x = mc.zeros(0, 3)
    assert F.sum(x).item() == 0
    assert F.sum(x, 0).tolist() == [0, 0, 0]
    assert np.isnan(F.mean(x).item())
    assert F.max(x, 1).values.shape == F.amax(x, 1).shape == (0,)


def test_gradients_own_their_memory(device):
    x = mc.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    (y,) = mc.grad(F.sum(x), x)
    y[0, 0] = 5
    assert y.tolist() == [[5, 1, 1]]
