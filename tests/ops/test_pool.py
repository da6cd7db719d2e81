"""Facts about pooling worked out by hand or by plain loops; the cases against PyTorch are in tests/cases/pool.py."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from tests.ops.test_operations import LAYOUTS, assert_close, laid_out


def channels_last(tensor: mc.Tensor) -> bool:
    return bool(tensor.data.transpose(0, 2, 3, 1).flags.c_contiguous)


def image(rows: Any, device: str) -> mc.Tensor:
    return mc.tensor(np.array([[rows]], np.float64), device=device, requires_grad=True)


def test_overlapping_maximum_by_hand(device: str) -> None:
    x = image([[1, 2, 3, 4, 5], [9, 8, 7, 6, 0], [1, 1, 8, 1, 1]], device)
    y, indices = F.max_pool2d(x, (2, 3), stride=(1, 2), return_indices=True)
    np.testing.assert_array_equal(y.numpy(), [[[[9, 7], [9, 8]]]])
    np.testing.assert_array_equal(indices.numpy(), [[[[5, 7], [5, 12]]]])  # h·W + w
    y.backward(mc.tensor([[[[1.0, 10.0], [100.0, 1000.0]]]], dtype=np.float64, device=device))
    expected = np.zeros((3, 5))
    expected[1, 0], expected[1, 2], expected[2, 2] = 1 + 100, 10, 1000  # the 9 wins two windows
    np.testing.assert_array_equal(x.grad.numpy()[0, 0], expected)


def test_the_padding_never_wins(device: str) -> None:
    x = mc.tensor(-np.ones((2, 3, 4, 5), np.float32), device=device)
    y = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)
    assert (y.numpy() == -1).all()
    lowest = mc.tensor(np.full((1, 1, 3, 4), -np.inf, np.float32), device=device)
    y, indices = F.max_pool2d(lowest, (2, 3), padding=1, return_indices=True)
    assert (y.numpy() == -np.inf).all()
    np.testing.assert_array_equal(indices.numpy(), [[[[0, 2], [4, 6]]]])  # pixels, though all are −inf


def test_the_first_of_equal_pixels_has_the_gradient(device: str) -> None:
    x = image([[3, 5, 5], [5, 1, 5]], device)
    y, indices = F.max_pool2d(x, (2, 3), return_indices=True)
    y.backward(mc.tensor([[[[2.0]]]], dtype=np.float64, device=device))
    assert indices.item() == 1
    np.testing.assert_array_equal(x.grad.numpy(), [[[[0, 2, 0], [0, 0, 0]]]])


def test_nan_wins(device: str) -> None:
    for pool in (lambda x: F.max_pool2d(x, (2, 3)), lambda x: F.adaptive_max_pool2d(x, 1)):
        x = image([[math.inf, math.nan, 1], [2, 3, math.inf]], device)
        y = pool(x)
        y.backward(mc.tensor([[[[4.0]]]], dtype=np.float64, device=device))
        assert math.isnan(y.item())
        np.testing.assert_array_equal(x.grad.numpy(), [[[[0, 4, 0], [0, 0, 0]]]])


def test_averages_by_hand(device: str) -> None:
    x = image([[1, 2, 3], [4, 5, 6]], device)

    def average(**options: Any) -> list[Any]:
        return F.avg_pool2d(x, 2, padding=1, **options).tolist()[0][0]

    assert average() == [[1 / 4, 5 / 4], [4 / 4, 11 / 4]]
    assert average(count_include_pad=False) == [[1, 5 / 2], [4, 11 / 2]]
    assert average(divisor_override=-2) == [[-1 / 2, -5 / 2], [-4 / 2, -11 / 2]]
    # the third column of windows would start in the right padding: ceil_mode does not add it
    assert average(ceil_mode=True) == average()
    # the last window of a row has one pixel only, and is divided by one
    assert F.avg_pool2d(x, (2, 2), ceil_mode=True).tolist()[0][0] == [[12 / 4, 9 / 2]]


def test_gradient_of_overlapping_averages_adds_up(device: str) -> None:
    x = image(np.zeros((1, 4)), device)
    F.avg_pool2d(x, (1, 2), stride=1).backward(mc.tensor([[[[2.0, 4.0, 8.0]]]], dtype=np.float64, device=device))
    np.testing.assert_array_equal(x.grad.numpy(), [[[[1, 3, 6, 4]]]])


def test_adaptive_windows_by_hand(device: str) -> None:
    x = image([[1, 2, 4, 8, 16]], device)  # windows 0…1, 1…3, 3…4
    np.testing.assert_allclose(F.adaptive_avg_pool2d(x, (1, 3)).numpy(), [[[[3 / 2, 14 / 3, 24 / 2]]]])
    y, indices = F.adaptive_max_pool2d(x, (1, 3), return_indices=True)
    np.testing.assert_array_equal(y.numpy(), [[[[2, 8, 16]]]])
    np.testing.assert_array_equal(indices.numpy(), [[[[1, 3, 4]]]])
    F.adaptive_avg_pool2d(x, (1, 3)).backward(mc.tensor([[[[2.0, 3.0, 4.0]]]], dtype=np.float64, device=device))
    np.testing.assert_allclose(x.grad.numpy(), [[[[1, 1 + 1, 1, 1 + 2, 2]]]])


def test_adaptive_pooling_to_nothing_is_empty(device: str) -> None:
    x = mc.tensor(np.ones((2, 3, 4, 5), np.float32), device=device)
    assert F.adaptive_avg_pool2d(x, (0, 2)).shape == (2, 3, 0, 2)
    assert F.adaptive_max_pool2d(x, (2, 0)).shape == (2, 3, 2, 0)


def test_lp_pooling_by_hand(device: str) -> None:
    x = image([[3, 4], [0, 12]], device)
    assert F.lp_pool2d(x, 2, 2).item() == pytest.approx(13)
    assert F.lp_pool2d(x, 1, (1, 2)).tolist() == [[[[7], [12]]]]


def test_the_cache_of_maximum_pooling_is_one_byte_per_output(device: str) -> None:
    x = mc.tensor(np.ones((1, 2, 6, 9), np.float32), device=device, requires_grad=True)
    assert F.max_pool2d(x, 3, stride=2).grad_fn.saved[0].dtype == np.uint8


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, (3, 2), stride=2, padding=1),
        lambda x: F.avg_pool2d(x, (3, 2), stride=2, padding=1),
        lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
        lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    ],
    ids=["max", "avg", "adaptive_avg", "adaptive_max"],
)
def test_results_are_channels_last_in_memory(pool: Any, layout: str, device: str) -> None:
    x = mc.tensor(0.0, device=device)
    x.data = laid_out(np.random.default_rng(0).standard_normal((2, 3, 7, 5)), layout)
    x.requires_grad = True
    y = pool(x)
    y.backward(mc.tensor(np.ones(y.shape), device=device))
    assert channels_last(y)
    assert channels_last(x.grad)


@pytest.mark.parametrize("seed", range(40))
def test_any_window_is_pytorchs(seed: int, device: str) -> None:
    rng = np.random.default_rng(seed)
    kernel, stride, dilation = (tuple(map(int, rng.integers(1, 5, 2))) for _ in range(3))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    ceil_mode, count_include_pad = map(bool, rng.integers(0, 2, 2))
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 20)), *(int(rng.integers(s, s + 9)) for s in span))
    dtype = (np.float64, np.float32)[seed % 2]
    array = rng.integers(-3, 4, shape).astype(dtype)  # many ties
    array[rng.random(shape) < 0.1] = np.nan if seed % 3 == 0 else -np.inf
    layout = LAYOUTS[seed % 3]

    def compare(ours: Any, theirs: Any) -> None:
        x = mc.tensor(0.0, device=device)
        x.data = laid_out(array, layout)
        x.requires_grad = True
        t = torch.tensor(array, requires_grad=True)
        y, wanted = ours(x), theirs(t)
        if isinstance(y, tuple):
            np.testing.assert_array_equal(y[1].numpy(), wanted[1].numpy())
            y, wanted = y[0], wanted[0]
        assert_close("y", y.numpy(), wanted.detach().numpy())
        dy = rng.standard_normal(y.shape).astype(dtype)
        (dx,) = mc.grad(y, x, mc.tensor(dy, device=device))
        (expected,) = torch.autograd.grad(wanted, t, torch.tensor(dy))
        assert_close("dx", dx.numpy(), expected.numpy())

    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    of_maximum = {**options, "dilation": dilation, "return_indices": True}
    of_average = {**options, "count_include_pad": count_include_pad}
    compare(
        lambda x: F.max_pool2d(x, kernel, **of_maximum),
        lambda x: torch.nn.functional.max_pool2d(x, kernel, **of_maximum),
    )
    array = np.nan_to_num(array, nan=1.5, neginf=-1.5)
    compare(
        lambda x: F.avg_pool2d(x, kernel, **of_average),
        lambda x: torch.nn.functional.avg_pool2d(x, kernel, **of_average),
    )
    output = tuple(map(int, rng.integers(1, 9, 2)))
    compare(lambda x: F.adaptive_avg_pool2d(x, output), lambda x: torch.nn.functional.adaptive_avg_pool2d(x, output))
    compare(
        lambda x: F.adaptive_max_pool2d(x, output, True),
        lambda x: torch.nn.functional.adaptive_max_pool2d(x, output, True),
    )


@pytest.mark.full
def test_two_thousand_windows_are_pytorchs(device: str) -> None:
    for seed in range(40, 2000):
        test_any_window_is_pytorchs(seed, device)
