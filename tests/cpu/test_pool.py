"""Pooling's kernels: every channel count against the definition, no write outside, threads change nothing."""

from typing import Any

import numpy as np
import pytest

from minicnn.cpu import pool as cpu
from minicnn.cpu.threads import flat
from minicnn.ops import pool as definition
from minicnn.ops.pool import _output

TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}
CHANNELS = [*range(1, 66), 96, 130]
# kernel, stride, padding, dilation of windows over a 7 × 9 image
WINDOWS = [
    ((2, 2), (2, 2), (0, 0), (1, 1)),
    ((3, 2), (2, 1), (1, 1), (1, 1)),
    ((3, 3), (1, 2), (1, 1), (2, 3)),
    ((1, 2), (3, 4), (0, 1), (1, 1)),
]


def images(channels: int, dtype: Any, n: int = 2) -> np.ndarray:
    return np.random.default_rng(channels).standard_normal((n, channels, 7, 9)).astype(dtype)


def assert_near(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= TOLERANCE[actual.dtype] * np.abs(expected).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_every_channel_count(window: Any, ceil_mode: bool, dtype: Any) -> None:
    kernel, stride, padding, dilation = window
    output = _output("", (7, 9), kernel, stride, padding, dilation, ceil_mode)
    plain = _output("", (7, 9), kernel, stride, padding, (1, 1), ceil_mode)
    for channels in CHANNELS:
        x = images(channels, dtype)
        y, cache = cpu.max_pool2d_forward(x, kernel, stride, padding, dilation, output)
        expected, definition_cache = definition.max_pool2d_forward(x, kernel, stride, padding, dilation, output)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(cache[0], definition_cache[0])
        dy = np.round(4 * np.random.default_rng(1).standard_normal(y.shape)).astype(dtype)  # sums without rounding
        dx = cpu.max_pool2d_backward(dy, cache)
        np.testing.assert_array_equal(dx, definition.max_pool2d_backward(dy, definition_cache))

        options = (kernel, stride, padding, plain, False, None)
        y, cache = cpu.avg_pool2d_forward(x, *options)
        expected, definition_cache = definition.avg_pool2d_forward(x.astype(np.float64), *options)
        assert_near(y, expected)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
        dx = cpu.avg_pool2d_backward(dy, cache)
        assert_near(dx, definition.avg_pool2d_backward(dy.astype(np.float64), definition_cache))


@pytest.mark.parametrize("output", [(1, 1), (3, 4), (7, 9), (8, 5)])
def test_adaptive_averages(output: tuple[int, int]) -> None:
    for channels in (1, 7, 16, 33):
        x = images(channels, np.float32)
        y, cache = cpu.adaptive_avg_pool2d_forward(x, output)
        expected, definition_cache = definition.adaptive_avg_pool2d_forward(x.astype(np.float64), output)
        assert_near(y, expected)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
        dx = cpu.adaptive_avg_pool2d_backward(dy, cache)
        assert_near(dx, definition.adaptive_avg_pool2d_backward(dy.astype(np.float64), definition_cache))


def test_an_average_of_many_pixels_keeps_its_digits() -> None:
    x = (1 + np.random.default_rng(0).random((1, 3, 300, 200))).astype(np.float32)
    y, _ = cpu.adaptive_avg_pool2d_forward(x, (1, 1))
    np.testing.assert_allclose(y[:, :, 0, 0], x.mean(axis=(2, 3), dtype=np.float64), rtol=2e-6)


def test_more_than_256_taps() -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 19, 20)).astype(np.float32)
    options = ((17, 18), (1, 1), (0, 0), (1, 1), (3, 3))
    y, cache = cpu.max_pool2d_forward(x, *options)
    expected, definition_cache = definition.max_pool2d_forward(x, *options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(cache[0], definition_cache[0])
    dy = np.ones(y.shape, np.float32)
    np.testing.assert_array_equal(
        cpu.max_pool2d_backward(dy, cache), definition.max_pool2d_backward(dy, definition_cache)
    )


@pytest.mark.parametrize("channels", [1, 3, 8, 15, 16, 17, 40])
def test_nothing_outside_the_results_is_written(channels: int) -> None:
    guards: list[tuple[np.ndarray, int]] = []

    def guarded(size: int, dtype: Any = np.float32) -> np.ndarray:
        """Return room for `size` numbers in the middle of 77s."""
        whole = np.full(size + 128, 77, dtype)
        guards.append((whole, size))
        return whole[64 : 64 + size]

    (h, w), (oh, ow) = (7, 9), (3, 4)
    x = flat(np.ascontiguousarray(images(channels, np.float32, n=1).transpose(0, 2, 3, 1)))
    dy, size, image = np.ones(oh * ow * channels, np.float32), oh * ow * channels, h * w * channels
    axes = ((h, oh, 2, 2, 0, 1), (w, ow, 2, 2, 0, 1))
    forward, backward = list(map(cpu.windows, axes)), [cpu.memberships(axes[0]), cpu.windows(axes[1])]
    winner = guarded(size, np.uint8)
    step = (w * channels, channels)
    cpu.max_kernel(oh, x, guarded(size), winner, *forward, (h, w), (oh, ow), channels, 2, *step)
    cpu.max_backward_kernel(h, dy, winner, guarded(image), *backward, (h, w), (oh, ow), channels, 2, channels)
    numbers = np.full(oh * ow, 4, np.float32)
    cpu.average_kernel(oh, x, guarded(size), numbers, *forward, (h, w), (oh, ow), channels)
    cpu.average_backward_kernel(h, dy, guarded(image), numbers, *backward, (h, w), (oh, ow), channels)
    for whole, count in guards:
        assert (whole[:64] == 77).all()
        assert (whole[64 + count :] == 77).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_threads_change_no_bit(threads: int, thread_count: Any) -> None:
    x = images(20, np.float32, n=3)
    window = ((3, 2), (2, 1), (1, 1))
    output = _output("", (7, 9), *window, (1, 1), False)

    def results() -> list[np.ndarray]:
        y, cache = cpu.max_pool2d_forward(x, *window, (1, 1), output)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
        mean, mean_cache = cpu.avg_pool2d_forward(x, *window, output, True, None)
        return [y, cpu.max_pool2d_backward(dy, cache), mean, cpu.avg_pool2d_backward(dy, mean_cache)]

    before = results()
    thread_count(threads)
    for a, b in zip(before, results()):
        np.testing.assert_array_equal(a, b)
