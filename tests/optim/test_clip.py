"""clip_grad_norm_ gives PyTorch's norm and gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn, optim
from minicnn.errors import NumericsError, ShapeError


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1000.0, 0.0])
def test_norm_and_gradients_are_pytorchs(norm_type: float, max_norm: float, device: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((3, 4), (), (2, 3, 2, 5))]
    ours = [nn.Parameter(mc.tensor(a)) for a in arrays]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    for a, b in zip(ours[:2], theirs[:2]):
        gradient = np.asarray(rng.standard_normal(a.shape))
        a.grad, b.grad = mc.tensor(gradient), torch.tensor(gradient)
    norm = optim.clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-12)
    assert (norm.shape, norm.dtype, norm.device) == ((), np.float64, device)
    for a, b in zip(ours[:2], theirs[:2]):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10)
    assert ours[2].grad is None


def test_one_tensor_and_none() -> None:
    weight = nn.Parameter([3.0, 4.0])
    assert optim.clip_grad_norm_([weight], 1.0).item() == 0
    assert optim.clip_grad_norm_([], 1.0).item() == 0
    weight.grad = mc.tensor([3.0, 4.0])
    assert optim.clip_grad_norm_(weight, 1.0).item() == 5
    np.testing.assert_allclose(weight.grad.numpy(), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_infinite_gradients(bad: float) -> None:
    def both(value: float) -> tuple[Any, Any]:
        a, b = nn.Parameter([1.0, 2.0]), torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        a.grad, b.grad = mc.tensor([value, 1.0]), torch.tensor([value, 1.0])
        return a, b

    ours, theirs = both(bad)
    norm, expected = optim.clip_grad_norm_(ours, 1.0), torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    np.testing.assert_equal(norm.item(), expected.item())
    np.testing.assert_array_equal(ours.grad.numpy(), theirs.grad.numpy())
    ours, _ = both(bad)
    with pytest.raises(NumericsError, match=f"clip_grad_norm_: the norm of the gradients is {bad}"):
        optim.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    assert ours.grad.numpy()[1] == 1


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="clip_grad_norm_: max_norm is -1, needs a number"):
        optim.clip_grad_norm_([], -1)
    with pytest.raises(ShapeError, match="clip_grad_norm_: norm_type is 0, needs a number"):
        optim.clip_grad_norm_([], 1, 0)
