"""Facts about normalisation that the cases in tests/cases/norm.py do not show."""

from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn.errors import DeviceError, GradientError, NumericsError
from tests.ops.test_operations import LAYOUTS, assert_close, laid_out


def tensors(*arrays: Any, device: str, dtype: Any = np.float64) -> list[mc.Tensor]:
    return [mc.tensor(np.array(a, dtype), device=device) for a in arrays]


def channels_last(tensor: mc.Tensor) -> bool:
    return bool(tensor.data.transpose(0, 2, 3, 1).flags.c_contiguous)


def test_batch_norm_by_hand(device: str) -> None:
    x, mean, var, w, b = tensors([[1, 0], [3, 4]], [10, 10], [1, 1], [2, 1], [0, 5], device=device)
    y = F.batch_norm(x, mean, var, w, b, training=True, momentum=0.25, eps=1e-30)
    np.testing.assert_allclose(y.numpy(), [[-2, 4], [2, 6]])
    np.testing.assert_allclose(mean.numpy(), [0.75 * 10 + 0.25 * 2, 0.75 * 10 + 0.25 * 2])
    np.testing.assert_allclose(var.numpy(), [0.75 + 0.25 * 2, 0.75 + 0.25 * 8])  # unbiased: divided by 2 − 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (3, 3, 5, 4)])
def test_running_statistics_are_pytorchs_over_several_steps(shape: tuple[int, ...], dtype: Any, device: str) -> None:
    rng = np.random.default_rng(0)
    start = np.array([0.5, -1, 2]), np.array([0.25, 1, 3])
    mean, var = tensors(*start, device=device, dtype=dtype)
    expected_mean, expected_var = (torch.tensor(a.astype(dtype)) for a in start)
    for step in range(5):
        x = (rng.standard_normal(shape) * (step + 1) + step).astype(dtype)
        momentum = (0.1, 0.5, 1.0, 0.0, 0.3)[step]
        F.batch_norm(mc.tensor(x, device=device), mean, var, training=True, momentum=momentum)
        torch.nn.functional.batch_norm(torch.tensor(x), expected_mean, expected_var, training=True, momentum=momentum)
        assert_close("running_mean", mean.numpy(), expected_mean.numpy())
        assert_close("running_var", var.numpy(), expected_var.numpy())
    x = rng.standard_normal(shape).astype(dtype)
    y = F.batch_norm(mc.tensor(x, device=device), mean, var)
    wanted = torch.nn.functional.batch_norm(torch.tensor(x), expected_mean, expected_var)
    assert_close("evaluation", y.numpy(), wanted.numpy())


def test_running_statistics_stay_in_evaluation_and_for_an_empty_batch(device: str) -> None:
    x, empty, mean, var = tensors([[1, 2], [3, 4]], np.ones((0, 2)), [5, 6], [7, 8], device=device)
    F.batch_norm(x, mean, var)
    F.batch_norm(empty, mean, var, training=True)
    assert (mean.tolist(), var.tolist()) == ([5, 6], [7, 8])


def test_each_running_statistic_may_be_missing_in_training(device: str) -> None:
    x, mean, var = tensors([[1, 0], [3, 4]], [0, 0], [0, 0], device=device)
    F.batch_norm(x, mean, None, training=True, momentum=1)
    F.batch_norm(x, None, var, training=True, momentum=1)
    assert (mean.tolist(), var.tolist()) == ([2, 2], [2, 8])


def test_batch_norm_refuses_to_differentiate_running_statistics(device: str) -> None:
    x, mean, var = tensors([[1, 0], [3, 4]], [0, 0], [1, 1], device=device)
    with pytest.raises(GradientError, match="batch_norm: running_var requires a gradient, but running statistics"):
        F.batch_norm(x, mean, var.requires_grad_())


def test_batch_norm_refuses_statistics_on_another_device() -> None:
    (x,) = tensors([[1, 0], [3, 4]], device="cpu")
    mean, var = tensors([0, 0], [1, 1], device="reference")
    for training in (False, True):
        with pytest.raises(DeviceError, match="different devices"):
            F.batch_norm(x, mean, var, training=training)


def test_backward_refuses_running_statistics_that_have_moved(device: str) -> None:
    x, mean, var = tensors([[1, 0], [3, 4]], [0, 0], [1, 1], device=device)
    x.requires_grad = True
    y = F.batch_norm(x, mean, var)
    F.batch_norm(x, mean, var, training=True)
    with pytest.raises(NumericsError, match=r"BatchNormEval: .* was changed in place by batch_norm"):
        y.backward(x)


