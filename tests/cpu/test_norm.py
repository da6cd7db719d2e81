"""The kernels of normalisation: every channel count against the definition in float64, threads change nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.cpu import norm as cpu
from minicnn.ops import norm as definition

TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-10}
CHANNELS = [*range(1, 66), 96, 130]


def double(value: Any) -> Any:
    return value.astype(np.float64) if isinstance(value, np.ndarray) else value


def assert_near(actual: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected):
            assert_near(a, e)
    elif expected is None:
        assert actual is None
    else:
        assert actual.shape == expected.shape
        bound = TOLERANCE.get(actual.dtype)
        assert np.abs(actual - expected).max(initial=0) <= bound * np.abs(expected).max(initial=0)


def compare(name: str, x: np.ndarray, *options: Any) -> None:
    """Compare the results and all gradients of a pair."""
    forward: Callable[..., Any] = getattr(cpu, f"{name}_forward")
    result, cache = forward(x, *options)
    expected, definition_cache = getattr(definition, f"{name}_forward")(double(x), *map(double, options))
    y = result[0] if isinstance(result, tuple) else result
    assert y.dtype == x.dtype
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert_near(result, expected)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    gradients = getattr(cpu, f"{name}_backward")(dy, cache)
    assert_near(gradients, getattr(definition, f"{name}_backward")(double(dy), definition_cache))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_channel_count(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    for channels in CHANNELS:
        x = (3 + rng.standard_normal((3, channels, 5, 7))).astype(dtype)
        w, b, mean = rng.standard_normal((3, channels)).astype(dtype)
        variance = rng.uniform(0.5, 2, channels).astype(dtype)
        compare("batch_norm", x, w, b, 1e-5)
        compare("batch_norm", x, None, b, 1e-5)
        compare("batch_norm_eval", x, mean, variance, w, None, 1e-3)
        compare("local_response_norm", x, 5, 0.5, 0.75, 2.0)
        compare("local_response_norm", x, 4, 0.5, 0.6, 1.0)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 40])
@pytest.mark.parametrize("channels", [1, 3, 16, 20])
def test_every_window_of_the_response(channels: int, size: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, channels, 3, 5)).astype(np.float32)
    compare("local_response_norm", x, size, 0.5, 0.75, 1.0)


def test_zeros_in_the_response() -> None:
    x = np.zeros((1, 18, 1, 2), np.float32)
    x[0, 3] = 2
    compare("local_response_norm", x, 3, 0.5, 0.75, 1.0)
    with np.errstate(all="ignore"):
        y, cache = cpu.local_response_norm_forward(x, 3, 0.5, 0.75, 0.0)  # 0 · 0^−β = nan, and only there
        expected, expected_cache = definition.local_response_norm_forward(x, 3, 0.5, 0.75, 0.0)
        np.testing.assert_allclose(y, expected, rtol=2e-6)
        dx = cpu.local_response_norm_backward(np.ones_like(x), cache)
        np.testing.assert_allclose(
            dx, definition.local_response_norm_backward(np.ones_like(x), expected_cache), rtol=2e-5
        )


@pytest.mark.parametrize(("offset", "dtype"), [(0, np.float32), (1000, np.float32), (1e4, np.float64)])
@pytest.mark.parametrize("shape", [(64, 3, 31, 23), (7, 50, 13, 11)])
def test_many_numbers_far_from_zero(shape: tuple[int, ...], offset: float, dtype: Any) -> None:
    x = (offset + np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    compare("batch_norm", x, np.ones(shape[1], dtype), np.zeros(shape[1], dtype), 1e-5)


def test_an_outlier_in_front_costs_no_digits() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 40, 30)).astype(np.float32)
    x[0, :, 0, 0] = 1e5
    compare("batch_norm", x, None, None, 1e-5)


def test_a_number_that_is_not_finite_spoils_its_channel_alone() -> None:
    for value in (np.nan, np.inf, -np.inf):
        for place in ((0, 1, 0, 0), (1, 1, 2, 3)):
            x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
            x[place] = value
            (y, mean, variance), _ = cpu.batch_norm_forward(x, None, None, 1e-5)
            (expected, wanted_mean, wanted_variance), _ = definition.batch_norm_forward(x, None, None, 1e-5)
            np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(mean, wanted_mean, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(variance, wanted_variance, rtol=1e-5)


def test_gradients_nobody_wants_are_not_computed() -> None:
    x, w = np.random.default_rng(0).standard_normal((2, 3, 4, 5)), np.ones(3)
    _, cache = cpu.batch_norm_forward(x, w, w, 1e-5)
    _, eval_cache = cpu.batch_norm_eval_forward(x, w, w, w, w, 1e-5)
    for needs in ((True, False, False), (False, True, False), (False, False, True)):
        assert [g is not None for g in cpu.batch_norm_backward(x, cache, needs)] == list(needs)
        assert [g is not None for g in cpu.batch_norm_eval_backward(x, eval_cache, needs)] == list(needs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_image_has_the_same_bits(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for channels in (1, 3, 16, 20, 64, 130):
        x, dy = rng.standard_normal((2, 3, channels, 13, 11)).astype(dtype)
        w, b, mean = rng.standard_normal((3, channels)).astype(dtype)
        results: list[list[np.ndarray]] = []
        for large, huge in ((1, 1), (1, 1 << 40), (1 << 40, 1 << 40)):
            monkeypatch.setattr(cpu, "LARGE", large)
            monkeypatch.setattr(cpu, "HUGE", huge)
            (y, *moments), cache = cpu.batch_norm_forward(x, w, b, 1e-5)
            z, eval_cache = cpu.batch_norm_eval_forward(x, mean, w * w, w, b, 1e-5)
            gradients = (*cpu.batch_norm_backward(dy, cache), *cpu.batch_norm_eval_backward(dy, eval_cache))
            results.append([y, *moments, z, *gradients])
        for small, *others in zip(*reversed(results)):
            for other in others:
                np.testing.assert_array_equal(other, small)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_threads_change_no_bit(threads: int, thread_count: Any) -> None:
    x = np.random.default_rng(0).standard_normal((13, 20, 17, 19)).astype(np.float32)
    dy = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    w = np.linspace(1, 2, 20, dtype=np.float32)

    def results() -> list[np.ndarray]:
        (y, mean, variance), cache = cpu.batch_norm_forward(x, w, w, 1e-5)
        z, response_cache = cpu.local_response_norm_forward(x, 5, 0.5, 0.75, 1.0)
        gradients = cpu.batch_norm_backward(dy, cache)
        return [y, mean, variance, *gradients, z, cpu.local_response_norm_backward(dy, response_cache)]

    before = results()
    thread_count(threads)
    for a, b in zip(before, results()):
        np.testing.assert_array_equal(a, b)
