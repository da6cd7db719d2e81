"""Facts about activations that are known without any other implementation."""

import math

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F


def slope(f, at, dtype=np.float64):
    """Return the gradient of f at one number."""
    x = mc.tensor(np.array([at], dtype), requires_grad=True)
    return mc.grad(f(x), [x], mc.tensor(np.ones(1, dtype)))[0].item()


def test_values_by_hand(device):
    x = mc.tensor([-2.0, 0.0, 1.0])
    np.testing.assert_array_equal(F.relu(x).numpy(), [0, 0, 1])
    np.testing.assert_allclose(F.leaky_relu(x).numpy(), [-0.02, 0, 1], rtol=1e-7)
    np.testing.assert_allclose(F.sigmoid(x).numpy(), [1 / (1 + math.e**2), 0.5, math.e / (1 + math.e)], rtol=1e-6)
    np.testing.assert_allclose(F.softplus(mc.tensor([0.0])).numpy(), [math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(F.silu(mc.tensor([0.0, 1.0])).numpy(), [0, math.e / (1 + math.e)], rtol=1e-6)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (F.relu, 0.0),
        (F.leaky_relu, 0.01),
        (F.sigmoid, 0.25),
        (F.tanh, 1.0),
        (F.softplus, 0.5),
        (F.logsigmoid, 0.5),
        (F.silu, 0.5),
        (F.gelu, 0.5),
        (lambda x: F.gelu(x, "tanh"), 0.5),
        (F.erf, 2 / math.sqrt(math.pi)),
        (F.log1p, 1.0),
    ],
    ids=["relu", "leaky", "sigmoid", "tanh", "softplus", "logsigmoid", "silu", "gelu", "gelu-tanh", "erf", "log1p"],
)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_gradients_at_0(f, expected, zero, device):
    assert slope(f, zero) == pytest.approx(expected, rel=1e-15, abs=0)


def test_erf_is_that_of_the_c_library(device):
    rng = np.random.default_rng(0)
    ends = [0.0, 1e-30, 1e-9, 1 / 8192, 3 / 8192, 5.9, 6.0, 6.1, 30.0, 1e30]
    x = np.concatenate([rng.uniform(-6.5, 6.5, 20_000), rng.normal(size=1000) * 1e-3, ends, np.negative(ends)])
    expected = np.array([math.erf(v) for v in x])
    y = F.erf(mc.tensor(x)).numpy()
    np.testing.assert_allclose(y, expected, rtol=5e-16, atol=0)
    np.testing.assert_allclose(F.erf(mc.tensor(x.astype(np.float32))).numpy(), expected, rtol=3e-7, atol=1e-37)
    special = F.erf(mc.tensor([math.inf, -math.inf, math.nan, -0.0])).numpy()
    np.testing.assert_array_equal(special, [1, -1, math.nan, -0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_of_the_smooth_ones(dtype, device):
    # Beyond the ends the exact value is known to the last bit; e^x alone would overflow.
    x = mc.tensor(np.array([-1e4, 1e4, -math.inf, math.inf], dtype))
    np.testing.assert_array_equal(F.sigmoid(x).numpy(), [0, 1, 0, 1])
    np.testing.assert_array_equal(F.tanh(x).numpy(), [-1, 1, -1, 1])
    np.testing.assert_array_equal(F.softplus(x).numpy(), np.array([0, 1e4, 0, math.inf], dtype))
    np.testing.assert_array_equal(F.logsigmoid(x).numpy(), np.array([-1e4, 0, -math.inf, 0], dtype))
    np.testing.assert_array_equal(F.gelu(x[:2]).numpy(), np.array([0, 1e4], dtype))
    assert F.gelu(x[3:]).item() == math.inf
    for f, slopes in ((F.sigmoid, (0, 0)), (F.tanh, (0, 0)), (F.softplus, (0, 1)), (F.logsigmoid, (1, 0))):
        assert (slope(f, -1e4, dtype), slope(f, 1e4, dtype)) == slopes
        assert (slope(f, -math.inf, dtype), slope(f, math.inf, dtype)) == slopes


def test_small_results_keep_their_digits(device):
    # 1 / (1 + e^40) is far below the rounding of 1; ln (1 + e^−40) too.
    small = math.exp(-40)
    assert F.sigmoid(mc.tensor(np.array([-40.0]))).item() == pytest.approx(small, rel=1e-15)
    assert F.logsigmoid(mc.tensor(np.array([40.0]))).item() == pytest.approx(-small, rel=1e-15)
    assert F.softplus(mc.tensor(np.array([-40.0]))).item() == pytest.approx(small, rel=1e-15)
    assert F.log1p(mc.tensor(np.array([1e-20]))).item() == 1e-20


def test_softplus_is_straight_only_beyond_its_threshold(device):
    x = mc.tensor(np.array([2.0, np.nextafter(2.0, 3)]))
    y = F.softplus(x, beta=1.5, threshold=3.0).numpy()
    assert y[0] == pytest.approx(math.log1p(math.exp(3)) / 1.5, rel=1e-15)
    assert y[1] == x.numpy()[1]