@pytest.mark.parametrize("shape", [(64, 3, 9, 7), (3000, 2)])
def test_large_offsets_and_many_numbers_keep_the_accuracy(shape: tuple[int, ...], device: str) -> None:
    rng = np.random.default_rng(0)
    x = (1000 + rng.standard_normal(shape)).astype(np.float32)
    dy = rng.standard_normal(shape).astype(np.float32)
    for call in (
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.group_norm(x, 1),
        lambda x: F.layer_norm(x, x.shape[1:]),
    ):
        results = []
        for where, dtype in ((device, np.float32), ("reference", np.float64)):
            leaf = mc.tensor(x, dtype=dtype, device=where, requires_grad=True)
            y = call(leaf)
            (dx,) = mc.grad(y, leaf, mc.tensor(dy, dtype=dtype, device=where))
            results.append((y.numpy(), dx.numpy()))
        for actual, expected in zip(*results):
            assert_close("float32", actual, expected.astype(np.float32))


def test_one_group_is_a_layer_and_one_channel_per_group_is_a_batch_of_one(device: str) -> None:
    (x,) = tensors(np.random.default_rng(0).standard_normal((1, 4, 5, 3)), device=device)
    np.testing.assert_allclose(F.group_norm(x, 1).numpy(), F.layer_norm(x, (4, 5, 3)).numpy(), atol=1e-12)
    by_batch = F.batch_norm(x, None, None, training=True).numpy()
    np.testing.assert_allclose(F.group_norm(x, 4).numpy(), by_batch, atol=1e-12)


@pytest.mark.parametrize(("n", "channels"), [(5, 8), (5, 3), (4, 7), (1, 3), (2, 2)])
def test_local_response_norm_is_alexnets_sum_over_channels(n: int, channels: int, device: str) -> None:
    # Krizhevsky et al. 2012, section 3.3: b_i = a_i / (k + α Σ a_j²)^β over max(0, i − n/2) ≤ j ≤ min(N − 1, i + n/2),
    # for odd n; an even window has its extra channel below, as in PyTorch.
    k, alpha, beta = 2.0, 0.3, 0.75
    a = np.random.default_rng(0).standard_normal((2, channels, 2, 3))
    expected = np.empty_like(a)
    for i in range(channels):
        total = np.zeros((2, 2, 3))
        for j in range(channels):
            if i - n // 2 <= j <= i + (n - 1) // 2:
                total += a[:, j] ** 2
        expected[:, i] = a[:, i] / (k + alpha * total) ** beta
    y = F.local_response_norm(mc.tensor(a, device=device), n, alpha=alpha * n, beta=beta, k=k)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)


def test_normalize_puts_rows_on_the_unit_sphere(device: str) -> None:
    (x,) = tensors([[3, 4], [0, 0], [-5, 0]], device=device)
    x.requires_grad = True
    y = F.normalize(x)
    np.testing.assert_allclose(y.numpy(), [[0.6, 0.8], [0, 0], [-1, 0]])
    (dx,) = mc.grad(y, x, mc.tensor(np.array([[1.0, 0], [1, 2], [1, 1]]), device=device))
    # (I − y yᵀ) dy / ‖x‖, and dy / ε for the zero
    np.testing.assert_allclose(dx.numpy(), [[0.128, -0.096], [1e12, 2e12], [0, 0.2]], atol=1e-15)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "norm",
    [
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.batch_norm(x, *tensors([0, 1, 2, 3], [1, 2, 3, 4], device=x.device)),
        lambda x: F.group_norm(x, 2),
        lambda x: F.layer_norm(x, (4, 7, 5)),
        lambda x: F.local_response_norm(x, 3),
        lambda x: F.normalize(x),
    ],
    ids=["batch", "batch_eval", "group", "layer", "response", "normalize"],
)
def test_results_are_channels_last_in_memory(norm: Any, layout: str, device: str) -> None:
    x = mc.tensor(0.0, device=device)
    x.data = laid_out(np.random.default_rng(0).standard_normal((2, 4, 7, 5)), layout)
    x.requires_grad = True
    y = norm(x)
    y.backward(mc.tensor(np.ones(y.shape), device=device))
    assert channels_last(y)
    assert channels_last(x.grad)


def test_frozen_parameters_have_no_gradient(device: str) -> None:
    x, w, b, mean, var = tensors(np.eye(4), np.ones(4), np.zeros(4), np.zeros(4), np.ones(4), device=device)
    b.requires_grad = True
    for norm in (
        lambda: F.batch_norm(x, mean, var, w, b),
        lambda: F.batch_norm(x, mean, var, w, b, training=True),
        lambda: F.group_norm(x, 2, w, b),
        lambda: F.layer_norm(x, 4, w, b),
    ):
        b.grad = None
        norm().backward(mc.tensor(np.full((4, 4), 2.0), device=device))
        np.testing.assert_allclose(b.grad.numpy(), np.full(4, 8.0))
        assert w.grad is None
        assert x.grad is None
