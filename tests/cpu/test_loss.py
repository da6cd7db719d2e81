"""cross_entropy of labels on the CPU agrees with the definition in float64."""

import itertools

import numpy as np
import pytest

from minicnn.cpu import loss as cpu
from minicnn.ops import loss as definition

SHAPES = ((1, 1), (5,), (7, 3), (64, 40), (3, 65), (16, 1000), (2, 5, 3), (2, 5, 3, 4), (0, 3))


def in_order(x, order):
    return np.asfortranarray(x) if order == "F" else np.ascontiguousarray(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_options(shape, dtype):
    rng = np.random.default_rng(0)
    axis = definition.class_axis(len(shape))
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    labels = rng.integers(0, shape[axis], shape[:axis] + shape[axis + 1 :])
    for ignored, reduction, smoothing, order in itertools.product(
        (-100, 0), ("none", "mean", "sum"), (0, 0.2, 1), "CF"
    ):
        options = (None, ignored, reduction, smoothing)
        loss, cache = cpu.cross_entropy_forward(in_order(x, order), labels, *options)
        expected, definition_cache = definition.cross_entropy_forward(x.astype(np.float64), labels, *options)
        dloss = np.asarray(rng.standard_normal(np.shape(expected)))
        dx, dtarget = cpu.cross_entropy_backward(dloss.astype(dtype), cache)
        expected_dx, _ = definition.cross_entropy_backward(dloss, definition_cache)
        assert loss.dtype == dx.dtype == dtype
        assert dtarget is None
        bound = 1e-13 if dtype == np.float64 else 1e-6
        for actual, wanted in ((loss, expected), (dx, expected_dx)):
            # A class that is alone has a gradient of 0, but only to the rounding of what cancels.
            scale = max(
                np.abs(wanted[np.isfinite(wanted)]).max(initial=0), np.abs(dloss).max(initial=0) / max(x.size, 1)
            )
            np.testing.assert_allclose(actual, wanted, rtol=0, atol=bound * scale)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_weights_and_given_probabilities(weighted, given):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 5))
    target = rng.dirichlet(np.ones(5), 6) if given else rng.integers(0, 5, 6)
    options = (rng.uniform(0.5, 2, 5) if weighted else None, -100, "mean", 0.1)
    loss, cache = cpu.cross_entropy_forward(x, target, *options)
    expected, definition_cache = definition.cross_entropy_forward(x, target, *options)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)
    one, needs = np.ones(()), (True, given)
    gradients = cpu.cross_entropy_backward(one, cache, needs)
    for actual, wanted in zip(gradients, definition.cross_entropy_backward(one, definition_cache, needs)):
        assert (actual is None) == (wanted is None)
        if wanted is not None:
            np.testing.assert_allclose(actual, wanted, rtol=1e-13)
