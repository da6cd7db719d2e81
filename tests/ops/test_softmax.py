"""Facts about softmax, log_softmax and logsumexp that are known without any other implementation."""

import math

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F


def test_by_hand(device):
    x = mc.tensor(np.log([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(F.softmax(x, 1).numpy(), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15)
    np.testing.assert_allclose(F.log_softmax(x, 1).numpy(), np.log([[1 / 8, 2 / 8, 5 / 8]]), rtol=1e-15)
    np.testing.assert_allclose(F.logsumexp(x, 1).numpy(), [math.log(8)], rtol=1e-15)


def test_gradients_by_hand(device):
    # y = softmax: dy_i/dx_j = y_i ([i = j] − y_j); log_softmax: [i = j] − y_j; logsumexp: y_j.
    y = np.array([1 / 8, 2 / 8, 5 / 8])
    x = mc.tensor(np.log([1.0, 2.0, 5.0]), requires_grad=True)
    first = mc.tensor(np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(mc.grad(F.softmax(x, 0), [x], first)[0].numpy(), y[0] * ([1, 0, 0] - y), rtol=1e-14)
    np.testing.assert_allclose(mc.grad(F.log_softmax(x, 0), [x], first)[0].numpy(), [1, 0, 0] - y, rtol=1e-14)
    np.testing.assert_allclose(mc.grad(F.logsumexp(x, 0), [x])[0].numpy(), y, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_add_up_to_1_and_a_shift_changes_nothing(dtype, device):
    x = np.random.default_rng(0).integers(-50, 50, (5, 300, 3)).astype(dtype)
    y = F.softmax(mc.tensor(x), 1).numpy()
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(F.softmax(mc.tensor(x + 4096), 1).numpy(), y)  # exact: whole numbers


def test_huge_scores_do_not_overflow(device):
    x = mc.tensor(np.array([[1e4, 1e4 - 1, -1e4]], np.float32))
    e = math.exp(-1)
    np.testing.assert_allclose(F.softmax(x, 1).numpy(), [[1 / (1 + e), e / (1 + e), 0]], rtol=1e-6)
    np.testing.assert_allclose(F.log_softmax(x, 1).numpy()[0, 2], -2e4 - math.log1p(e), rtol=1e-6)
    np.testing.assert_allclose(F.logsumexp(x, 1).numpy(), [1e4 + math.log1p(e)], rtol=1e-6)


def test_infinite_rows(device):
    x = mc.tensor([[-math.inf, -math.inf], [-math.inf, 3.0], [math.inf, 3.0]])
    np.testing.assert_array_equal(F.softmax(x, 1).numpy(), [[math.nan] * 2, [0, 1], [math.nan] * 2])
    np.testing.assert_array_equal(F.log_softmax(x, 1).numpy(), [[math.nan] * 2, [-math.inf, 0], [math.nan] * 2])
    np.testing.assert_array_equal(F.logsumexp(x, 1).numpy(), [-math.inf, 3, math.inf])


def test_log_softmax_is_exact_where_softmax_is_0(device):
    x = mc.tensor(np.array([0.0, -800.0]), requires_grad=True)
    assert F.softmax(x, 0).numpy()[1] == 0
    assert F.log_softmax(x, 0).numpy()[1] == -800


def test_axis_is_named(device):
    with pytest.raises(mc.errors.ShapeError, match="name the axis of the classes, dim=1 in a batch"):
        F.softmax(mc.tensor([[1.0, 2.0]]))
